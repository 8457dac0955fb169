//! How an endpoint is reached: over TCP, a Unix socket, or whatever a test connects; and its one name,
//! however its URL is written.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::FutureExt;
use http::{
    Uri,
    uri::{Authority, InvalidUri, PathAndQuery},
};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    time::timeout,
};
use tower::ServiceExt;

use crate::{
    endpoint::Endpoint,
    error::EndpointError,
    options::EndpointOptions,
    transport::{Channel, Connect, Stream},
};

/// Idle connections are probed by TCP, so that a peer that vanished is noticed.
const TCP_KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(5);
const TCP_KEEPALIVE_RETRIES: u32 = 3;
const NAME_AT_RUN_TIME: &str = "names are given at the start; here the address of one server is \
    expected, as in http://10.0.0.7:8001";

/// Makes channels to one endpoint.
pub(crate) struct Dial {
    name: Arc<str>,
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
        // Without what a path may have too much of, such as `//`.
        let path: PathBuf = Path::new(path).components().collect();
        let name = format!("unix:{}", path.display());
        let path: Arc<Path> = path.into();
        Ok(Self::custom(
            &name,
            move || UnixStream::connect(Arc::clone(&path)),
            options,
        ))
    }

    fn tcp(url: &str, options: &EndpointOptions) -> Result<Self, EndpointError> {
        let origin = server(url)?;
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
            name: origin.to_string().trim_end_matches('/').into(),
            origin,
            connect: Arc::new(connect),
        })
    }

    /// Whatever `connect` gives, e.g. one end of an in-memory pipe.
    pub(crate) fn custom<C, F, S>(name: &str, connect: C, options: &EndpointOptions) -> Self
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
            name: name.into(),
            origin: Uri::from_static("http://localhost"),
            connect: Arc::new(connect),
        }
    }

    /// What the endpoint is known by: `http://host:port` or `unix:/path`, in one form.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The endpoint that is reached so.
    pub(crate) fn endpoint(self, options: &EndpointOptions) -> Arc<Endpoint> {
        Endpoint::new(Arc::clone(&self.name), self, options.clone())
    }

    /// A new channel, which connects at its first call.
    pub(crate) fn channel(&self) -> Channel {
        Channel::new(self.origin.clone(), Arc::clone(&self.connect))
    }
}

fn boxed<S: Stream + 'static>(stream: S) -> Box<dyn Stream> {
    Box::new(stream)
}

/// The server that a URL names, in one form.
fn server(url: &str) -> Result<Uri, EndpointError> {
    // A login would end up in logs and metrics.
    if let Some((_, rest)) = url.rsplit_once('@') {
        return Err(EndpointError::Url {
            url: format!("…@{rest}"),
            reason: "it holds a login, which Triton has no use for".into(),
        });
    }
    let wrong = |reason: &str| EndpointError::Url {
        url: url.to_owned(),
        reason: reason.to_owned(),
    };
    let scheme = if url.contains("://") { "" } else { "http://" };
    // All that it may consist of means the same in lower case.
    let uri = format!("{scheme}{url}").to_ascii_lowercase();
    let uri: Uri = uri
        .parse()
        .map_err(|error: InvalidUri| wrong(&error.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "grpc") => {}
        Some("dns") => return Err(wrong(NAME_AT_RUN_TIME)),
        scheme => {
            let scheme = scheme.unwrap_or_default();
            return Err(wrong(&format!("the scheme must be http, not `{scheme}`")));
        }
    }
    let authority = uri.authority().map_or("", Authority::as_str);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => return Err(wrong("it names no port (Triton's gRPC port is 8001)")),
    };
    let port: u16 = match port.parse() {
        Ok(port @ 1..) => port,
        _ => return Err(wrong("its port is not a number from 1 to 65535")),
    };
    if host.is_empty() {
        return Err(wrong("it names no host"));
    }
    if !matches!(
        uri.path_and_query().map(PathAndQuery::as_str),
        None | Some("" | "/")
    ) {
        return Err(wrong("it has a path, and gRPC has none"));
    }
    let server = match authority.parse::<SocketAddr>() {
        Ok(address) => format!("http://{address}"),
        Err(_) => format!("http://{host}:{port}"),
    };
    server
        .parse()
        .map_err(|error: InvalidUri| wrong(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(url: &str) -> String {
        let dial = Dial::to(url, &EndpointOptions::default());
        dial.map_or_else(|error| error.to_string(), |dial| dial.name().to_owned())
    }

    #[test]
    fn an_endpoint_has_one_name_however_its_url_is_written() {
        for (known_as, urls) in [
            (
                "http://triton:8001",
                &[
                    "triton:8001",
                    " http://triton:8001 ",
                    "http://triton:8001/",
                    "grpc://triton:8001",
                    "HTTP://Triton:8001",
                    "GRPC://TRITON:08001/",
                ][..],
            ),
            (
                "http://127.0.0.1:1",
                &["127.0.0.1:1", "grpc://127.0.0.1:0001"],
            ),
            (
                "http://[::1]:8001",
                &[
                    "[::1]:8001",
                    "http://[0:0:0:0:0:0:0:1]:8001/",
                    "[::0001]:8001",
                ],
            ),
            (
                "unix:/run/Triton.sock:8001",
                &[
                    "unix:/run/Triton.sock:8001",
                    "unix:///run//Triton.sock:8001",
                ],
            ),
        ] {
            for url in urls {
                assert_eq!(name(url), known_as, "{url}");
            }
            assert_eq!(name(known_as), known_as);
        }
    }

    #[test]
    fn what_names_no_server_is_refused_in_words() {
        for (url, words) in [
            ("http://[::1]", "it names no port"),
            ("triton", "it names no port"),
            ("triton:", "1 to 65535"),
            ("triton:0", "1 to 65535"),
            ("triton:65536", "1 to 65535"),
            ("triton:http", "1 to 65535"),
            ("http://:8001", "no host"),
            ("triton:8001/v2", "it has a path"),
            ("triton:8001?x", "it has a path"),
            ("https://triton:8001", "must be http, not `https`"),
            ("dns://triton:8001", "names are given at the start"),
            ("unix:run/triton.sock", "absolute path"),
            ("user:secret@triton:8001", "a login"),
            ("", "empty"),
        ] {
            let said = name(url);
            assert!(said.contains(words), "{url}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
