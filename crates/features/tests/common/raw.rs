//! Commands to Redis past the store under test.

use std::io::{Read, Write};
use std::net::TcpStream;

use testkit::Redis;

/// Sends one command and returns what came, as far as one read gets it.
pub(crate) fn command(redis: &Redis, words: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    stream.write_all(&request).unwrap();
    let mut answer = vec![0; 1 << 16];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
