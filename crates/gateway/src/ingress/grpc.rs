//! `gavel.v1.DecisionService`, with the standard health and reflection services beside it.

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware};
use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Request, Response, Status, service::Routes};

use super::{
    Arrival, Received, framing,
    http::{header_budget, server_timing},
    protobuf::{self, DESCRIPTOR_SET, v1},
};
use crate::{answer::Answer, pipeline::Gateway, rejection::Rejection};

/// The service.
#[derive(Debug)]
struct Decisions {
    gateway: Arc<Gateway>,
}

/// The gRPC routes, and what tells their health.
pub fn routes(gateway: Arc<Gateway>) -> (Router, Health) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let limit_bytes = gateway.max_body_bytes;
    let decisions = Decisions {
        gateway: Arc::clone(&gateway),
    };
    let decisions = v1::decision_service_server::DecisionServiceServer::new(decisions)
        .max_decoding_message_size(limit_bytes);
    let decisions = Routes::new(decisions).into_axum_router().reset_fallback();
    let decisions = decisions.layer(middleware::from_fn_with_state(gateway, framing::mend));
    let mut routes = Routes::builder();
    routes.add_service(health);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Both descriptor sets are built with this program; a test reads them back.
    if let Ok(service) = reflection().build_v1() {
        routes.add_service(service);
    }
    if let Ok(service) = reflection().build_v1alpha() {
        routes.add_service(service);
    }
    let standard = routes.routes().into_axum_router().reset_fallback();
    (standard.merge(decisions), Health { reporter })
}

/// Tells gRPC clients whether to send requests here.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: tonic_health::server::HealthReporter,
}

impl Health {
    /// For the whole server and for the decision service.
    pub async fn set(&self, serving: bool) {
        use tonic_health::ServingStatus::{NotServing, Serving};
        let status = if serving { Serving } else { NotServing };
        self.reporter.set_service_status("", status).await;
        self.reporter
            .set_service_status("gavel.v1.DecisionService", status)
            .await;
    }

    /// Says that nothing is served any more and ends the streams of those who watch, which would
    /// otherwise keep their connections open.
    pub async fn close(mut self) {
        self.set(false).await;
        self.reporter.clear_service_status("").await;
        self.reporter
            .clear_service_status("gavel.v1.DecisionService")
            .await;
    }
}

#[tonic::async_trait]
impl v1::decision_service_server::DecisionService for Decisions {
    async fn decide(
        &self,
        request: Request<v1::DecideRequest>,
    ) -> Result<Response<v1::DecideResponse>, Status> {
        match self.answer(request).await {
            Ok(answer) => {
                let server_timing = server_timing(&answer.timings_us);
                let mut response = Response::new(protobuf::response(answer));
                if let Ok(value) = server_timing.parse() {
                    response.metadata_mut().insert("server-timing", value);
                }
                Ok(response)
            }
            Err(rejection) => {
                self.gateway.telemetry.rejected(rejection.kind);
                Err(rejection.into())
            }
        }
    }
}

impl Decisions {
    async fn answer(&self, request: Request<v1::DecideRequest>) -> Result<Answer, Rejection> {
        let received = Received::of(request.extensions());
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let client = self.gateway.clients.admit(&headers)?;
        let header_budget = match (header_budget(&headers)?, grpc_timeout(&headers)?) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let decoding = Instant::now();
        let question = protobuf::question(message)?;
        let decode = decoding.elapsed();
        let arrival = Arrival {
            received,
            client,
            question,
            header_budget,
            decode,
        };
        super::decide(&self.gateway, arrival).await
    }
}

/// `grpc-timeout`: at most eight digits and a unit, as the gRPC over HTTP/2 protocol defines it.
fn grpc_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Rejection> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    parse_grpc_timeout(text).map(Some).ok_or_else(|| {
        Rejection::invalid(format!(
            "`grpc-timeout` is `{text}`, expected up to 8 digits and one of H M S m u n"
        ))
    })
}

fn parse_grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read_as_the_protocol_says() {
        assert_eq!(parse_grpc_timeout("50m"), Some(Duration::from_millis(50)));
        assert_eq!(
            parse_grpc_timeout("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        assert_eq!(parse_grpc_timeout("0n"), Some(Duration::ZERO));
        for bad in ["", "m", "5", "-5m", "5x", "123456789m", "5 m", "５m"] {
            assert_eq!(parse_grpc_timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_descriptor_sets_that_reflection_serves_are_whole() {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        assert!(builder.build_v1().is_ok());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_timeouts_never_panic(text in ".{0,12}") {
            parse_grpc_timeout(&text);
        }
    }
}
