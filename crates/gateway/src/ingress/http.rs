//! `POST /v1/decide` with JSON or protobuf, and the contract's document.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use prost::Message;
use tokio::time::Instant;

use super::{Arrival, Received, body, events, json, openapi, protobuf};
use crate::{
    answer::{Answer, Timings},
    pipeline::Gateway,
    rejection::{Kind, Rejection},
    request,
};

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Protobuf,
}

/// The HTTP routes.
pub fn routes(gateway: Arc<Gateway>) -> Router {
    // What is served does not change while the process runs.
    let document = openapi::document(gateway.decisions.definitions(), gateway.live.types());
    let document = Bytes::from(document.to_string());
    let document = move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], document) }
    };
    Router::new()
        .route("/v1/decide", post(decide))
        .route("/v1/events", post(events::post))
        .route("/openapi.json", get(document))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(gateway)
}

async fn decide(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let response_format = response_format(request.headers());
    match answer(&gateway, request).await {
        Ok((answer, asked_in)) => encode(answer, response_format.unwrap_or(asked_in)),
        Err(rejection) => {
            gateway.telemetry.rejected(rejection.kind);
            rejection.into_response()
        }
    }
}

async fn answer(gateway: &Gateway, request: Request) -> Result<(Answer, Format), Rejection> {
    let received = Received::of(request.extensions());
    let client = gateway.clients.admit(request.headers())?;
    let format = request_format(request.headers())?;
    let header_budget = header_budget(request.headers())?;
    let bytes = body::read(request.into_body(), gateway.max_body_bytes).await?;
    let decoding = Instant::now();
    let question = match format {
        Format::Json => json::decode(&bytes)?,
        Format::Protobuf => protobuf::decode(&bytes)?,
    };
    let decode = decoding.elapsed();
    let arrival = Arrival {
        received,
        client,
        question,
        header_budget,
        decode,
    };
    Ok((super::decide(gateway, arrival).await?, format))
}

/// The format that `content-type` names. What curl sends when told nothing is read as JSON.
fn request_format(headers: &HeaderMap) -> Result<Format, Rejection> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Format::Json);
    };
    let media_type = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    match media_type.to_ascii_lowercase().as_str() {
        "application/json" | "application/x-www-form-urlencoded" => Ok(Format::Json),
        "application/x-protobuf" | "application/protobuf" => Ok(Format::Protobuf),
        _ => {
            let detail = format!(
                "content-type is `{media_type}`, expected `application/json` or `application/x-protobuf`"
            );
            Err(Rejection::new(Kind::UnsupportedMediaType, detail))
        }
    }
}

/// The first format that `accept` names and does not rule out; `None` answers in the request's own.
fn response_format(headers: &HeaderMap) -> Option<Format> {
    let accept = headers.get(header::ACCEPT)?.to_str().ok()?;
    accept.split(',').find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next()? {
            "application/json" => Format::Json,
            "application/x-protobuf" | "application/protobuf" => Format::Protobuf,
            _ => return None,
        };
        // `q=0` is "not acceptable" (RFC 9110, section 12.4.2); other weights are not compared.
        let weights = parts.filter_map(|part| {
            let (name, weight) = part.split_once('=')?;
            name.eq_ignore_ascii_case("q").then_some(weight)
        });
        let mut weights = weights.map(str::parse::<f32>);
        weights.all(|weight| weight != Ok(0.0)).then_some(format)
    })
}

/// `x-request-timeout-ms`, where it is sent.
pub(super) fn header_budget(headers: &HeaderMap) -> Result<Option<Duration>, Rejection> {
    const NAME: &str = "x-request-timeout-ms";
    let Some(value) = headers.get(NAME) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let ms: f64 = text.trim().parse().map_err(|_| {
        Rejection::invalid(format!(
            "`{NAME}` is `{text}`, expected a number of milliseconds"
        ))
    })?;
    request::budget(NAME, ms)
        .map(Some)
        .map_err(|violation| Rejection::violations(vec![violation]))
}

