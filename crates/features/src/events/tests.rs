//! Reading events: what is taken, what is ignored, and every refusal by its kind.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;

const DEFINITIONS: &str = r#"
[entities]
card_id = "string"
store_id = "int64"

[events.payment]
id = "meta.id"
time = "timestamp"
[events.payment.fields]
card_id = "string"
store_id = { type = "int64", path = "store.id" }
amount = { type = "float64", path = "payment.amount" }
currency = { type = "string", path = "payment.currency" }
present = "bool"

[views.card]
entity = "card_id"
events = "payment"
features.n = { dtype = "int64", default = 0, aggregate = "count", window = "1h" }

[views.store]
entity = "store_id"
events = "payment"
features.n = { dtype = "int64", default = 0, aggregate = "count", window = "1h" }
"#;

fn payment() -> Arc<EventType> {
    let catalog = Catalog::parse(DEFINITIONS).unwrap();
    catalog.event_type("payment").unwrap().clone()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn parse(json: &str) -> Result<Event, EventError> {
    payment().parse_json(json.as_bytes(), now())
}

fn text(text: &str) -> Option<Value> {
    Some(Value::String(text.into()))
}

#[test]
fn named_fields_are_taken_from_wherever_they_are() {
    let events = payment();
    let event = parse(
        r#" {"timestamp":1600000000.25,"meta":{"id":77,"v":[1,{"a":2}]},"card_id":40220001,
             "payment":{"amount":12,"currency":"EUR","fees":{"amount":"x"}},"amount":"not this one",
             "present":true,"store":{"id":5},"noise":[[[]],{"timestamp":0}]} "#,
    )
    .unwrap();
    assert_eq!(event.time_us(), 1_600_000_000_250_000);
    assert_eq!(event.id, Some(hash::text("77")));
    let names = ["amount", "card_id", "currency", "present", "store_id"];
    let found = names.map(|name| events.value(&event, name).cloned());
    let (amount, present) = (Some(Value::Float64(12.0)), Some(Value::Bool(true)));
    let expected = [
        amount,
        text("40220001"),
        text("EUR"),
        present,
        Some(Value::Int64(5)),
    ];
    assert_eq!(found, expected);
    assert_eq!(events.value(&event, "noise"), None);

    let [card, store] = events.views() else {
        panic!("two views");
    };
    assert_eq!((card.name(), store.name()), ("card", "store"));
    assert_eq!(
        card.entity(&event),
        Some(vec![Value::String("40220001".into())])
    );
    assert_eq!(store.entity(&event), Some(vec![Value::Int64(5)]));

    // The same from fields that somebody else decoded.
    let fields = [
        ("card_id", Value::Int64(40_220_001)),
        ("amount", Value::Int64(12)),
        ("currency", Value::String("EUR".into())),
        ("present", Value::Bool(true)),
        ("store_id", Value::Int64(5)),
        ("noise", Value::Bool(false)),
    ];
    let same = events.from_fields(Some("77"), 1_600_000_000_250_000, fields, now());
    assert_eq!(same, Ok(event));
}

