//! How an endpoint is reached: over TCP, a Unix socket, or whatever a test connects.

use std::{future::Future, io, path::Path, sync::Arc};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};
use tonic::transport::{Channel, Endpoint};

use crate::{error::EndpointError, options::EndpointOptions};

/// Idle connections are probed by TCP, so that a peer that vanished is noticed.
const TCP_KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(5);
/// HTTP/2 flow-control windows, in bytes: large outputs should not wait for updates.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Makes channels to one endpoint. A channel connects at its first call, and again when its
/// connection has ended; it must be made inside a runtime.
///
/// There are no HTTP/2 keep-alive pings: when a frozen server does not answer them, they would
/// close the connection and so cancel every call on it, which is what crashes the server when it
/// wakes (see `call.rs`). The breaker notices it instead, and probes over a fresh channel.
pub(crate) struct Dial {
    channel: Box<dyn Fn() -> Channel + Send + Sync>,
}

impl Dial {
    /// `http://host:port`, just `host:port`, or `unix:/path/to/socket`.
    pub(crate) fn to(url: &str, options: &EndpointOptions) -> Result<Self, EndpointError> {
        let url = url.trim();
        match url.strip_prefix("unix:") {
            Some(path) => Self::unix(url, path, options),
            None => Self::tcp(url, options),
        }
    }

    fn unix(url: &str, path: &str, options: &EndpointOptions) -> Result<Self, EndpointError> {
        if !path.starts_with('/') {
            return Err(EndpointError::Url {
                url: url.to_owned(),
                reason: "the socket's absolute path is expected, as in unix:/run/triton.sock:28001"
                    .into(),
            });
        }
        let path: Arc<Path> = Path::new(path).into();
        Ok(Self::custom(
            move || UnixStream::connect(Arc::clone(&path)),
            options,
        ))
    }

    fn tcp(url: &str, options: &EndpointOptions) -> Result<Self, EndpointError> {
        // A login would end up in logs and metrics.
        if let Some((_, rest)) = url.rsplit_once('@') {
            return Err(EndpointError::Url {
                url: format!("…@{rest}"),
                reason: "it holds a login, which Triton has no use for".into(),
            });
        }
        let wrong = |reason: String| EndpointError::Url {
            url: url.to_owned(),
            reason,
        };
        let full = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let uri: Uri = full
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        match uri.scheme_str() {
            Some("http" | "grpc") => {}
            scheme => {
                let scheme = scheme.unwrap_or_default();
                return Err(wrong(format!("the scheme must be http, not `{scheme}`")));
            }
        }
        let authority = match uri.authority() {
            Some(authority) if authority.port_u16().is_some() => authority.clone(),
            _ => {
                return Err(wrong(
                    "it names no port (Triton's gRPC port is 8001)".into(),
                ));
            }
        };
        if !matches!(
            uri.path_and_query().map(|path| path.as_str()),
            None | Some("" | "/")
        ) {
            return Err(wrong("it has a path, and gRPC has none".into()));
        }
        let endpoint = configured(&format!("http://{authority}"), options)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            channel: Box::new(move || endpoint.connect_lazy()),
        })
    }

    /// Whatever `connect` gives, e.g. one end of an in-memory pipe.
    pub(crate) fn custom<C, F, S>(connect: C, options: &EndpointOptions) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connect = Arc::new(connect);
        let options = options.clone();
        let channel = move || {
            let connect = Arc::clone(&connect);
            let service = tower::service_fn(move |_: Uri| {
                let connected = connect();
                async move { connected.await.map(TokioIo::new) }
            });
            tuned(Endpoint::from_static("http://in-memory"), &options)
                .connect_with_connector_lazy(service)
        };
        Self {
            channel: Box::new(channel),
        }
    }

    /// A new channel. Must be called inside a runtime.
    pub(crate) fn channel(&self) -> Channel {
        (self.channel)()
    }
}

fn configured(url: &str, options: &EndpointOptions) -> Result<Endpoint, tonic::transport::Error> {
    Ok(tuned(Endpoint::from_shared(url.to_owned())?, options))
}

fn tuned(endpoint: Endpoint, options: &EndpointOptions) -> Endpoint {
    endpoint
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .tcp_keepalive_interval(Some(TCP_KEEPALIVE))
        .tcp_keepalive_retries(Some(3))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
}
