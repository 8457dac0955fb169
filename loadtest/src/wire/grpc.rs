//! A caller over gRPC: unary calls on HTTP/2 connections that callers share.

use std::{cell::Cell, net::SocketAddr, rc::Rc};

use bytes::{Buf, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::Request;
use tokio::{net::TcpStream, sync::Mutex};

use super::{Answer, Requests};
use crate::load::{Caller, Outcome};

const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const OK: &[u8] = b"0";
const RESOURCE_EXHAUSTED: &[u8] = b"8";
/// Compressed or not, and the length of the message.
const PREFIX_BYTES: usize = 5;

/// Where to ask, and what, and the connections there.
#[derive(Debug)]
pub struct GrpcTarget {
    address: SocketAddr,
    requests: Requests,
    head: Request<()>,
    connections: Vec<Mutex<Option<Sender>>>,
    turn: Cell<usize>,
}

/// A connection's sending half, and which of the connections made in its place it is.
#[derive(Clone, Debug)]
struct Sender {
    sender: SendRequest<Bytes>,
    generation: u64,
}

impl GrpcTarget {
    /// Nothing is connected yet.
    pub fn new(address: SocketAddr, requests: Requests, connections: usize) -> Self {
        let connections = 0..connections.max(1);
        Self {
            address,
            head: requests.grpc_head(),
            requests,
            connections: connections.map(|_| Mutex::default()).collect(),
            turn: Cell::new(0),
        }
    }

    /// The connection at that place, made where there is none, or none but the one that `broke`.
    async fn connection(&self, place: usize, broke: Option<u64>) -> Option<Sender> {
        let mut connection = self.connections[place].lock().await;
        match &*connection {
            Some(sender) if broke != Some(sender.generation) => return Some(sender.clone()),
            _ => *connection = None,
        }
        let stream = TcpStream::connect(self.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, driver) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(stream)
            .await
            .ok()?;
        // How it ends shows in every call on it.
        tokio::task::spawn_local(async move { drop(driver.await) });
        let generation = broke.map_or(0, |generation| generation + 1);
        let sender = Sender { sender, generation };
        *connection = Some(sender.clone());
        Some(sender)
    }
}

/// Connects at its first call, if none of its fellows did.
#[derive(Debug)]
pub struct GrpcCaller {
    target: Rc<GrpcTarget>,
    place: usize,
    sender: Option<Sender>,
    broke: Option<u64>,
}

impl GrpcCaller {
    /// A caller that shares the next of the target's connections.
    pub fn new(target: Rc<GrpcTarget>) -> Self {
        let turn = target.turn.get();
        target.turn.set(turn + 1);
        Self {
            place: turn % target.connections.len(),
            target,
            sender: None,
            broke: None,
        }
    }

    async fn ask(&mut self, question: usize) -> Option<Outcome> {
        let sender = match self.sender.take() {
            Some(sender) => sender,
            None => self.target.connection(self.place, self.broke).await?,
        };
        self.broke = Some(sender.generation);
        let Sender { sender, generation } = sender;
        let mut sender = sender.ready().await.ok()?;
        let (response, mut body) = sender.send_request(self.target.head.clone(), false).ok()?;
        let message = self.target.requests.of(question);
        body.send_data(message, true).ok()?;
        let response = response.await.ok()?;
        self.sender = Some(Sender { sender, generation });
        self.broke = None;
        let status = response.headers().get("grpc-status").cloned();
        let mut body = response.into_body();
        let answer = message_of(&mut body).await?;
        let status = match status {
            Some(status) => status,
            None => body.trailers().await.ok()??.remove("grpc-status")?,
        };
        match status.as_bytes() {
            OK => {
                let answer = self.decode(answer, question)?;
                Some(Outcome::Answered(answer))
            }
            RESOURCE_EXHAUSTED => Some(Outcome::Refused),
            _ => None,
        }
    }

    fn decode(&self, framed: Bytes, question: usize) -> Option<Answer> {
        let (prefix, message) = framed.split_at_checked(PREFIX_BYTES)?;
        let [0, length @ ..] = prefix else {
            return None;
        };
        let length = u32::from_be_bytes(length.try_into().ok()?);
        (length as usize == message.len())
            .then(|| self.target.requests.format().decode(message, question))?
    }
}

impl Caller for GrpcCaller {
    /// Where that fails, the first call tries again.
    async fn prepare(&mut self) {
        if self.sender.is_none() {
            self.sender = self.target.connection(self.place, self.broke).await;
        }
    }

    async fn call(&mut self, question: usize) -> Outcome {
        self.ask(question).await.unwrap_or(Outcome::Failed)
    }
}

/// All data of a stream: one piece as it came, several put together.
async fn message_of(body: &mut RecvStream) -> Option<Bytes> {
    let mut message = Bytes::new();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        body.flow_control().release_capacity(data.len()).ok()?;
        if !message.has_remaining() {
            message = data;
        } else {
            let mut joined = BytesMut::from(message);
            joined.extend_from_slice(&data);
            message = joined.freeze();
        }
    }
    Some(message)
}
