//! What stands at the public port while the gateway starts: the port is taken at once, and whoever
//! asks before the models and the store are open is told to come back, instead of waiting.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use axum::{body::Body, response::Response};
use futures::future::{Either, Ready, ready};
use http::Request;
use hyper::body::Incoming;
use metrics::counter;
use tower::Service;

use super::refuse;
use crate::rejection::{Kind, Rejection};

/// When a caller who came too early may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Refuses until it is opened, then hands everything to what is behind it, which is always ready.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    behind: Arc<ArcSwapOption<S>>,
}

impl<S> Gate<S> {
    /// Closed.
    #[expect(clippy::new_without_default, reason = "a gate is made where it stands")]
    pub fn new() -> Self {
        Self {
            behind: Arc::default(),
        }
    }

    /// From now on, requests go to `behind`.
    pub fn open(&self, behind: S) {
        self.behind.store(Some(Arc::new(behind)));
    }
}

impl<S> Service<Request<Incoming>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let request = request.map(Body::new);
        if let Some(behind) = &*self.behind.load() {
            // Called here and now, in the connection's own task: what is behind notes the time.
            return Either::Left(S::clone(behind).call(request));
        }
        let rejection =
            Rejection::new(Kind::NotReady, "the gateway is starting").retry_after(RETRY_AFTER);
        // There is no `Telemetry` yet; it goes on with the same counter.
        counter!("gavel_rejections_total", "kind" => rejection.kind.name()).increment(1);
        Either::Right(ready(Ok(refuse(request.headers(), rejection))))
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::ingress::server;

    #[tokio::test]
    async fn who_comes_too_early_is_told_to_come_back_and_then_served() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Gate::new();
        let recorder = PrometheusBuilder::new().build_recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
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
        let counted = recorder.handle().render();
        let expected = "gavel_rejections_total{kind=\"not_ready\"} 2";
        assert!(counted.contains(expected), "{counted}");
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
