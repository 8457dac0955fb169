//! Killed at any moment, and started again: nothing is lost, nothing is counted twice.

use std::time::Duration;

use testkit::{KafkaCluster, Redis, free_port};
use tokio::time::timeout;

use crate::{
    support::gateway::Setup,
    topics::{self, until_total, until_undisturbed},
    world::{self, LONG, lines, setup, store_url, undisturbed, values, write},
};

const EVENTS: usize = 20_000;

/// Kills `gavel ingest` again and again, each time a little later, until it gets through.
async fn kill_until_through(setup: &Setup, words: &[&str]) -> usize {
    let mut kills = 0;
    for round in 0_u64.. {
        let mut child = setup.spawn_words(words);
        // Odd steps, so that it is met in all that it does.
        let alive = Duration::from_millis(30 + round * 17);
        match timeout(alive, child.wait()).await {
            Ok(status) => {
                assert!(status.unwrap().success(), "{}", setup.said());
                break;
            }
            Err(_) => {
                child.kill().await.unwrap();
                kills += 1;
            }
        }
    }
    kills
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_into_the_embedded_store() {
    let start = world::start();
    let text = lines(0..EVENTS, start);
    let setup = setup();
    let file = write(setup.folder(), "events.jsonl", &text);
    let source = format!("{}=payment", file.display());
    let kills = kill_until_through(&setup, &["ingest", "--file", &source]).await;
    assert!(kills > 2, "it was killed {kills} times: too few to tell");
    let now = values(&store_url(&setup), start).await;
    assert_eq!(now, undisturbed(&text, start).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_into_redis() {
    let start = world::start();
    let text = lines(0..EVENTS, start);
    let redis = Redis::start();
    let setup = setup().flag("store", redis.url());
    let file = write(setup.folder(), "events.jsonl", &text);
    let source = format!("{}=payment", file.display());
    let kills = kill_until_through(&setup, &["ingest", "--file", &source]).await;
    assert!(kills > 2, "it was killed {kills} times: too few to tell");
    assert_eq!(
        values(&redis.url(), start).await,
        undisturbed(&text, start).await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_into_redis() {
    let start = world::start();
    let (cluster, redis) = (KafkaCluster::start(), Redis::start());
    cluster.create_topic("payments", 3);
    let producer = topics::producer(&cluster.brokers());
    topics::send(&producer, 0..4000, start).await;
    let setup = setup()
        .config(topics::CONFIG)
        .flag("kafka", cluster.brokers())
        .flag("store", redis.url());
    let mut seen = 0;
    for round in 1..5 {
        let mut child = topics::ingest(&setup, free_port());
        // Killed while it counts: it has just begun.
        until_total(&redis.url(), start, seen + 1, &setup).await;
        child.kill().await.unwrap();
        let now = values(&redis.url(), start).await;
        seen = world::total(&now);
        topics::send(&producer, 4000 * round..4000 * (round + 1), start).await;
    }
    let child = topics::ingest(&setup, free_port());
    until_undisturbed(&redis.url(), start, 20_000, &setup).await;
    world::terminate(&child);
    world::ended_well(child, &setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_waited_for() {
    let start = world::start();
    let text = lines(0..EVENTS, start);
    let mut redis = Redis::start();
    let setup = setup().flag("store", redis.url());
    let file = write(setup.folder(), "events.jsonl", &text);
    let source = format!("{}=payment", file.display());
    redis.kill();
    let child = setup.spawn_words(&["ingest", "--file", &source]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    redis.restart();
    until_total(&redis.url(), start, 1, &setup).await;
    // Frozen while it is written to: what was asked of it may have been done, or not.
    for _ in 0..3 {
        redis.stop();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        redis.cont();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ended = timeout(LONG, world::ended_well(child, &setup)).await;
    assert!(ended.is_ok());
    assert_eq!(
        values(&redis.url(), start).await,
        undisturbed(&text, start).await
    );
    let said = setup.said();
    assert!(said.contains("waiting for it, nothing is lost"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_writes_what_it_read_and_goes_on_later() {
    let start = world::start();
    let text = lines(0..EVENTS, start);
    let setup = setup();
    let file = write(setup.folder(), "events.jsonl", &text);
    let source = format!("{}=payment", file.display());
    let words = ["ingest", "--file", &source];
    let child = setup.spawn_words(&words);
    tokio::time::sleep(Duration::from_millis(300)).await;
    // It may be through already.
    if child.id().is_some() {
        world::terminate(&child);
    }
    world::ended_well(child, &setup).await;
    let run = setup.run(&words).await;
    assert!(
        run.status.success() && !run.said.contains("read before"),
        "{}",
        run.said
    );
    let now = values(&store_url(&setup), start).await;
    assert_eq!(now, undisturbed(&text, start).await);
}