#[test]
fn what_is_null_or_absent_is_null() {
    let events = payment();
    let event = parse(r#"{"timestamp":1,"card_id":"4022","payment":null,"present":null}"#).unwrap();
    assert_eq!(event.id, None);
    for name in ["amount", "currency", "present", "store_id"] {
        assert_eq!(events.value(&event, name), None, "{name}");
    }
    // An event without a store does not touch the stores' view.
    assert_eq!(events.views()[1].entity(&event), None);
    assert!(events.views()[0].entity(&event).is_some());
    // Of a key that comes twice the last value counts.
    let event = parse(r#"{"timestamp":1,"card_id":"a","card_id":"b","store":{"id":1},"store":{}}"#);
    let event = event.unwrap();
    assert_eq!(events.value(&event, "card_id").cloned(), text("b"));
    assert_eq!(events.value(&event, "store_id"), None);
}

#[test]
fn every_refusal_has_its_kind_and_its_sentence() {
    let long_text = format!(
        r#"{{"timestamp":1,"card_id":"a","payment":{{"currency":"{}"}}}}"#,
        "x".repeat(65_537)
    );
    let long_key = format!(r#"{{"timestamp":1,"card_id":"{}"}}"#, "x".repeat(257));
    let too_long = format!(
        r#"{{"timestamp":1,"card_id":"a","x":"{}"}}"#,
        "x".repeat(5 << 20)
    );
    let cases: [(&str, EventErrorKind, &str); 20] = [
        (
            "",
            EventErrorKind::NotJson,
            "not a JSON object that can be read: EOF while parsing a value at line 1 column 0",
        ),
        (
            "[]",
            EventErrorKind::NotJson,
            "not a JSON object that can be read: invalid type: sequence, expected an object at line 1 column 0",
        ),
        (
            r#"{"timestamp":1,"card_id":"a"} x"#,
            EventErrorKind::NotJson,
            "not a JSON object that can be read: trailing characters at line 1 column 31",
        ),
        (
            r#"{"timestamp":1,"card_id":"a""#,
            EventErrorKind::NotJson,
            "not a JSON object that can be read: EOF while parsing an object at line 1 column 28",
        ),
        (
            r#"{"card_id":"a"}"#,
            EventErrorKind::NoTime,
            "the event has no time",
        ),
        (
            r#"{"timestamp":null,"card_id":"a"}"#,
            EventErrorKind::NoTime,
            "the event has no time",
        ),
        (
            r#"{"timestamp":"2019-08-31T10:00:00Z","card_id":"a"}"#,
            EventErrorKind::WrongType,
            "the time is \"2019-08-31T10:00:00Z\", not a number; `time_unit = \"rfc3339\"` reads text",
        ),
        (
            r#"{"timestamp":-1,"card_id":"a"}"#,
            EventErrorKind::TimeOutOfRange,
            "the time is -1000000 microseconds from 1970: before it",
        ),
        (
            r#"{"timestamp":1700000301,"card_id":"a"}"#,
            EventErrorKind::TimeInFuture,
            "the time is 301 s in the future, more than five minutes; check `time_unit` and the sender's clock",
        ),
        (
            r#"{"timestamp":1600000000000,"card_id":"a"}"#,
            EventErrorKind::TimeInFuture,
            "the time is 1598300000000 s in the future, more than five minutes; check `time_unit` and the sender's clock",
        ),
        (
            r#"{"timestamp":1}"#,
            EventErrorKind::NoEntity,
            "the event is about no entity: it needs `card_id`, or `store_id`",
        ),
        (
            r#"{"timestamp":1,"card_id":""}"#,
            EventErrorKind::EntityLength,
            "the entity `card_id` is 0 characters long, but a request can name 1 to 256",
        ),
        (
            &long_key,
            EventErrorKind::EntityLength,
            "the entity `card_id` is 257 characters long, but a request can name 1 to 256",
        ),
        (
            r#"{"timestamp":1,"card_id":1.5}"#,
            EventErrorKind::WrongType,
            "`card_id` is string, and 1.5 is not one",
        ),
        (
            r#"{"timestamp":1,"card_id":"a","present":1}"#,
            EventErrorKind::WrongType,
            "`present` is bool, and 1 is not one",
        ),
        (
            r#"{"timestamp":1,"card_id":"a","payment":{"amount":"12"}}"#,
            EventErrorKind::WrongType,
            "`amount` is float64, and \"12\" is not one",
        ),
        (
            r#"{"timestamp":1,"card_id":"a","payment":5}"#,
            EventErrorKind::WrongType,
            "`amount` is float64, and what lies in a value that is no object is not one",
        ),
        (
            r#"{"timestamp":1,"card_id":"a","payment":{"amount":1e999}}"#,
            EventErrorKind::NotFinite,
            "not a JSON object that can be read: number out of range at line 1 column 54",
        ),
        (
            &long_text,
            EventErrorKind::TextTooLong,
            "`currency` has 65537 bytes of text, more than 65536",
        ),
        (
            &too_long,
            EventErrorKind::EventTooLong,
            "the event has 5242916 bytes, more than 1048576",
        ),
    ];
    for (json, kind, message) in cases {
        let shown: String = json.chars().take(60).collect();
        let error = parse(json).expect_err(&shown);
        assert_eq!(
            (error.kind(), error.to_string()),
            (kind, message.to_owned()),
            "{shown}"
        );
    }
    let labels: std::collections::BTreeSet<&str> = EventErrorKind::ALL
        .into_iter()
        .map(EventErrorKind::label)
        .collect();
    assert_eq!(labels.len(), EventErrorKind::ALL.len());

    let nan = [
        ("card_id", Value::String("a".into())),
        ("amount", Value::Float64(f64::NAN)),
    ];
    let error = payment().from_fields(None, 1, nan, now()).unwrap_err();
    assert_eq!(error.kind(), EventErrorKind::NotFinite);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(json in r#"[{}\[\]":,a-e0-9.\-truefalsn]{0,60}"#) {
        _ = parse(&json);
    }

    #[test]
    fn values_are_read_as_they_are(amount: f64, store: i64, card in ".{1,40}", seconds in 0i64..1_700_000_000) {
        prop_assume!(amount.is_finite());
        let json = serde_json::json!({
            "timestamp": seconds, "card_id": card, "store": {"id": store}, "payment": {"amount": amount},
        });
        let events = payment();
        let event = parse(&json.to_string()).unwrap();
        prop_assert_eq!(event.time_us(), seconds * 1_000_000);
        prop_assert_eq!(events.value(&event, "card_id").cloned(), text(&card));
        prop_assert_eq!(events.value(&event, "store_id"), Some(&Value::Int64(store)));
        prop_assert_eq!(events.value(&event, "amount"), Some(&Value::Float64(amount + 0.0)));
    }
}
