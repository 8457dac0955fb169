//! One HTTP exchange at a time, for what is asked outside the load.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a port of this machine; the status and the body.
///
/// # Errors
/// If no answer comes.
pub(super) fn ask(port: u16, path: &str, body: Option<&str>) -> std::io::Result<(u16, String)> {
    let answer = exchange(port, path, body)?;
    let malformed = || std::io::Error::other("what came is not HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(malformed)?, body.to_owned()))
}

/// What a server on a port of this machine takes for the date.
///
/// # Errors
/// If no answer comes, or one without a date.
pub(super) fn date(port: u16) -> std::io::Result<String> {
    let answer = exchange(port, "/", None)?;
    let date = answer.lines().find_map(|line| line.strip_prefix("date: "));
    date.map(str::to_owned)
        .ok_or_else(|| std::io::Error::other("the answer has no date"))
}

fn exchange(port: u16, path: &str, body: Option<&str>) -> std::io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
