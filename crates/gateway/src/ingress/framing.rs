//! What tonic refuses by itself, before there is a message: frames and bytes that are none, messages
//! too large or too slow. It calls most of that our fault (`INTERNAL`); here it becomes the caller's,
//! with the kinds, details and counters of every other refusal.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tonic::{Code, Status};

use super::is_grpc;
use crate::{
    admission::RETRY_AFTER,
    pipeline::Gateway,
    rejection::{Kind, Rejection},
};

/// The layer around the contract's service.
pub(super) async fn mend(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response {
    if !is_grpc(request.headers()) {
        let detail = "this path speaks gRPC (content-type `application/grpc`); JSON and protobuf bodies go to POST /v1/decide";
        let rejection = Rejection::new(Kind::UnsupportedMediaType, detail);
        gateway.telemetry.rejected(rejection.kind);
        return rejection.into_response();
    }
    let response = next.run(request).await;
    let status = Status::from_header_map(response.headers());
    match status.and_then(|status| refusal(&status, gateway.max_body_bytes)) {
        None => response,
        Some(rejection) => {
            gateway.telemetry.rejected(rejection.kind);
            Status::from(rejection).into_http()
        }
    }
}

/// What a status of tonic's own means; one with details is ours already.
fn refusal(status: &Status, limit_bytes: usize) -> Option<Rejection> {
    if !status.details().is_empty() {
        return None;
    }
    let message = status.message();
    match status.code() {
        Code::Internal => Some(Rejection::invalid(format!(
            "not a gavel.v1.DecideRequest: {message}"
        ))),
        Code::Unknown => Some(Rejection::invalid(format!(
            "the message did not arrive: {message}"
        ))),
        Code::OutOfRange => Some(Rejection::new(
            Kind::PayloadTooLarge,
            format!("the message is larger than {limit_bytes} bytes"),
        )),
        // The reader of bodies found no room.
        Code::ResourceExhausted => {
            Some(Rejection::new(Kind::Overloaded, message).retry_after(RETRY_AFTER))
        }
        _ => None,
    }
}
