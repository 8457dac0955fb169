//! `POST /v1/events`: events as JSON, a line each, or protobuf; answered once the store has them.

use std::{sync::Arc, time::SystemTime};

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{json, value::RawValue};

use super::{body, event_message};
use crate::{
    admission::RETRY_AFTER,
    ingest::{Format, Poison, Posted, Rejected, Typed, Types, Unwritten, count_rejected},
    pipeline::Gateway,
    rejection::{Kind, Rejection, Violation},
};

/// The largest body, in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;
/// The most events in one body.
pub(super) const MAX_EVENTS: usize = 10_000;
/// Violations that an answer shows.
const SHOWN: usize = 20;

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    /// One event, or a list under `events`.
    Json,
    /// An event a line.
    Lines,
    Protobuf,
}

/// What was read of one event.
type Read = Result<Typed, Poison>;

pub(super) async fn post(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    match take(&gateway, request).await {
        Ok((posted, Media::Protobuf)) => answer(
            event_message::encode_response(posted),
            "application/x-protobuf",
        ),
        Ok((posted, _)) => answer(encode(&posted), "application/json"),
        Err(rejection) => {
            gateway.telemetry.rejected(rejection.kind);
            rejection.into_response()
        }
    }
}

async fn take(gateway: &Gateway, request: Request) -> Result<(Posted, Media), Rejection> {
    let client = gateway.clients.admit(request.headers())?;
    let media = media(request.headers())?;
    let bytes = body::read(request.into_body(), MAX_BODY_BYTES).await?;
    let types = gateway.live.types();
    let now = SystemTime::now();
    let read = match media {
        Media::Json => json(types, &bytes, now)?,
        Media::Lines => lines(types, &bytes, now)?,
        Media::Protobuf => protobuf(types, &bytes, now)?,
    };
    if read.len() > MAX_EVENTS {
        let count = read.len();
        let detail = format!("{count} events were sent at once, at most {MAX_EVENTS} may be");
        return Err(Rejection::invalid(detail));
    }
    let mut events = Vec::with_capacity(read.len());
    let mut rejected = Vec::new();
    for (index, event) in read.into_iter().enumerate() {
        match event {
            Ok(typed) => {
                client.may_post(typed.kind.name())?;
                events.push(typed);
            }
            Err(poison) => {
                count_rejected(&poison);
                rejected.push(Rejected {
                    index,
                    kind: poison.kind,
                    detail: poison.why,
                });
            }
        }
    }
    let mut posted = gateway
        .live
        .post(events)
        .await
        .map_err(|unwritten: Unwritten| {
            Rejection::new(Kind::Overloaded, unwritten.to_string()).retry_after(RETRY_AFTER)
        })?;
    posted.rejected = rejected;
    Ok((posted, media))
}

/// The format that `content-type` names. What curl sends when told nothing is read as JSON.
fn media(headers: &HeaderMap) -> Result<Media, Rejection> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Media::Json);
    };
    let written = value.to_str().unwrap_or_default();
    let media_type = written.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "application/json" | "application/x-www-form-urlencoded" => Ok(Media::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Media::Lines),
        "application/x-protobuf" | "application/protobuf" => Ok(Media::Protobuf),
        _ => {
            let detail = format!(
                "content-type is `{media_type}`, expected `application/json`, `application/x-ndjson` or `application/x-protobuf`"
            );
            Err(Rejection::new(Kind::UnsupportedMediaType, detail))
        }
    }
}

/// One event, or `{"events": […]}`. An event that is no object with a `type` makes the whole body one
/// that can't be read.
fn json(types: &Types, body: &[u8], now: SystemTime) -> Result<Vec<Read>, Rejection> {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(rename = "type")]
        kind: Option<IgnoredAny>,
        events: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Several<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    let unreadable = |error: serde_json::Error| {
        let hint = match error.to_string().starts_with("trailing characters") {
            true => "; one event a line is sent as `application/x-ndjson`",
            false => "",
        };
        Rejection::invalid(format!("not events in JSON: {error}{hint}"))
    };
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Rejection::invalid(
            "the body is a JSON array, expected an event, or a list of them as {\"events\": […]}",
        ));
    }
    let probe: Probe = serde_json::from_slice(body).map_err(unreadable)?;
    if probe.kind.is_none() && probe.events.is_none() {
        return Err(Rejection::invalid(
            "the body is neither an event, which has a `type`, nor a list of them as {\"events\": […]}",
        ));
    }
    let read = |payload: &[u8]| types.read(Format::Json, payload, None, now);
    let (read, single): (Vec<Read>, bool) = if probe.kind.is_some() {
        (vec![read(body)], true)
    } else {
        let several: Several<'_> = serde_json::from_slice(body).map_err(unreadable)?;
        let payloads = several.events.iter();
        (
            payloads.map(|raw| read(raw.get().as_bytes())).collect(),
            false,
        )
    };
    let shapeless = read.iter().enumerate().filter_map(|(index, event)| {
        let poison = event
            .as_ref()
            .err()
            .filter(|poison| poison.is_shapeless())?;
        let field = match single {
            true => "type".to_owned(),
            false => format!("events[{index}]"),
        };
        let detail = poison.why.clone();
        Some(Violation { field, detail })
    });
    let shapeless: Vec<Violation> = shapeless.take(SHOWN).collect();
    if shapeless.is_empty() {
        Ok(read)
    } else {
        Err(Rejection::violations(shapeless))
    }
}

/// An event a line. A line that is none is rejected by itself, unless all are.
fn lines(types: &Types, body: &[u8], now: SystemTime) -> Result<Vec<Read>, Rejection> {
    let lines = body.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    let read: Vec<Read> = lines
        .take(MAX_EVENTS + 1)
        .map(|line| types.read(Format::Json, line, None, now))
        .collect();
    let is_shapeless = |event: &Read| event.as_ref().is_err_and(Poison::is_shapeless);
    match read.first() {
        Some(Err(first)) if read.iter().all(is_shapeless) => Err(Rejection::invalid(format!(
            "no line of the body is an event; the first: {}",
            first.why
        ))),
        _ => Ok(read),
    }
}

fn protobuf(types: &Types, body: &[u8], now: SystemTime) -> Result<Vec<Read>, Rejection> {
    let messages = event_message::decode_request(body).map_err(Rejection::invalid)?;
    let messages = messages.into_iter().take(MAX_EVENTS + 1);
    Ok(messages
        .map(|message| types.message(message, None, now))
        .collect())
}

fn encode(posted: &Posted) -> Vec<u8> {
    let rejected: Vec<_> = posted
        .rejected
        .iter()
        .map(|rejected| {
            json!({"index": rejected.index, "kind": rejected.kind, "detail": rejected.detail})
        })
        .collect();
    json!({
        "accepted": posted.accepted,
        "duplicates": posted.duplicates,
        "late": posted.late,
        "rejected": rejected,
    })
    .to_string()
    .into_bytes()
}

fn answer(body: Vec<u8>, media_type: &'static str) -> Response {
    let mut response = Body::from(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
