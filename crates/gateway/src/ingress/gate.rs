//! What stands at the public port while the gateway starts: the port is taken at once, and whoever
//! asks before the models and the store are open is told to come back, instead of waiting.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use axum::{Router, body::Body, response::Response};
use futures::future::{Either, Ready, ready};
use http::Request;
use hyper::body::Incoming;
use tower::{Service, ServiceExt, util::Oneshot};

use super::refuse;
use crate::rejection::{Kind, Rejection};

/// When a caller who came too early may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Refuses until it is opened, then hands everything to the routes.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    routes: Arc<ArcSwapOption<Router>>,
}

impl Gate {
    /// From now on, requests go to `routes`.
    pub fn open(&self, routes: Router) {
        self.routes.store(Some(Arc::new(routes)));
    }
}

impl Service<Request<Incoming>> for Gate {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Oneshot<Router, Request<Body>>, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let request = request.map(Body::new);
        if let Some(routes) = &*self.routes.load() {
            return Either::Left(Router::clone(routes).oneshot(request));
        }
        let rejection =
            Rejection::new(Kind::NotReady, "the gateway is starting").retry_after(RETRY_AFTER);
        Either::Right(ready(Ok(refuse(request.headers(), rejection))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingress::server;

    #[tokio::test]
    async fn who_comes_too_early_is_told_to_come_back_and_then_served() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Gate::default();
        let stop = tokio_util::sync::CancellationToken::new();
        let serving = server::serve(listener, gate.clone(), stop.clone(), Duration::from_secs(1));
        let served = tokio::spawn(serving);
        let early = raw_get(address, "").await;
        assert!(early.starts_with("HTTP/1.1 503"), "{early}");
        assert!(
            early.contains("retry-after: 1") && early.contains("not_ready"),
            "{early}"
        );
        let grpc = raw_get(address, "content-type: application/grpc\r\n").await;
        assert!(grpc.contains("grpc-status: 14"), "{grpc}");
        gate.open(Router::new().route("/", axum::routing::get(|| async { "open" })));
        assert!(raw_get(address, "").await.ends_with("open"));
        stop.cancel();
        assert!(served.await.unwrap());
    }

    async fn raw_get(address: std::net::SocketAddr, headers: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}
