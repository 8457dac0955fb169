//! Events over HTTP, and the decisions that see them.

use futures::{StreamExt as _, stream};
use gateway::ingress::protobuf::v1;
use prost::Message as _;
use serde_json::{Value, json};
use testkit::Redis;

use crate::{
    support::{
        ask::{self, Answer},
        gateway::Gateway,
    },
    world::{self, lines, payment, setup, store_url, total, undisturbed, values},
};

const JSON: (&str, &str) = ("content-type", "application/json");
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

async fn post(gateway: &Gateway, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let url = format!("{}/v1/events", gateway.url());
    let answer = ask::try_post(&ask::http1(), &url, headers, body.into()).await;
    answer.unwrap_or_else(|| panic!("no answer:\n{}", gateway.log()))
}

async fn posted(gateway: &Gateway, body: &Value) -> Value {
    let answer = post(gateway, &[JSON], body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn nothing_but(accepted: u64) -> Value {
    json!({"accepted": accepted, "duplicates": 0, "late": 0, "rejected": []})
}

/// Whether the card was used three times or more.
async fn action(gateway: &Gateway, card: &str) -> Value {
    let question =
        json!({"decision": "velocity", "entities": {"card_id": card}, "inputs": {"amount": 1}});
    gateway.decide(&question).await["action"].clone()
}

fn payment_of(card: &str, number: usize, start: f64) -> Value {
    let mut event = payment(number, start);
    event["card_id"] = card.into();
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_sees_what_was_posted_before_it() {
    let start = world::start();
    let redis = Redis::start();
    for setup in [setup(), setup().flag("store", redis.url())] {
        let gateway = setup.start().await;
        for round in 0..20 {
            let card = format!("card-{round}");
            assert_eq!(action(&gateway, &card).await, "few");
            for number in 0..3 {
                assert_eq!(action(&gateway, &card).await, "few");
                let event = payment_of(&card, round * 3 + number, start);
                assert_eq!(posted(&gateway, &event).await, nothing_but(1));
            }
            assert_eq!(action(&gateway, &card).await, "many", "round {round}");
        }
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill() {
    let start = world::start();
    let mut gateway = setup().start().await;
    for round in 0..5 {
        let numbers = round * 10..(round + 1) * 10;
        let events: Vec<Value> = numbers.map(|number| payment(number, start)).collect();
        assert_eq!(
            posted(&gateway, &json!({"events": events})).await,
            nothing_but(10)
        );
        gateway = gateway.kill().await.start().await;
    }
    let setup = gateway.kill().await;
    let now = values(&store_url(&setup), start).await;
    assert_eq!(now, undisturbed(&lines(0..50, start), start).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_of_two_gateways_lose_and_double_nothing() {
    let start = world::start();
    let redis = Redis::start();
    let one = setup().flag("store", redis.url()).start().await;
    let two = setup().flag("store", redis.url()).start().await;
    let (one, two) = (&one, &two);
    let calls = (0..400).map(|number| {
        let gateway = if number % 2 == 0 { one } else { two };
        async move {
            // Each payment is sent twice: the second counts as a duplicate, whoever takes it.
            let event = payment(number, start);
            let other = if number % 3 == 0 { one } else { gateway };
            let first = posted(gateway, &event).await;
            let second = posted(other, &event).await;
            assert_eq!(first, nothing_but(1));
            assert_eq!(second["duplicates"], 1, "{second}");
        }
    });
    let calls: Vec<_> = calls.collect();
    stream::iter(calls)
        .for_each_concurrent(16, |call| call)
        .await;
    let now = values(&redis.url(), start).await;
    assert_eq!(total(&now), 400);
    assert_eq!(now, undisturbed(&lines(0..400, start), start).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_write_events_down_is_read() {
    let start = world::start();
    let gateway = setup().start().await;
    let answer = post(&gateway, &[LINES], lines(0..3, start)).await;
    assert_eq!(answer.json(), nothing_but(3));
    let login = json!({"type": "login", "at": "2020-01-01T00:00:00Z", "card_id": "c1"});
    assert_eq!(posted(&gateway, &login).await, nothing_but(1));
    let request = v1::PostEventsRequest {
        events: vec![v1::Event {
            r#type: "login".into(),
            time: Some(prost_types::Timestamp {
                seconds: 1_600_000_000,
                nanos: 0,
            }),
            fields: [(
                "card_id".to_owned(),
                v1::Value {
                    kind: Some(v1::value::Kind::Text("c1".into())),
                },
            )]
            .into(),
            ..v1::Event::default()
        }],
    };
    let answer = post(&gateway, &[PROTOBUF], request.encode_to_vec()).await;
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    let response = v1::PostEventsResponse::decode(answer.body).unwrap();
    assert_eq!((response.accepted, response.rejected.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_told_what_became_of_it() {
    let start = world::start();
    let gateway = setup().start().await;
    let mut late = payment(1, start - 3.0 * 3600.0);
    late["id"] = "late".into();
    let mut broken = payment(2, start);
    broken["amount"] = "much".into();
    let events = json!({"events": [
        payment(1, start), payment(1, start), late, broken, {"type": "paymet"}, {"type": "payment"},
    ]});
    let answer = posted(&gateway, &events).await;
    assert_eq!(answer["accepted"], 1, "{answer}");
    assert_eq!(answer["duplicates"], 1, "{answer}");
    assert_eq!(answer["late"], 1, "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    let told: Vec<(u64, &str)> = rejected
        .iter()
        .map(|one| {
            (
                one["index"].as_u64().unwrap(),
                one["kind"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(3, "wrong_type"), (4, "unknown_type"), (5, "no_time")]
    );
    assert!(
        rejected[1]["detail"].as_str().unwrap().contains("payment"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_no_events_is_refused_whole() {
    let start = world::start();
    let gateway = setup().start().await;
    for (header, body, said) in [
        (JSON, "{", "not events in JSON"),
        (JSON, "", "not events in JSON"),
        (JSON, "[]", "a JSON array"),
        (JSON, "{}", "neither an event"),
        (JSON, r#"{"type": 5}"#, "type"),
        (JSON, r#"{"events": [{"type": "payment"}, 7]}"#, "events[1]"),
        (JSON, r#"{"events": [], "more": 1}"#, "unknown field"),
        (
            JSON,
            "{\"type\":\"payment\"}\n{\"type\":\"payment\"}",
            "application/x-ndjson",
        ),
        (LINES, "one\ntwo\n", "no line of the body is an event"),
        (
            PROTOBUF,
            "\u{1}\u{2}\u{3}",
            "not a gavel.v1.PostEventsRequest",
        ),
    ] {
        let answer = post(&gateway, &[header], body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.text().contains(said), "{body}: {}", answer.text());
    }
    // Over HTTP/2, where an answer does not wait for the rest of the body.
    let huge = payment_of(&"x".repeat(2 << 20), 1, start).to_string();
    let url = format!("{}/v1/events", gateway.url());
    let answer = ask::try_post(&ask::http2(), &url, &[JSON], huge).await;
    assert_eq!(answer.unwrap().status, 413);
    let xml = post(&gateway, &[("content-type", "text/xml")], "<a/>").await;
    assert_eq!(xml.status, 415);
    let got = ask::get(&format!("{}/v1/events", gateway.url()))
        .await
        .unwrap();
    assert_eq!((got.status, got.header("allow")), (405, "POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sends_the_types_that_it_may() {
    let start = world::start();
    // sha256 of "secret".
    let key = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let config =
        format!("[[clients]]\nname = 'till'\nkey_sha256 = '{key}'\nevents = ['payment']\n");
    let gateway = setup().config(&config).start().await;
    let event = payment(1, start).to_string();
    assert_eq!(post(&gateway, &[JSON], event.clone()).await.status, 401);
    let authorized = [JSON, ("x-api-key", "secret")];
    assert_eq!(
        post(&gateway, &authorized, event).await.json(),
        nothing_but(1)
    );
    let login = r#"{"type": "login", "at": "2020-01-01T00:00:00Z", "card_id": "c1"}"#;
    let refused = post(&gateway, &authorized, login).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_told_and_what_is_sent_again_counts_once() {
    let start = world::start();
    let redis = Redis::start();
    let gateway = setup().flag("store", redis.url()).start().await;
    assert_eq!(posted(&gateway, &payment(0, start)).await, nothing_but(1));
    redis.stop();
    let answer = post(&gateway, &[JSON], payment(1, start).to_string()).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(!answer.header("retry-after").is_empty());
    redis.cont();
    let again = posted(&gateway, &payment(1, start)).await;
    let counted = again["accepted"].as_u64().unwrap() + again["duplicates"].as_u64().unwrap();
    assert_eq!(counted, 1, "{again}");
    let now = values(&redis.url(), start).await;
    assert_eq!(total(&now), 2);
}
