//! A caller over HTTP/1.1: one connection, kept alive, one question at a time.

use std::{net::SocketAddr, rc::Rc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Requests, response::Response};
use crate::load::{Caller, Outcome};

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
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl HttpCaller {
    /// A caller of its own connection.
    pub fn new(target: Rc<HttpTarget>) -> Self {
        Self {
            target,
            stream: None,
            buffer: Vec::with_capacity(4 * 1024),
        }
    }

    /// `None` when the connection broke or what came is no answer.
    async fn ask(&mut self, question: usize) -> Option<Outcome> {
        // Taken, and put back once the answer is whole: a call that fails leaves none.
        let mut stream = match self.stream.take() {
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
            self.stream = Some(stream);
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
    async fn call(&mut self, question: usize) -> Outcome {
        self.ask(question).await.unwrap_or(Outcome::Failed)
    }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
