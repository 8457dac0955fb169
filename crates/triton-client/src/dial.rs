//! How an endpoint is reached: over TCP, a Unix socket, or whatever a test connects.

use std::{future::Future, io, path::Path, sync::Arc};

use futures::FutureExt;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    time::timeout,
};
use tower::ServiceExt;

use crate::{
    error::EndpointError,
    options::EndpointOptions,
    transport::{Channel, Connect, Stream},
};

/// Idle connections are probed by TCP, so that a peer that vanished is noticed.
const TCP_KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(5);
const TCP_KEEPALIVE_RETRIES: u32 = 3;

/// Makes channels to one endpoint.
pub(crate) struct Dial {
    origin: Uri,
    connect: Connect,
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
        let origin: Uri = format!("http://{authority}")
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_keepalive(Some(TCP_KEEPALIVE));
        connector.set_keepalive_interval(Some(TCP_KEEPALIVE));
        connector.set_keepalive_retries(Some(TCP_KEEPALIVE_RETRIES));
        connector.set_connect_timeout(Some(options.connect_timeout));
        let server = origin.clone();
        let connect = move || {
            let connected = connector.clone().oneshot(server.clone());
            let stream = async {
                Ok(boxed(
                    connected.await.map_err(io::Error::other)?.into_inner(),
                ))
            };
            stream.boxed()
        };
        Ok(Self {
            origin,
            connect: Arc::new(connect),
        })
    }

    /// Whatever `connect` gives, e.g. one end of an in-memory pipe.
    pub(crate) fn custom<C, F, S>(connect: C, options: &EndpointOptions) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limit = options.connect_timeout;
        let connect = move || {
            let connected = timeout(limit, connect());
            async { Ok(boxed(connected.await??)) }.boxed()
        };
        Self {
            origin: Uri::from_static("http://localhost"),
            connect: Arc::new(connect),
        }
    }

    /// A new channel, which connects at its first call.
    pub(crate) fn channel(&self) -> Channel {
        Channel::new(self.origin.clone(), Arc::clone(&self.connect))
    }
}

fn boxed<S: Stream + 'static>(stream: S) -> Box<dyn Stream> {
    Box::new(stream)
}
