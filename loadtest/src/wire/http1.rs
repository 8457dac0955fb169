//! A caller over HTTP/1.1: one connection, kept alive, one question at a time.

use std::{io, net::SocketAddr, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use super::{Requests, response::Response};
use crate::load::{Caller, Outcome};

/// A connection that nobody used for longer may have been closed by the server, as is its right.
const MAY_HAVE_CLOSED: Duration = Duration::from_secs(1);

/// Where to ask, and what.
#[derive(Debug)]
pub struct HttpTarget {
    address: SocketAddr,
    requests: Requests,
}

impl HttpTarget {
    /// Nothing is connected yet.
    pub fn new(address: SocketAddr, requests: Requests) -> Self {
        Self { address, requests }
    }
}

/// Connects at its first call.
#[derive(Debug)]
pub struct HttpCaller {
    target: Rc<HttpTarget>,
    /// And when it was used last.
    idle: Option<(TcpStream, Instant)>,
    buffer: Vec<u8>,
}

impl HttpCaller {
    /// A caller of its own connection.
    pub fn new(target: Rc<HttpTarget>) -> Self {
        Self {
            target,
            idle: None,
            buffer: Vec::with_capacity(4 * 1024),
        }
    }

    /// `None` when the connection broke or what came is no answer.
    async fn ask(&mut self, question: usize) -> Option<Outcome> {
        // Taken, and put back once the answer is whole: a call that fails leaves none.
        let mut stream = match self.idle.take().and_then(still_open) {
            Some(stream) => stream,
            None => connect(self.target.address).await.ok()?,
        };
        let requests = &self.target.requests;
        stream.write_all(&requests.of(question)).await.ok()?;
        self.buffer.clear();
        let response = loop {
            if stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
            if let Some(response) = Response::parse(&self.buffer).ok()? {
                break response;
            }
        };
        if !response.closes && response.bytes() == self.buffer.len() {
            self.idle = Some((stream, Instant::now()));
        }
        match response.status {
            200 => {
                let body = response.body(&self.buffer);
                let answer = requests.format().decode(body, question)?;
                Some(Outcome::Answered(answer))
            }
            429 => Some(Outcome::Refused),
            _ => None,
        }
    }
}

impl Caller for HttpCaller {
    /// Where that fails, the first call tries again.
    async fn prepare(&mut self) {
        if self.idle.is_none() {
            let stream = connect(self.target.address).await.ok();
            self.idle = stream.map(|stream| (stream, Instant::now()));
        }
    }

    async fn call(&mut self, question: usize) -> Outcome {
        self.ask(question).await.unwrap_or(Outcome::Failed)
    }
}

/// Asks the operating system only where there is a doubt. A connection that closes once a question
/// is on it has lost that question, and that is a failure.
fn still_open((stream, used): (TcpStream, Instant)) -> Option<TcpStream> {
    if used.elapsed() < MAY_HAVE_CLOSED {
        return Some(stream);
    }
    let silent = matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    silent.then_some(stream)
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
