//! Topics: brokers that are frozen and gone, members that share a group, and what is told meanwhile.

use std::time::Duration;

use broker::{Options, Producer};
use testkit::{Kafka, KafkaCluster, Redis, free_port};
use tokio::{process::Child, time::Instant};

use crate::{
    support::{ask, eventually, gateway::Setup},
    world::{self, LONG, Values, lines, payment, setup, total, undisturbed, values},
};

/// Groups are joined within half of the session timeout.
pub(crate) const CONFIG: &str = "[kafka.options]\n'session.timeout.ms' = '6000'\n";

/// Each card's payments into one partition, as a real topic has them.
pub(crate) async fn send(producer: &Producer, numbers: std::ops::Range<usize>, start: f64) {
    for number in numbers {
        let event = payment(number, start);
        let key = event["card_id"].as_str().map(str::as_bytes);
        let text = event.to_string();
        while producer.try_send("payments", key, text.as_bytes()).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    producer.flush(Instant::now() + LONG).await.unwrap();
    assert_eq!(producer.failures().records, 0, "{:?}", producer.failures());
}

pub(crate) fn producer(brokers: &str) -> Producer {
    Producer::open(&Options::new(brokers, [].into()).unwrap()).unwrap()
}

pub(crate) fn ingest(setup: &Setup, metrics_port: u16) -> Child {
    let metrics = format!("127.0.0.1:{metrics_port}");
    setup.spawn_words(&[
        "ingest",
        "--topic",
        "payments=payment",
        "--metrics-listen",
        &metrics,
    ])
}

/// Waits until the store holds as many payments.
pub(crate) async fn until_total(url: &str, start: f64, wanted: u64, setup: &Setup) -> Values {
    let limit = Instant::now() + LONG;
    loop {
        let now = values(url, start).await;
        if total(&now) >= wanted {
            return now;
        }
        assert!(
            Instant::now() < limit,
            "{} of {wanted}:\n{}",
            total(&now),
            setup.said()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until the store says what it would after an undisturbed run of the first `count` payments:
/// views are written one after the other.
pub(crate) async fn until_undisturbed(url: &str, start: f64, count: usize, setup: &Setup) {
    let expected = undisturbed(&lines(0..count, start), start).await;
    let limit = Instant::now() + LONG;
    let mut now = values(url, start).await;
    while now != expected && Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(100)).await;
        now = values(url, start).await;
    }
    assert_eq!(now, expected, "{}", setup.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_costs_time_and_no_event() {
    let start = world::start();
    let (kafka, redis) = (Kafka::start(), Redis::start());
    let producer = producer(&kafka.brokers());
    send(&producer, 0..2000, start).await;
    let setup = setup()
        .config(CONFIG)
        .flag("kafka", kafka.brokers())
        .flag("store", redis.url());
    let port = free_port();
    let child = ingest(&setup, port);
    until_total(&redis.url(), start, 1, &setup).await;
    kafka.stop();
    tokio::time::sleep(Duration::from_secs(2)).await;
    kafka.cont();
    send(&producer, 2000..4000, start).await;
    until_undisturbed(&redis.url(), start, 4000, &setup).await;

    let metrics = eventually("the lag is told", async || {
        let metrics = ask::get(&format!("http://127.0.0.1:{port}/metrics")).await?;
        let text = metrics.text().to_owned();
        text.contains("gavel_ingest_lag_records{").then_some(text)
    })
    .await;
    let counted = r#"gavel_ingest_events_total{type="payment",outcome="counted"} 4000"#;
    for told in [
        counted,
        "gavel_ingest_lag_seconds{",
        "gavel_ingest_write_seconds_bucket{",
    ] {
        assert!(metrics.contains(told), "{told}:\n{metrics}");
    }
    world::terminate(&child);
    world::ended_well(child, &setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_and_comes_back_costs_no_event_and_doubles_none() {
    let start = world::start();
    let (cluster, redis) = (KafkaCluster::start(), Redis::start());
    cluster.create_topic("payments", 3);
    let producer = producer(&cluster.brokers());
    send(&producer, 0..3000, start).await;
    let setup = setup()
        .config(CONFIG)
        .flag("kafka", cluster.brokers())
        .flag("store", redis.url());
    let child = ingest(&setup, free_port());
    until_total(&redis.url(), start, 1, &setup).await;
    for round in 1..3 {
        cluster.down();
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.up();
        send(&producer, 3000 * round..3000 * (round + 1), start).await;
    }
    until_undisturbed(&redis.url(), start, 9000, &setup).await;
    world::terminate(&child);
    world::ended_well(child, &setup).await;

    // Everything was committed: another run finds nothing to do.
    send(&producer, 9000..9001, start).await;
    let port = free_port();
    let child = ingest(&setup, port);
    until_total(&redis.url(), start, 9001, &setup).await;
    let metrics = ask::get(&format!("http://127.0.0.1:{port}/metrics"))
        .await
        .unwrap();
    assert!(
        !metrics.text().contains(r#"outcome="replayed""#),
        "{}",
        metrics.text()
    );
    world::terminate(&child);
    world::ended_well(child, &setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_a_topic_and_one_that_is_killed_is_replaced() {
    let start = world::start();
    let (kafka, redis) = (Kafka::start(), Redis::start());
    let producer = producer(&kafka.brokers());
    send(&producer, 0..2000, start).await;
    let setup = setup()
        .config(CONFIG)
        .flag("kafka", kafka.brokers())
        .flag("store", redis.url());
    let mut first = ingest(&setup, free_port());
    until_total(&redis.url(), start, 1, &setup).await;
    let port = free_port();
    let second = ingest(&setup, port);
    let sending = tokio::spawn({
        let producer = producer.clone();
        async move {
            for piece in 20..60 {
                send(&producer, piece * 100..(piece + 1) * 100, start).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    eventually("the second member counts", async || {
        let metrics = ask::get(&format!("http://127.0.0.1:{port}/metrics")).await?;
        metrics
            .text()
            .contains(r#"outcome="counted""#)
            .then_some(())
    })
    .await;
    first.kill().await.unwrap();
    sending.await.unwrap();
    until_undisturbed(&redis.url(), start, 6000, &setup).await;
    world::terminate(&second);
    world::ended_well(second, &setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_topic_that_was_made_again_are_not_left_out_silently() {
    let start = world::start();
    let (mut kafka, redis) = (Kafka::start(), Redis::start());
    send(&producer(&kafka.brokers()), 0..200, start).await;
    let setup = setup()
        .config(CONFIG)
        .flag("kafka", kafka.brokers())
        .flag("store", redis.url());
    let child = ingest(&setup, free_port());
    until_total(&redis.url(), start, 200, &setup).await;
    world::terminate(&child);
    world::ended_well(child, &setup).await;
    assert!(!setup.said().contains("made again"), "{}", setup.said());

    // It forgets its topics and its groups.
    kafka.restart();
    send(&producer(&kafka.brokers()), 0..200, start).await;
    let child = ingest(&setup, free_port());
    eventually("it is told", async || {
        setup.said().contains("made again").then_some(())
    })
    .await;
    world::terminate(&child);
    world::ended_well(child, &setup).await;
}
