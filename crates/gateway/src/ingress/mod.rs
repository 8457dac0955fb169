//! Where requests come in: HTTP/1.1, HTTP/2 and gRPC on one port.
//!
//! Everything about bytes, headers and status codes stays in here. Both transports make an [`Arrival`]
//! and hand it to [`decide`], so that metrics and errors are written once.
//!
//! ```text
//!  http.rs (JSON, protobuf) --\
//!                              >-- Arrival -- decide -- pipeline
//!  grpc.rs -------------------/
//!  events.rs -- events -- ingest::Live
//! ```

pub mod body;
pub mod clients;
pub mod entry;
pub mod event_message;
mod events;
mod framing;
pub mod gate;
pub mod grpc;
pub mod http;
pub mod json;
pub mod openapi;
mod peer;
pub mod protobuf;
pub mod server;

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::{
    answer::Answer,
    ingress::clients::Client,
    pipeline::{self, Gateway},
    rejection::Rejection,
    request::Question,
};

/// When a request came; put into its extensions by the outermost layer.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// When its head could have been read, had nothing been in the run queue.
    pub at: Instant,
    /// How long tasks wait in the run queue now: this one did, and will again whenever it is woken.
    pub run_queue: Duration,
}

impl Received {
    /// What the outermost layer noted; without one, now.
    fn of(extensions: &::http::Extensions) -> Self {
        let noted = extensions.get::<Self>().copied();
        noted.unwrap_or_else(|| Self {
            at: Instant::now(),
            run_queue: Duration::ZERO,
        })
    }
}

/// A question that has been read, and from whom.
#[derive(Debug)]
pub struct Arrival {
    /// When it came.
    pub received: Received,
    /// Who asks.
    pub client: Arc<Client>,
    /// What is asked.
    pub question: Question,
    /// The smallest budget that the transport's headers name.
    pub header_budget: Option<Duration>,
    /// How long reading the body's bytes into the question took.
    pub decode: Duration,
}

/// Decides, counts what came of it and hands it to the log.
pub async fn decide(gateway: &Gateway, arrival: Arrival) -> Result<Answer, Rejection> {
    let received = arrival.received.at;
    let outcome = async {
        let permit = gateway.admission.admit()?;
        pipeline::decide(gateway, arrival, permit).await
    }
    .await;
    match outcome {
        Ok(made) => {
            let mut answer = made.answer;
            let now = Instant::now();
            answer.timings_us.total = now - received;
            let late = made.deadline.is_late(now);
            made.metrics.answered(&answer, late);
            gateway.log.keep(&answer, made.basis, late);
            Ok(answer)
        }
        Err(rejection) => Err(rejection),
    }
}

/// A refusal in the words of the protocol that the request came in.
fn refuse(request_headers: &HeaderMap, rejection: Rejection) -> Response {
    if is_grpc(request_headers) {
        return tonic::Status::from(rejection).into_http();
    }
    rejection.into_response()
}

fn is_grpc(request_headers: &HeaderMap) -> bool {
    let content_type = request_headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
