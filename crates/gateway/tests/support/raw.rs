//! HTTP/1.1 byte by byte, for requests that no client would send.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{PATIENCE, ask::Answer, gateway::Gateway};

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// What has come after the last answer.
    rest: Vec<u8>,
}

impl Gateway {
    /// Connects to the public port.
    pub(crate) async fn connect(&self) -> Connection {
        Connection {
            stream: TcpStream::connect(self.address()).await.unwrap(),
            rest: Vec::new(),
        }
    }

    /// Sends bytes on a connection of their own, and reads one answer.
    pub(crate) async fn send_raw(&self, bytes: &[u8]) -> Answer {
        let mut connection = self.connect().await;
        // A server that has read enough may close before all is sent.
        let _ = connection.stream.write_all(bytes).await;
        let answer = connection.answer().await;
        answer.unwrap_or_else(|| {
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
            panic!("no answer to {start}")
        })
    }
}

impl Connection {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends bytes if the server still listens.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Whether exactly these bytes come next.
    pub(crate) async fn says(&mut self, expected: &[u8]) -> bool {
        let mut said = vec![0; expected.len()];
        let read = timeout(PATIENCE, self.stream.read_exact(&mut said)).await;
        read.is_ok_and(|read| read.is_ok()) && said == expected
    }

    /// Reads until the server has ended the connection, and says whether it did so in time.
    pub(crate) async fn is_ended_within(&mut self, limit: Duration) -> bool {
        let mut rest = Vec::new();
        // A reset is an end as well.
        timeout(limit, self.stream.read_to_end(&mut rest))
            .await
            .is_ok()
    }

    /// The next answer; `None` when the connection ends without one.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        timeout(PATIENCE, self.read_answer()).await.ok()?
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let mut bytes = std::mem::take(&mut self.rest);
        let head_end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more(&mut bytes).await?;
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = HeaderMap::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
        }
        let length = headers.get("content-length")?.to_str().unwrap();
        let length: usize = length.parse().unwrap();
        while bytes.len() < head_end + length {
            self.read_more(&mut bytes).await?;
        }
        self.rest = bytes.split_off(head_end + length);
        let body = bytes.split_off(head_end).into();
        Some(Answer {
            status,
            headers,
            body,
        })
    }

    async fn read_more(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        let read = self.stream.read_buf(bytes).await.ok()?;
        (read > 0).then_some(())
    }
}

/// A POST to `/v1/decide` with these header lines, and the length of the body.
pub(crate) fn post(headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = String::from("POST /v1/decide HTTP/1.1\r\nhost: gavel\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}
