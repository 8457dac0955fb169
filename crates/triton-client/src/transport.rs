//! One HTTP/2 connection to one endpoint, made when it is needed and again when it has ended.
//!
//! ```text
//!            call                       connected
//!   Unmade ---------> Connecting --------------------> Made
//!     ^                   |  (all calls wait for it)     |  GOAWAY, reset, end
//!     +-------------------+-----------------------------+
//!               failed: those who wait hear why, the next call tries again
//! ```
//!
//! A request that the server says it has not looked at, because it was going away or refused it, is
//! sent once more, over a new connection: a rolling restart costs nobody an answer. Whatever else
//! becomes of it is the caller's to judge.
//!
//! gRPC is tonic's: framing, codes, trailers. What carries it is h2 directly, and not tonic's channel,
//! for two reasons. That one queues calls in a buffer, polls them in another task and pipes each body
//! in a third, which is half of what a call costs here; and its reconnecting has open bugs, so how
//! that goes is better said in a page of our own. A unary request's body is one buffer that is there
//! from the start, so it needs none of that.
//!
//! There are no HTTP/2 keep-alive pings: when a frozen server does not answer them, they would
//! close the connection and so cancel every call on it, which is what crashes the server when it
//! wakes (see `call.rs`). The breaker notices it instead, and probes over a fresh connection.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use h2::{
    Reason, RecvStream,
    client::{self, SendRequest},
};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::Service;

use crate::proto::grpc_inference_service_client::GrpcInferenceServiceClient;

/// HTTP/2 flow-control windows, in bytes: large outputs should not wait for updates.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const USER_AGENT: &str = concat!("gavel/", env!("CARGO_PKG_VERSION"));

/// A byte stream to a server.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Opens byte streams to one server.
pub(crate) type Connect =
    Arc<dyn Fn() -> BoxFuture<'static, io::Result<Box<dyn Stream>>> + Send + Sync>;

type Made = Shared<BoxFuture<'static, Result<SendRequest<Bytes>, TransportError>>>;

/// A connection that is made at the first call, and again when it has ended. Cloning gives another
/// handle to it; it is closed when the last handle and the last call are gone.
#[derive(Clone)]
pub(crate) struct Channel {
    shared: Arc<ChannelState>,
}

struct ChannelState {
    origin: Uri,
    connect: Connect,
    /// Which connection is used, by number, and the connection.
    made: Mutex<(u64, Option<Made>)>,
}

/// Why a call did not come to an answer of the server's.
#[derive(Debug, Clone)]
pub(crate) enum TransportError {
    Connect(Arc<io::Error>),
    Http2(Arc<h2::Error>),
    Body(Arc<str>),
}

/// The body of an answer.
pub(crate) struct Received {
    stream: RecvStream,
    data_over: bool,
}

impl Channel {
    /// To the server at `origin`, as it is told to itself: scheme and authority.
    pub(crate) fn new(origin: Uri, connect: Connect) -> Self {
        let shared = ChannelState {
            origin,
            connect,
            made: Mutex::new((0, None)),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A client that sends and reads messages of at most so many bytes.
    pub(crate) fn client(&self, max_message_bytes: usize) -> GrpcInferenceServiceClient<Self> {
        GrpcInferenceServiceClient::with_origin(self.clone(), self.shared.origin.clone())
            .max_decoding_message_size(max_message_bytes)
    }

    async fn send(
        self,
        request: Request<tonic::body::Body>,
    ) -> Result<Response<Received>, TransportError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await;
        let body = body.map_err(|status| TransportError::Body(status.message().into()))?;
        let body = body.to_bytes();
        let mut request = Request::from_parts(head, ());
        let agent = HeaderValue::from_static(USER_AGENT);
        request.headers_mut().insert(header::USER_AGENT, agent);
        let (number, sender) = self.ready(None).await?;
        match exchange(sender, request.clone(), body.clone()).await {
            Err(error) if was_not_processed(&error) => {
                let (_, sender) = self.ready(Some(number)).await?;
                Ok(exchange(sender, request, body).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// A connection that is ready for another call, not the `ended` one, and its number. One that has
    /// ended meanwhile is replaced, once.
    async fn ready(&self, ended: Option<u64>) -> Result<(u64, SendRequest<Bytes>), TransportError> {
        let (number, made) = self.made(ended);
        match connected(made).await {
            Ok(sender) => Ok((number, sender)),
            Err(error) => {
                let had_been_made = matches!(error, TransportError::Http2(_));
                let (number, made) = self.made(Some(number));
                if had_been_made {
                    Ok((number, connected(made).await?))
                } else {
                    Err(error)
                }
            }
        }
    }

    /// The connection, or the one that is being made; not the `ended` one.
    fn made(&self, ended: Option<u64>) -> (u64, Made) {
        let mut guard = self.shared.made.lock();
        let (number, made) = &mut *guard;
        if ended == Some(*number) {
            *made = None;
        }
        let made = made.get_or_insert_with(|| {
            *number += 1;
            // Nothing is begun, and no time runs, before a call waits for it.
            let connect = Arc::clone(&self.shared.connect);
            async move { handshake(connect()).await }.boxed().shared()
        });
        (*number, made.clone())
    }
}

async fn connected(made: Made) -> Result<SendRequest<Bytes>, TransportError> {
    Ok(made.await?.ready().await?)
}

/// One request on one connection, and the head of its answer.
async fn exchange(
    mut sender: SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
) -> Result<Response<Received>, h2::Error> {
    let (answer, mut sending) = sender.send_request(request, false)?;
    let answer = match sending.send_data(body, true) {
        Ok(()) => answer.await,
        // The server has ended the stream already: then there is an answer, or it says why not.
        Err(error) => answer.now_or_never().unwrap_or(Err(error)),
    };
    Ok(answer?.map(|stream| Received {
        stream,
        data_over: false,
    }))
}

/// Whether the server has said that it did nothing about the request, so that it may be sent again
/// (RFC 9113, section 8.7): it refused the stream, or went away and named an earlier one as the last
/// that it looked at. h2 gives a GOAWAY of the server's as the error of later streams alone.
fn was_not_processed(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

async fn handshake(
    stream: BoxFuture<'static, io::Result<Box<dyn Stream>>>,
) -> Result<SendRequest<Bytes>, TransportError> {
    let stream = stream
        .await
        .map_err(|error| TransportError::Connect(Arc::new(error)))?;
    let (sender, connection) = client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .enable_push(false)
        .handshake(stream)
        .await?;
    // Its calls hear of its end.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Received>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Self::Response, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        self.clone().send(request).boxed()
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_over {
            match self.stream.poll_data(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(data))) => {
                    // It fails only for more than was received.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Poll::Ready(None) => self.data_over = true,
            }
        }
        let trailers = match self.stream.poll_trailers(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(trailers) => trailers?,
        };
        Poll::Ready(trailers.map(|trailers: HeaderMap| Ok(Frame::trailers(trailers))))
    }
}

impl From<h2::Error> for TransportError {
    fn from(error: h2::Error) -> Self {
        Self::Http2(Arc::new(error))
    }
}

/// Why, in the end: the layers above say no more than that it did not work.
fn root<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {}", root(&**error)),
            Self::Http2(error) => write!(f, "connection: {error}"),
            Self::Body(message) => write!(f, "the request cannot be encoded: {message}"),
        }
    }
}

impl Error for TransportError {}
