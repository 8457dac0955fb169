//! The only place that says what a refused request looks like, over HTTP and over gRPC.
//!
//! The kinds are few, stable, and the label of the metric; the detail is for the person who reads it.
//! HTTP bodies are `application/problem+json` (RFC 9457); gRPC carries `google.rpc` details.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or does not fit the decision.
    InvalidRequest,
    /// Its key is missing or unknown.
    Unauthenticated,
    /// Its key is not for this decision.
    Forbidden,
    /// There is no such decision.
    UnknownDecision,
    /// There is no such path.
    NotFound,
    /// The path has no such method.
    MethodNotAllowed,
    /// The body is larger than what is read.
    PayloadTooLarge,
    /// The body is neither JSON nor protobuf.
    UnsupportedMediaType,
    /// The client asks faster than agreed.
    RateLimited,
    /// More is in flight than even rules keep up with.
    Overloaded,
    /// The process is starting or draining.
    NotReady,
}

impl Kind {
    /// Every kind, for the documents that list them.
    pub const ALL: [Self; 11] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::UnknownDecision,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::Overloaded,
        Self::NotReady,
    ];

    /// The stable name: the problem's `kind`, the metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::UnknownDecision => "unknown_decision",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::NotReady => "not_ready",
        }
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::UnknownDecision | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited | Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The canonical gRPC code.
    pub fn code(self) -> tonic::Code {
        match self {
            Self::InvalidRequest | Self::UnsupportedMediaType => tonic::Code::InvalidArgument,
            Self::Unauthenticated => tonic::Code::Unauthenticated,
            Self::Forbidden => tonic::Code::PermissionDenied,
            Self::UnknownDecision => tonic::Code::NotFound,
            Self::NotFound | Self::MethodNotAllowed => tonic::Code::Unimplemented,
            Self::PayloadTooLarge => tonic::Code::OutOfRange,
            Self::RateLimited | Self::Overloaded => tonic::Code::ResourceExhausted,
            Self::NotReady => tonic::Code::Unavailable,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is not valid",
            Self::Unauthenticated => "The key is missing or unknown",
            Self::Forbidden => "The key is not for this decision",
            Self::UnknownDecision => "There is no such decision",
            Self::NotFound => "There is no such path",
            Self::MethodNotAllowed => "The path has no such method",
            Self::PayloadTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body is neither JSON nor protobuf",
            Self::RateLimited => "Too many requests from this client",
            Self::Overloaded => "Too many requests at once",
            Self::NotReady => "Starting or shutting down",
        }
    }
}

/// Wrong fields that one refusal lists.
const MAX_VIOLATIONS: usize = 16;

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Dotted, e.g. `inputs.amount`.
    pub field: String,
    /// What was found and what was expected.
    pub detail: String,
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub kind: Kind,
    /// A sentence for the caller's engineer.
    pub detail: String,
    /// Every field that is wrong, where fields are.
    pub violations: Vec<Violation>,
    /// When to come back, for the two kinds of 429 and for `not_ready`.
    pub retry_after: Option<Duration>,
}

impl Rejection {
    /// A refusal with a sentence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// An invalid request.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest, detail)
    }

    /// An invalid request, field by field. More than a few are counted, not listed: gRPC carries
    /// them in headers, which clients bound.
    pub fn violations(mut violations: Vec<Violation>) -> Self {
        let more = violations.len().saturating_sub(MAX_VIOLATIONS);
        violations.truncate(MAX_VIOLATIONS);
        let detail = match violations.as_slice() {
            [only] => format!("{}: {}", only.field, only.detail),
            many if more > 0 => format!(
                "{} fields are wrong: {} and {more} more",
                many.len() + more,
                names(many)
            ),
            many => format!("{} fields are wrong: {}", many.len(), names(many)),
        };
        Self {
            violations,
            ..Self::invalid(detail)
        }
    }

    /// The same refusal with a time to come back.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

fn names(violations: &[Violation]) -> String {
    violations
        .iter()
        .map(|v| v.field.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let mut body = json!({
            "type": format!("urn:gavel:problem:{}", self.kind.name()),
            "title": self.kind.title(),
            "status": status.as_u16(),
            "kind": self.kind.name(),
            "detail": self.detail,
        });
        if !self.violations.is_empty() {
            body["errors"] = self
                .violations
                .iter()
                .map(|v| json!({"field": v.field, "detail": v.detail}))
                .collect();
        }
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(wait) = self.retry_after {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(wait.as_secs_f64().ceil().max(1.0) as u64),
            );
        }
        if self.kind == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Rejection> for tonic::Status {
    fn from(rejection: Rejection) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            rejection.kind.name(),
            "gavel",
            std::collections::HashMap::new(),
        );
        if !rejection.violations.is_empty() {
            let violations = rejection.violations.iter().map(|v| FieldViolation {
                field: v.field.clone(),
                description: v.detail.clone(),
                ..FieldViolation::default()
            });
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        if let Some(wait) = rejection.retry_after {
            details.set_retry_info(Some(wait));
        }
        tonic::Status::with_error_details(rejection.kind.code(), rejection.detail, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_429_say_when_to_come_back_in_whole_seconds() {
        for kind in [Kind::RateLimited, Kind::Overloaded] {
            let response = Rejection::new(kind, "later")
                .retry_after(Duration::from_millis(20))
                .into_response();
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        }
    }

    #[test]
    fn no_kind_is_a_500_and_only_not_ready_is_a_503() {
        for kind in Kind::ALL {
            let status = kind.status().as_u16();
            assert!(
                status < 500 || (status == 503 && kind == Kind::NotReady),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn grpc_carries_the_kind_the_fields_and_the_wait() {
        let violation = Violation {
            field: "inputs.amount".into(),
            detail: "expected a number".into(),
        };
        let rejection = Rejection::violations(vec![violation]).retry_after(Duration::from_secs(2));
        let status = tonic::Status::from(rejection);
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "invalid_request");
        assert_eq!(
            details.bad_request().unwrap().field_violations[0].field,
            "inputs.amount"
        );
        assert_eq!(
            details.retry_info().unwrap().retry_delay,
            Some(Duration::from_secs(2))
        );
    }
}
