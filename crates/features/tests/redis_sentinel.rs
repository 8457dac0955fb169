//! The store behind real sentinels: a master that dies, and one that steps down.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::Bench;
use common::states::{catalog, count, key, next};
use features::{StateKey, Store, StoreOutcome};
use testkit::{Redis, RedisSentinel};
use tokio::time::{Instant, sleep, timeout};

const AMPLE: Duration = Duration::from_secs(5);
/// The sentinels take a second or two.
const FAILOVER: Duration = Duration::from_secs(30);

/// Counts one up, as a writer does that goes on whatever happens; returns what was written.
async fn count_up(store: &Store, hot: &StateKey) -> u64 {
    let hot = [hot.clone()];
    let started = Instant::now();
    loop {
        if let Ok(read) = store.read_states(&hot).await {
            let write = next(&hot[0], read[0].as_deref(), 0);
            let counted = count(&write.bytes);
            if let Ok(done) = store.swap_states(&[write], &[]).await
                && done[0]
            {
                return counted;
            }
        }
        assert!(started.elapsed() < FAILOVER, "{:?}", store.ping().await);
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a server's answer to a question holds a text.
async fn until_told(server: &Redis, question: &str, text: &str) {
    let told = async {
        while !server
            .cli(&["-a", "correct-horse", question])
            .contains(text)
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(FAILOVER, told).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes_go_on_at_the_new_master() {
    let mut redis = RedisSentinel::start();
    let bench = Bench::new(&redis.url());
    assert_eq!(bench.store.kind(), "redis-sentinel");
    bench.fill(10).await;
    assert_eq!(bench.check(1, 2, AMPLE).await, StoreOutcome::Answered);
    let hot = key(&catalog(), "hot");
    assert_eq!(count_up(&bench.store, &hot).await, 1);

    // The master steps down, and lives on as a replica.
    redis.fail_over();
    redis.wait_for_master(1);
    // What the old one takes until it knows is lost, as Redis replicates.
    until_told(&redis.servers[0], "ROLE", "slave").await;
    let counted = count_up(&bench.store, &hot).await;
    assert!(counted >= 2);
    bench.recovers().await;
    assert!(!bench.read(1, 2, AMPLE).await.view_missing("card"));
    until_told(&redis.servers[1], "ROLE", "master").await;

    // It is the master again when the other dies, and one of the sentinels with it.
    until_told(&redis.servers[0], "INFO", "master_link_status:up").await;
    redis.kill_sentinel(2);
    redis.servers[1].kill();
    let after = count_up(&bench.store, &hot).await;
    assert!(after > counted, "{after} after {counted}");
    bench.recovers().await;
    assert!(!bench.read(1, 2, AMPLE).await.view_missing("card"));
    bench.fill(3).await;
}

#[tokio::test]
async fn what_the_sentinels_do_not_know_is_said() {
    let redis = RedisSentinel::start();
    let other = redis.url().replace("/features", "/cards");
    let error = Store::open(&other).unwrap().ping().await.unwrap_err();
    let sentence = error.to_string();
    assert!(
        sentence.contains("watch no master called `cards`"),
        "{sentence}"
    );

    let wrong = redis.url().replace("correct-horse", "secret");
    let sentence = Store::open(&wrong)
        .unwrap()
        .ping()
        .await
        .unwrap_err()
        .to_string();
    assert!(sentence.contains("the URL's login"), "{sentence}");
    assert!(!sentence.contains("secret"), "{sentence}");

    let nobody = "redis-sentinel://127.0.0.1:1,127.0.0.1:2/features";
    let sentence = Store::open(nobody)
        .unwrap()
        .ping()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        sentence.contains("no sentinel says who `features` is"),
        "{sentence}"
    );
}
