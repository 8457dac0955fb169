//! The outermost layer of the public port, called in the connection's own task as soon as a request's
//! head is read. It says when the request came, turns away what the process does not keep up with, and
//! bounds what requests hold before they are admitted.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use futures::{
    FutureExt,
    future::{BoxFuture, Either, Ready, ready},
};
use http::Request;
use metrics::Counter;
use tokio::{sync::Semaphore, time::Instant};
use tower::Service;

use super::{
    Received,
    body::{Bodies, BoundedBody},
    refuse,
};
use crate::{
    admission::RETRY_AFTER,
    pipeline::Gateway,
    rejection::{Kind, Rejection},
    telemetry::Overload,
};

/// What makes work: decisions and events. Probes, and who reads the contract, are never turned away.
const WORK: [&str; 3] = [
    "/v1/decide",
    "/gavel.v1.DecisionService/Decide",
    "/v1/events",
];
/// Requests that have come and are not answered yet, at once: as many as connections, so that
/// HTTP/2's streams do not multiply what is held of heads and bodies.
const MAX_REQUESTS: usize = 10_000;

/// Everything public, behind what bounds it.
#[derive(Clone, Debug)]
pub struct Entry {
    routes: Router,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gateway: Arc<Gateway>,
    body_timeout: Duration,
    bodies: Arc<Bodies>,
    places: Arc<Semaphore>,
    turned_away: Counter,
    no_place: Counter,
}

impl Entry {
    /// In front of `routes`. Bodies that are being read are held to what the decisions in flight may
    /// have come with.
    pub fn new(routes: Router, gateway: Arc<Gateway>, body_timeout: Duration) -> Self {
        let bodies_bytes = gateway
            .admission
            .limit()
            .saturating_mul(gateway.max_body_bytes);
        let shared = Shared {
            gateway,
            body_timeout,
            bodies: Arc::new(Bodies::new(bodies_bytes)),
            places: Arc::new(Semaphore::new(MAX_REQUESTS)),
            turned_away: Overload::RunQueue.counter(),
            no_place: Overload::Requests.counter(),
        };
        Self {
            routes,
            shared: Arc::new(shared),
        }
    }
}

impl Service<Request<Body>> for Entry {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<
        BoxFuture<'static, Result<Response, Infallible>>,
        Ready<Result<Response, Infallible>>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = &self.shared;
        let now = Instant::now();
        let run_queue = shared.gateway.pressure.wait(now);
        let refuse = |rejection: Rejection| {
            shared.gateway.telemetry.rejected(rejection.kind);
            Either::Right(ready(Ok(refuse(request.headers(), rejection))))
        };
        if WORK.contains(&request.uri().path()) && shared.gateway.pressure.turns_away() {
            shared.turned_away.increment(1);
            let detail = "more comes than the gateway keeps up with: some are refused, so that the others are answered in time";
            return refuse(Rejection::new(Kind::Overloaded, detail).retry_after(RETRY_AFTER));
        }
        let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
            shared.no_place.increment(1);
            let detail = format!("{MAX_REQUESTS} requests have come and are not answered yet");
            return refuse(Rejection::new(Kind::Overloaded, detail).retry_after(RETRY_AFTER));
        };
        let mut request = request.map(|body| {
            let bodies = Arc::clone(&shared.bodies);
            Body::new(BoundedBody::new(body, now, shared.body_timeout, bodies))
        });
        let at = now.checked_sub(run_queue).unwrap_or(now);
        request.extensions_mut().insert(Received { at, run_queue });
        let answer = self.routes.call(request);
        let answer = answer.inspect(move |_| drop(place));
        Either::Left(answer.boxed())
    }
}
