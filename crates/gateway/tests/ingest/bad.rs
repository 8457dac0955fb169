//! What is no event never stops the stream and is never lost.

use std::fs;

use broker::{Consumer, Delivery, Options, Producer, Start, Subscription};
use serde_json::{Value, json};
use testkit::{Kafka, KafkaCluster, Redis};
use tokio::time::{Instant, timeout};

use crate::{
    support::{ask, eventually, gateway::Setup},
    world::{self, LONG, lines, payment, setup, store_url, total, values, write},
};

fn letters(setup: &Setup) -> Vec<Value> {
    let text = fs::read_to_string(setup.folder().join("data/dead-letters.jsonl"));
    let text = text.unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Lines that are no payments, each with the kind that it is told as.
fn poison(start: f64) -> Vec<(&'static str, String)> {
    let with = |field: &str, value: Value| {
        let mut event = payment(1, start);
        event[field] = value;
        event.to_string()
    };
    let without = |field: &str| {
        let mut event = payment(1, start);
        event.as_object_mut().unwrap().remove(field);
        event.to_string()
    };
    let mut homeless = payment(1, start);
    for field in ["card_id", "store_id"] {
        homeless.as_object_mut().unwrap().remove(field);
    }
    vec![
        ("not_json", "{\"id\": ".to_owned()),
        ("not_json", "[1, 2]".to_owned()),
        ("no_time", without("timestamp")),
        ("no_entity", homeless.to_string()),
        ("entity_length", with("card_id", "x".repeat(300).into())),
        ("wrong_type", with("amount", "much".into())),
        ("time_out_of_range", with("timestamp", Value::from(-1))),
        (
            "time_in_future",
            with("timestamp", Value::from(start + 86_400.0)),
        ),
        ("event_too_long", with("note", "x".repeat(5 << 20).into())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_in_a_file_is_kept_with_its_reason_and_the_rest_is_counted() {
    let start = world::start();
    let setup = setup();
    let mut text = lines(0..50, start).into_bytes();
    for (_, line) in poison(start) {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(b"\xff\xfe{}\n\n");
    text.extend_from_slice(lines(50..100, start).as_bytes());
    let file = setup.folder().join("events.jsonl");
    fs::write(&file, text).unwrap();
    let source = format!("{}=payment", file.display());
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    assert_eq!(total(&values(&store_url(&setup), start).await), 100);

    let letters = letters(&setup);
    let mut expected: Vec<&str> = poison(start).iter().map(|(kind, _)| *kind).collect();
    expected.push("not_json");
    let kinds: Vec<&str> = letters
        .iter()
        .map(|letter| letter["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, expected);
    for letter in &letters {
        assert_eq!(letter["source"], file.to_str().unwrap(), "{letter}");
        assert!(!letter["why"].as_str().unwrap().is_empty(), "{letter}");
    }
    assert_eq!(letters[0]["payload"], "{\"id\": ");
    assert_eq!(letters[0]["offset"], lines(0..50, start).len());
    let long = &letters[8];
    assert!(long["size"].as_u64().unwrap() > 5 << 20);
    assert_eq!(long["payload"].as_str().unwrap().len(), 64 * 1024);
    assert_eq!(letters[9]["payload_base64"], "//57fQ==");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_before_what_it_could_not_keep() {
    let start = world::start();
    let setup = setup();
    let text = format!("{}nonsense\n{}", lines(0..50, start), lines(50..100, start));
    let file = write(setup.folder(), "events.jsonl", &text);
    let source = format!("{}=payment", file.display());
    let full = ["ingest", "--dead-letter", "/dev/full", "--file", &source];
    let run = setup.run(&full).await;
    assert!(!run.status.success());
    assert!(
        run.said
            .contains("a dead letter cannot be kept in /dev/full"),
        "{}",
        run.said
    );
    // Once there is room, nothing is missing and nothing is counted twice.
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    assert_eq!(letters(&setup).len(), 1);
    assert_eq!(total(&values(&store_url(&setup), start).await), 100);
}

/// With a store that is there, on a disk that is then full: the store's journal is made at its full size.
async fn full_disk(start: f64) -> Setup {
    let setup = setup();
    let file = write(setup.folder(), "first.jsonl", &lines(0..1, start));
    let source = format!("{}=payment", file.display());
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    setup.files_of_at_most(64)
}

const BROKEN: &str = "the feature store no longer writes since its disk failed";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_embedded_store_ends_an_ingestion() {
    let start = world::start();
    let setup = full_disk(start).await;
    let file = write(setup.folder(), "events.jsonl", &lines(0..3000, start));
    let source = format!("{}=payment", file.display());
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert_eq!(run.status.code(), Some(1), "{}", run.said);
    assert!(run.said.contains(BROKEN), "{}", run.said);
    assert!(run.said.contains("make room there"), "{}", run.said);
    // Once there is room, nothing is missing and nothing is counted twice.
    let setup = setup.files_of_at_most(1 << 30);
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    assert_eq!(total(&values(&store_url(&setup), start).await), 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_embedded_store_is_told_to_who_posts_at_once() {
    let start = world::start();
    let gateway = full_disk(start).await.start().await;
    let mut sent = 0;
    let mut post = async |count: usize| {
        let events = lines(sent..sent + count, start);
        sent += count;
        let headers = [("content-type", "application/x-ndjson")];
        let url = format!("{}/v1/events", gateway.url());
        ask::try_post(&ask::http1(), &url, &headers, events)
            .await
            .unwrap()
    };
    let mut answer = post(200).await;
    for _ in 0..50 {
        if answer.status != 200 {
            break;
        }
        answer = post(200).await;
    }
    for answer in [answer, post(1).await, post(1).await] {
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert!(answer.text().contains(BROKEN), "{}", answer.text());
    }
    let log = gateway.log();
    assert_eq!(log.matches(BROKEN).count(), 1, "{log}");
    assert!(!log.contains("waiting for it"), "{log}");
    // What was counted is still read.
    let question =
        json!({"decision": "velocity", "entities": {"card_id": "c1"}, "inputs": {"amount": 1}});
    assert_eq!(gateway.decide(&question).await["action"], "many");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_wrongly_is_named() {
    let kafka = Kafka::start();
    let options = Options::new(&kafka.brokers(), [].into()).unwrap();
    let producer = Producer::open(&options).unwrap();
    producer.try_send("payments", None, b"{}").unwrap();
    producer.flush(Instant::now() + LONG).await.unwrap();
    let setup = setup().flag("kafka", kafka.brokers());
    let metrics = ["--metrics-listen", "127.0.0.1:0"];
    for (words, said) in [
        (
            vec!["--topic", "paymets=payment"],
            "there is no topic `paymets`",
        ),
        (vec!["--topic", "paymets=payment"], "it has `payments`"),
        (
            vec!["--topic", "payments=paymet"],
            "there is no event type `paymet`",
        ),
        (
            vec!["--file", "/nowhere.jsonl=payment"],
            "cannot read /nowhere.jsonl",
        ),
        (vec!["--file", "a", "--topic", "b"], "cannot be used with"),
        (vec![], "--topic"),
        (
            vec!["--topic", "payments=payment", "--from", "soon"],
            "expected earliest, latest",
        ),
    ] {
        let words = [&["ingest"][..], &metrics, &words].concat();
        let run = setup.run(&words).await;
        assert!(
            !run.status.success() && run.said.contains(said),
            "{words:?}: {}",
            run.said
        );
    }
    let config = "[kafka]\nbrokers = 'a:1'\n[kafka.options]\n'sesion.timeout.ms' = 1\nacks = 'all'\n'security.protocol' = 'ssl'\n";
    let run = setup.config(config).run(&["check"]).await;
    for said in [
        "`sesion.timeout.ms` is not one",
        "`acks` is set by Gavel",
        "--features kafka-tls",
    ] {
        assert!(run.said.contains(said), "{}", run.said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_in_a_topic_goes_to_a_topic_with_its_reason() {
    let start = world::start();
    let cluster = KafkaCluster::start();
    cluster.create_topic("payments", 1);
    cluster.create_topic("dead", 1);
    let options = Options::new(&cluster.brokers(), [].into()).unwrap();
    let producer = Producer::open(&options).unwrap();
    producer.try_send("payments", None, b"nonsense").unwrap();
    producer
        .try_send("payments", None, payment(1, start).to_string().as_bytes())
        .unwrap();
    producer.flush(Instant::now() + LONG).await.unwrap();
    let setup = setup().flag("kafka", cluster.brokers());
    let ingest = setup.spawn_words(&[
        "ingest",
        "--topic",
        "payments=payment",
        "--dead-letter-topic",
        "dead",
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    let subscription = Subscription {
        group: "reader".into(),
        topics: vec!["dead".into()],
        start: Start::Earliest,
    };
    let mut reader = Consumer::open(&options, &subscription).await.unwrap();
    let letter = match timeout(LONG, reader.next()).await {
        Ok(Delivery::Records(mut records)) => records.remove(0),
        other => panic!("{other:?}:\n{}", setup.said()),
    };
    assert_eq!(letter.payload, b"nonsense");
    reader.close().await.unwrap();
    world::terminate(&ingest);
    world::ended_well(ingest, &setup).await;
    eventually("the other event is counted", async || {
        (total(&values(&store_url(&setup), start).await) == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_told_and_not_waited_for() {
    let start = world::start();
    let redis = Redis::start();
    let grant = "ACL SETUSER reader on >secret ~* +mget +hmget +ping";
    redis.cli(&grant.split(' ').collect::<Vec<_>>());
    let url = format!("redis://reader:secret@127.0.0.1:{}", redis.port());
    let setup = setup().flag("store", url);
    let file = write(setup.folder(), "events.jsonl", &lines(0..50, start));
    let source = format!("{}=payment", file.display());
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(!run.status.success(), "{}", run.said);
    assert!(
        run.said.contains("refused") && run.said.contains("ACL SETUSER"),
        "{}",
        run.said
    );

    // A key that somebody else uses for something else.
    let setup = setup.flag("store", redis.url());
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    let occupy = "local key = redis.call('KEYS', 'gavel:1:velocity:*')[9]
        redis.call('FLUSHALL')
        redis.call('LPUSH', key, 'x')";
    redis.cli(&["EVAL", occupy, "0"]);
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(
        !run.status.success() && run.said.contains("WRONGTYPE"),
        "{}",
        run.said
    );
    // What was written of it before that is not counted again.
    let vacate = "for _, key in ipairs(redis.call('KEYS', 'gavel:1:*')) do
        if redis.call('TYPE', key).ok == 'list' then redis.call('DEL', key) end
    end";
    redis.cli(&["EVAL", vacate, "0"]);
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    assert_eq!(total(&values(&redis.url(), start).await), 50);
}
