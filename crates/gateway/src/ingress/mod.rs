//! Where requests come in: HTTP/1.1, HTTP/2 and gRPC on one port.
//!
//! Everything about bytes, headers and status codes stays in here. Both transports make an [`Arrival`]
//! and hand it to [`decide`], so that metrics and errors are written once.
//!
//! ```text
//!  http.rs (JSON, protobuf) --\
//!                              >-- Arrival -- decide -- pipeline
//!  grpc.rs -------------------/
//! ```

pub mod body;
pub mod clients;
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

/// When a request's head was read; put into its extensions by the outermost layer.
#[derive(Clone, Copy, Debug)]
pub struct Received(pub Instant);

/// A question that has been read, and from whom.
#[derive(Debug)]
pub struct Arrival {
    /// When its head was read.
    pub received: Instant,
    /// Who asks.
    pub client: Arc<Client>,
    /// What is asked.
    pub question: Question,
    /// The smallest budget that the transport's headers name.
    pub header_budget: Option<Duration>,
    /// How long reading the body's bytes into the question took.
    pub decode: Duration,
}

/// Decides, and counts what came of it.
pub async fn decide(gateway: &Gateway, arrival: Arrival) -> Result<Answer, Rejection> {
    let received = arrival.received;
    let outcome = async {
        let permit = gateway.admission.admit()?;
        pipeline::decide(gateway, arrival, permit).await
    }
    .await;
    match outcome {
        Ok((mut answer, metrics, deadline)) => {
            let now = Instant::now();
            answer.timings_us.total = now - received;
            metrics.answered(&answer, deadline.is_late(now));
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
