//! Events from protobuf, and what became of them as a message: `proto/gavel/v1/event.proto`.
//!
//! The generated types do not leave `ingress`.

use features::Value;
use prost::Message as _;

use super::protobuf::v1;
use crate::ingest::{EventMessage, Posted};

/// Reads one event.
///
/// # Errors
/// The bytes are no `gavel.v1.Event`, in words.
pub fn decode(bytes: &[u8]) -> Result<EventMessage, String> {
    v1::Event::decode(bytes)
        .map(message)
        .map_err(|error| format!("not a gavel.v1.Event: {error}"))
}

/// Reads the body of `POST /v1/events`.
///
/// # Errors
/// The bytes are no `gavel.v1.PostEventsRequest`, in words.
pub fn decode_request(bytes: &[u8]) -> Result<Vec<EventMessage>, String> {
    v1::PostEventsRequest::decode(bytes)
        .map(|request| request.events.into_iter().map(message).collect())
        .map_err(|error| format!("not a gavel.v1.PostEventsRequest: {error}"))
}

/// Writes what became of posted events.
pub fn encode_response(posted: Posted) -> Vec<u8> {
    let rejected = posted.rejected.into_iter();
    let rejected = rejected.map(|rejected| v1::RejectedEvent {
        index: rejected.index as u64,
        kind: rejected.kind.to_owned(),
        detail: rejected.detail,
    });
    let response = v1::PostEventsResponse {
        accepted: posted.accepted,
        duplicates: posted.duplicates,
        late: posted.late,
        rejected: rejected.collect(),
    };
    response.encode_to_vec()
}

fn message(event: v1::Event) -> EventMessage {
    let value = |value: v1::Value| match value.kind? {
        v1::value::Kind::Number(number) => Some(Value::Float64(number)),
        v1::value::Kind::Integer(number) => Some(Value::Int64(number)),
        v1::value::Kind::Text(text) => Some(Value::String(text.into())),
        v1::value::Kind::Flag(flag) => Some(Value::Bool(flag)),
    };
    let fields = event.fields.into_iter();
    EventMessage {
        kind: event.r#type,
        id: Some(event.id).filter(|id| !id.is_empty()),
        time_us: event.time.map(|time| {
            let seconds = time.seconds.saturating_mul(1_000_000);
            seconds.saturating_add(i64::from(time.nanos) / 1000)
        }),
        fields: fields
            .filter_map(|(name, field)| Some((name, value(field)?)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_with_its_time_in_microseconds() {
        let value = |kind| v1::Value { kind: Some(kind) };
        let event = v1::Event {
            r#type: "payment".into(),
            id: String::new(),
            time: Some(prost_types::Timestamp {
                seconds: 2,
                nanos: 500_000_999,
            }),
            fields: [
                ("amount".to_owned(), value(v1::value::Kind::Number(1.5))),
                ("nothing".to_owned(), v1::Value { kind: None }),
            ]
            .into(),
        };
        let read = decode(&event.encode_to_vec()).unwrap();
        assert_eq!(read.kind, "payment");
        assert_eq!(read.id, None);
        assert_eq!(read.time_us, Some(2_500_000));
        assert_eq!(read.fields, [("amount".to_owned(), Value::Float64(1.5))]);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = decode_request(&bytes);
        }
    }
}
