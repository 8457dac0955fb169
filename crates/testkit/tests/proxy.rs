//! The proxy on real sockets: what its clients see of each fault.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixListener,
    time::{Duration, SystemTime},
};

use testkit::{Proxy, free_port};

/// Long enough that an answer would have come; nothing is late because of it.
const QUIET: Duration = Duration::from_millis(200);

/// Sends back what it gets, on as many connections as come, as long as the process lives.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || repeat(&stream, &stream));
        }
    });
    port
}

fn repeat(mut from: impl Read, mut to: impl Write) {
    // A connection that breaks is what the tests are about.
    let _ = std::io::copy(&mut from, &mut to);
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn ask(stream: &mut TcpStream, question: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(question)?;
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn assert_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let kind = ask(stream, b"anybody?").unwrap_err().kind();
    assert!(
        matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{kind:?}"
    );
}

#[test]
fn it_passes_bytes_and_ends_and_counts_connections() {
    let proxy = Proxy::start(echo());
    let (mut one, mut two) = (connect(&proxy), connect(&proxy));
    assert_eq!(ask(&mut one, b"hello").unwrap(), b"hello");
    assert_eq!(ask(&mut two, b"again").unwrap(), b"again");
    assert_eq!((proxy.accepted(), proxy.open()), (2, 2));

    let long = vec![7; 1_000_000];
    let sent = std::thread::scope(|scope| {
        let (mut reader, mut writer) = (one.try_clone().unwrap(), one);
        let long = &long;
        scope.spawn(move || {
            writer.write_all(long).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        back
    });
    assert_eq!(sent, long);
}

#[test]
fn it_leads_to_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            repeat(&stream, &stream);
        }
    });
    let proxy = Proxy::start(path.as_path());
    assert_eq!(ask(&mut connect(&proxy), b"hello").unwrap(), b"hello");
}

#[test]
fn a_delay_is_felt_each_way_until_healed() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    proxy.delay(QUIET);
    let asked = SystemTime::now();
    assert_eq!(ask(&mut stream, b"slowly").unwrap(), b"slowly");
    assert!(asked.elapsed().unwrap() >= 2 * QUIET);
    proxy.delay(Duration::from_secs(3600));
    stream.write_all(b"held").unwrap();
    proxy.heal();
    let mut held = [0; 4];
    stream.read_exact(&mut held).unwrap();
    assert_eq!(&held, b"held");
}

#[test]
fn a_cut_closes_in_the_middle_of_an_answer() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    proxy.cut_after(5);
    stream.write_all(b"0123").unwrap();
    let mut back = Vec::new();
    // What was cut off there may reach us as an end or as a reset.
    stream.write_all(b"4567").unwrap();
    let ended = stream.read_to_end(&mut back);
    assert!(back.len() <= 5 && b"01234".starts_with(&back), "{back:?}");
    assert!(ended.is_ok() || ended.unwrap_err().kind() == ErrorKind::ConnectionReset);
    proxy.heal();
    assert_eq!(ask(&mut connect(&proxy), b"whole").unwrap(), b"whole");
}

#[test]
fn a_reset_is_a_reset_and_the_next_connection_passes() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    ask(&mut stream, b"hello").unwrap();
    proxy.reset_connections();
    let mut byte = [0];
    let error = stream.read_exact(&mut byte).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(ask(&mut connect(&proxy), b"hello").unwrap(), b"hello");
}

#[test]
fn a_black_hole_says_nothing_and_only_new_connections_get_out() {
    let proxy = Proxy::start(echo());
    let mut before = connect(&proxy);
    ask(&mut before, b"hello").unwrap();
    proxy.black_hole();
    let mut during = connect(&proxy);
    assert_silent(&mut before);
    assert_silent(&mut during);
    proxy.heal();
    assert_silent(&mut before);
    assert_silent(&mut during);
    assert_eq!(ask(&mut connect(&proxy), b"hello").unwrap(), b"hello");
    assert_eq!(proxy.open(), 3);
}

#[test]
fn refused_is_refused_and_what_is_open_goes_on() {
    let proxy = Proxy::start(echo());
    let mut open = connect(&proxy);
    ask(&mut open, b"hello").unwrap();
    proxy.refuse();
    let error = TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(ask(&mut open, b"still").unwrap(), b"still");
    proxy.heal();
    assert_eq!(ask(&mut connect(&proxy), b"hello").unwrap(), b"hello");
}

#[test]
fn where_nothing_listens_a_connection_is_reset() {
    let proxy = Proxy::start(free_port());
    let mut stream = connect(&proxy);
    let mut byte = [0];
    let error = stream.read_exact(&mut byte).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn its_connections_end_with_it() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    ask(&mut stream, b"hello").unwrap();
    let address = proxy.address();
    drop(proxy);
    let mut byte = [0];
    assert!(stream.read_exact(&mut byte).is_err());
    assert!(TcpStream::connect(address).is_err());
}