fn encode(answer: Answer, format: Format) -> Response {
    let server_timing = server_timing(&answer.timings_us);
    let (body, media_type) = match format {
        Format::Json => match serde_json::to_vec(&answer) {
            Ok(body) => (body, "application/json"),
            // An answer holds strings, finite numbers and maps keyed by strings: JSON can spell all of it.
            Err(error) => unreachable!("an answer is always JSON: {error}"),
        },
        Format::Protobuf => (
            protobuf::response(answer).encode_to_vec(),
            "application/x-protobuf",
        ),
    };
    let mut response = Body::from(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(value) = HeaderValue::try_from(server_timing) {
        headers.insert("server-timing", value);
    }
    response
}

/// The timings as W3C Server Timing writes them: milliseconds.
pub(super) fn server_timing(timings: &Timings) -> String {
    let mut text = String::with_capacity(128);
    for (stage, took) in timings.stages() {
        let separator = if text.is_empty() { "" } else { ", " };
        // In whole microseconds, as in the body. Writing to a String cannot fail.
        let ms = took.as_micros() as f64 / 1e3;
        let _ = write!(text, "{separator}{stage};dur={ms:.3}");
    }
    text
}

async fn method_not_allowed(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    gateway.telemetry.rejected(Kind::MethodNotAllowed);
    let allowed = if ["/v1/decide", "/v1/events"].contains(&request.uri().path()) {
        "POST"
    } else {
        "GET, HEAD"
    };
    let detail = format!("{} is served with {allowed}", request.uri().path());
    let mut response = Rejection::new(Kind::MethodNotAllowed, detail).into_response();
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Also what a gRPC client gets that asks for an unknown service: its protocol's own answer.
async fn not_found(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    gateway.telemetry.rejected(Kind::NotFound);
    let detail = "decisions are asked for with POST /v1/decide or gavel.v1.DecisionService/Decide; events are sent with POST /v1/events; GET /openapi.json describes both";
    let rejection = Rejection::new(Kind::NotFound, detail);
    super::refuse(request.headers(), rejection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_body_is_what_content_type_says() {
        for (value, expected) in [
            ("application/json", Some(Format::Json)),
            ("application/JSON; charset=utf-8", Some(Format::Json)),
            ("application/x-www-form-urlencoded", Some(Format::Json)),
            ("application/x-protobuf", Some(Format::Protobuf)),
            ("text/xml", None),
            ("", None),
        ] {
            assert_eq!(
                request_format(&headers(&[("content-type", value)])).ok(),
                expected,
                "{value}"
            );
        }
        assert_eq!(request_format(&HeaderMap::new()).ok(), Some(Format::Json));
    }

    #[test]
    fn the_answer_is_what_accept_says_or_as_the_question_came() {
        let accept = |value: &str| response_format(&headers(&[("accept", value)]));
        assert_eq!(
            accept("text/html, application/x-protobuf;q=0.9, */*"),
            Some(Format::Protobuf)
        );
        for ruled_out in ["q=0", "Q=0.000", "v=1; q=0.0"] {
            let value = format!("application/json;{ruled_out}, application/x-protobuf");
            assert_eq!(accept(&value), Some(Format::Protobuf), "{value}");
        }
        assert_eq!(accept("application/json;q=0"), None);
        assert_eq!(accept("application/json;q=0.001"), Some(Format::Json));
        assert_eq!(accept("*/*"), None);
        assert_eq!(response_format(&HeaderMap::new()), None);
    }

    #[test]
    fn a_malformed_timeout_header_is_refused() {
        for bad in ["soon", "", "-5", "0", "NaN", "inf", "1e12"] {
            assert!(
                header_budget(&headers(&[("x-request-timeout-ms", bad)])).is_err(),
                "{bad}"
            );
        }
        let good = header_budget(&headers(&[("x-request-timeout-ms", "50")])).unwrap();
        assert_eq!(good, Some(Duration::from_millis(50)));
    }

    #[test]
    fn server_timing_is_in_milliseconds() {
        let timings = Timings {
            total: Duration::from_nanos(1_840_900),
            tiers: vec![("primary".into(), Duration::from_micros(1420))],
            ..Timings::default()
        };
        assert_eq!(
            server_timing(&timings),
            "total;dur=1.840, decode;dur=0.000, features;dur=0.000, primary;dur=1.420, policy;dur=0.000"
        );
    }
}
