//! One HTTP question, without a client: is it 200?

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(2);

/// Whether `GET path` on a port of the loopback interface answers 200.
pub(crate) fn is_ok(port: u16, path: &str) -> bool {
    let get = || {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // In one piece: Triton's HTTP server at times answers 404 to a request line that comes
        // in several.
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        std::io::Result::Ok(start)
    };
    get().is_ok_and(|start| start.ends_with(b" 200"))
}
