//! The store on a real Redis: what it costs, and what happens when Redis freezes, dies or returns.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::Bench;
use common::raw::command;
use features::{CacheLimits, StoreError, StoreOutcome, Value, load::parse_line};
use testkit::Redis;
use tokio::time::{Instant, sleep};

const SLICE: Duration = Duration::from_millis(10);
const AMPLE: Duration = Duration::from_secs(5);
/// So long that nothing is forgotten during a test.
const CACHE: CacheLimits = CacheLimits {
    bytes: 1 << 20,
    ttl: Duration::from_secs(3600),
};

#[tokio::test]
async fn one_command_per_request_however_many_views() {
    let redis = Redis::start();
    let bench = Bench::new(&redis.url());
    bench.fill(10).await;
    bench.store.ping().await.unwrap();
    command(&redis, &[b"CONFIG", b"RESETSTAT"]);
    for i in 0..50 {
        assert_eq!(
            bench.check(i % 10, 9 - i % 10, AMPLE).await,
            StoreOutcome::Answered
        );
    }
    let statistics = command(&redis, &[b"INFO", b"commandstats"]);
    let commands: Vec<&str> = statistics
        .lines()
        .filter(|line| line.starts_with("cmdstat"))
        .collect();
    // INFO counts after it has answered, so MGET is all there is, besides the reset itself.
    let others = commands
        .iter()
        .filter(|line| !line.contains("mget") && !line.contains("config"));
    assert_eq!(others.count(), 0, "{commands:?}");
    assert!(
        commands
            .iter()
            .any(|line| line.starts_with("cmdstat_mget:calls=50,")),
        "{commands:?}"
    );
}

#[tokio::test]
async fn what_is_in_the_cache_costs_redis_nothing() {
    let redis = Redis::start();
    let mut bench = Bench::new(&redis.url());
    bench.store = bench.store.with_cache(CACHE);
    bench.fill(10).await;
    bench.check(1, 2, AMPLE).await;
    command(&redis, &[b"CONFIG", b"RESETSTAT"]);
    for _ in 0..50 {
        assert_eq!(bench.check(1, 2, AMPLE).await, StoreOutcome::Answered);
    }
    // Of two rows, the one that is not kept is asked for.
    bench.check(1, 3, AMPLE).await;
    let statistics = command(&redis, &[b"INFO", b"commandstats"]);
    assert!(statistics.contains("cmdstat_mget:calls=1,"), "{statistics}");
    let usage = bench.store.cache_usage().unwrap();
    assert_eq!((usage.hits, usage.misses), (101, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_after_a_write_sees_it_however_many_read_the_same_row() {
    let redis = Redis::start();
    let mut bench = Bench::new(&redis.url());
    bench.store = bench.store.with_cache(CACHE);
    bench.fill(1).await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (bench, done) = (bench.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    bench.read(0, 0, AMPLE).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for n in 1..=500 {
        let line = format!(r#"{{"view":"card","entity":{{"card_id":"0"}},"values":{{"n":{n}}}}}"#);
        let row = parse_line(&bench.catalog, &line).unwrap();
        bench.store.put(&bench.catalog, &[row]).await.unwrap();
        let row = bench.read(0, 0, AMPLE).await;
        let seen = row.value(bench.plan.column("card.n").unwrap());
        assert_eq!(*seen, Value::Float64(f64::from(n)));
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(bench.store.cache_usage().unwrap().hits > 0);
}

#[tokio::test]
async fn a_large_load_is_stored_whole() {
    let redis = Redis::start();
    let bench = Bench::new(&redis.url());
    bench.fill(2000).await;
    for i in [0, 1, 999, 1999] {
        assert_eq!(
            bench.check(i, 1999 - i, AMPLE).await,
            StoreOutcome::Answered
        );
        assert!(!bench.read(i, i, AMPLE).await.view_missing("card"));
    }
    assert!(bench.read(2000, 0, AMPLE).await.view_missing("card"));
}

#[tokio::test]
async fn bytes_that_are_no_row_are_missing_and_counted() {
    let redis = Redis::start();
    let bench = Bench::new(&redis.url());
    bench.fill(2).await;
    command(
        &redis,
        &[b"SET", b"gavel:1:card:s\x01\0\0\x001", b"\x01nonsense"],
    );
    command(&redis, &[b"DEL", b"gavel:1:store:i\x01\0\0\0\0\0\0\0"]);
    command(
        &redis,
        &[
            b"LPUSH",
            b"gavel:1:store:i\x01\0\0\0\0\0\0\0",
            b"not a string",
        ],
    );
    let row = bench.read(1, 1, AMPLE).await;
    assert_eq!(row.store(), StoreOutcome::Answered);
    assert!(row.view_missing("card") && row.view_missing("store"));
    assert_eq!(row.discarded_rows(), 1);
}

#[tokio::test]
async fn a_row_from_before_1970_is_older_than_any_of_today() {
    let redis = Redis::start();
    let bench = Bench::new(&redis.url());
    bench.fill(2).await;
    let catalog = &bench.catalog;
    let key = catalog.state_key("card", &[Value::String("1".into())]);
    let stored = bench.store.read_states(&[key.unwrap()]).await.unwrap();
    let mut bytes = stored[0].clone().unwrap();
    let key: &[u8] = b"gavel:1:card:s\x01\0\0\x001";
    for (micros, older) in [(-1_i64, 0), (i64::MIN, 0), (i64::MAX, 1)] {
        bytes[9..17].copy_from_slice(&micros.to_le_bytes());
        command(&redis, &[b"SET", key, &bytes]);
        let line = r#"{"view":"card","entity":{"card_id":"1"},"event_time":"1970-01-01T00:00:00Z","values":{"n":5}}"#;
        let row = parse_line(catalog, line).unwrap();
        let written = bench.store.put(catalog, &[row]).await.unwrap();
        assert_eq!(written.older, older, "{micros}");
    }
}

#[tokio::test]
async fn a_server_that_forgets_its_scripts_is_sent_them_again() {
    let redis = Redis::start();
    let bench = Bench::new(&redis.url());
    bench.fill(100).await;
    command(&redis, &[b"SCRIPT", b"FLUSH"]);
    bench.fill(100).await;
    command(&redis, &[b"CONFIG", b"RESETSTAT"]);
    bench.fill(100).await;
    let statistics = command(&redis, &[b"INFO", b"commandstats"]);
    assert!(
        statistics.contains("cmdstat_evalsha:calls=7,"),
        "{statistics}"
    );
    assert!(!statistics.contains("cmdstat_eval:"), "{statistics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_and_thawed_it_gives_the_right_rows_to_the_right_requests() {
    let redis = Redis::start();
    let bench = Bench::new(&redis.url());
    bench.fill(100).await;
    for round in 0..3 {
        // Reads of different keys are in flight, some with slices too short to get an answer, when
        // the server freezes: their replies are still to come when it thaws.
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..50)
            .map(|i| {
                let (bench, done) = (bench.clone(), done.clone());
                tokio::spawn(async move {
                    let mut n = 0;
                    while !done.load(Ordering::Relaxed) {
                        let slice = if n % 3 == 0 {
                            Duration::from_micros(50)
                        } else {
                            SLICE
                        };
                        bench.check((i + n) % 100, (i * n) % 100, slice).await;
                        n += 1;
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        sleep(Duration::from_millis(5 + round)).await;
        redis.stop();
        sleep(Duration::from_millis(300)).await;
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await.unwrap();
        }
        // The breaker is open by now, so that a decision waits for nothing.
        let row = bench.read(1, 1, AMPLE).await;
        assert_eq!(row.store(), StoreOutcome::Unavailable);
        assert!(matches!(
            bench.store.ping().await,
            Err(StoreError::Unavailable { .. })
        ));
        redis.cont();
        bench.recovers().await;
        for i in 0..100 {
            assert_eq!(bench.check(i, 99 - i, AMPLE).await, StoreOutcome::Answered);
        }
    }
}

#[tokio::test]
async fn killed_and_started_again_it_is_used_again() {
    let mut redis = Redis::start();
    let bench = Bench::new(&redis.url());
    bench.fill(5).await;
    redis.kill();
    for _ in 0..20 {
        let outcome = bench.check(1, 1, AMPLE).await;
        assert_eq!(outcome, StoreOutcome::Unavailable);
    }
    redis.restart();
    bench.recovers().await;
    // It came back empty: the rows are missing, the store is not.
    assert!(bench.read(1, 1, AMPLE).await.view_missing("card"));
    bench.fill(5).await;
    assert!(!bench.read(1, 1, AMPLE).await.view_missing("card"));
}

#[tokio::test]
async fn a_connection_that_redis_closed_while_idle_costs_no_request_its_features() {
    let redis = Redis::start();
    let bench = Bench::new(&redis.url());
    bench.fill(2).await;
    for _ in 0..5 {
        command(&redis, &[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
        assert_eq!(bench.check(1, 1, AMPLE).await, StoreOutcome::Answered);
        assert!(!bench.read(1, 1, AMPLE).await.view_missing("card"));
    }
}

#[tokio::test]
async fn absent_at_start_it_is_found_when_it_comes() {
    let mut redis = Redis::start();
    redis.kill();
    let bench = Bench::new(&redis.url());
    assert_eq!(bench.check(1, 1, AMPLE).await, StoreOutcome::Unavailable);
    let asked = Instant::now();
    let refused = bench.store.put(&bench.catalog, &[]).await;
    assert!(refused.is_ok(), "nothing to write is written");
    assert!(asked.elapsed() < AMPLE);
    redis.restart();
    bench.recovers().await;
}

#[tokio::test]
async fn a_wrong_password_is_said_in_words() {
    let redis = Redis::start();
    command(&redis, &[b"CONFIG", b"SET", b"requirepass", b"right"]);
    let address = redis.url().replace("redis://", "");
    let wrong = Bench::new(&format!("redis://:wrong@{address}"));
    let error = wrong.store.ping().await.unwrap_err().to_string();
    assert!(
        error.contains("can't be reached") && !error.contains("wrong@"),
        "{error}"
    );
    assert!(error.contains("see the URL's login"), "{error}");
    let none = Bench::new(&format!("redis://{address}"));
    let error = none.store.ping().await.unwrap_err().to_string();
    assert!(error.contains("wants a password"), "{error}");
    let right = Bench::new(&format!("redis://:right@{address}"));
    right.fill(2).await;
    assert_eq!(right.check(1, 1, AMPLE).await, StoreOutcome::Answered);
}

/// What the store says to a user that may do all that Gavel needs but `lacks`.
async fn said_to_a_user_without(redis: &Redis, lacks: &[u8]) -> [String; 2] {
    let all: [&[u8]; 12] = [
        b"ACL",
        b"SETUSER",
        b"gavel",
        b"reset",
        b"on",
        b">pw",
        b"~gavel:*",
        b"+mget",
        b"+hmget",
        b"+ping",
        b"+evalsha",
        b"+eval",
    ];
    command(redis, &all);
    command(
        redis,
        &[b"ACL", b"SETUSER", b"gavel", b"+getrange", b"+set", lacks],
    );
    let address = redis.url().replace("redis://", "");
    let bench = Bench::new(&format!("redis://gavel:pw@{address}"));
    let tell = |result: Result<(), StoreError>| {
        result.map_or_else(|error| error.to_string(), |()| "done".into())
    };
    let line = r#"{"view":"card","entity":{"card_id":"1"},"values":{"n":1}}"#;
    let row = parse_line(&bench.catalog, line).unwrap();
    let put = bench.store.put(&bench.catalog, &[row]).await.map(drop);
    [tell(bench.store.ping().await), tell(put)]
}

#[tokio::test]
async fn a_user_that_lacks_a_permission_is_told_which() {
    let redis = Redis::start();
    assert_eq!(
        said_to_a_user_without(&redis, b"+mget").await,
        ["done", "done"]
    );
    let [read, _] = said_to_a_user_without(&redis, b"-mget").await;
    assert!(
        read.contains("'mget'") && read.contains("+mget +hmget"),
        "{read}"
    );
    let [read, put] = said_to_a_user_without(&redis, b"-evalsha").await;
    assert_eq!(read, "done");
    assert!(
        put.contains("'evalsha'") && put.contains("+evalsha"),
        "{put}"
    );
    let [read, put] = said_to_a_user_without(&redis, b"-getrange").await;
    assert_eq!(read, "done");
    assert!(put.to_lowercase().contains("getrange"), "{put}");
    let [read, put] = said_to_a_user_without(&redis, b"resetkeys").await;
    assert!(
        read.contains("~gavel:*") && put.contains("~gavel:*"),
        "{read} {put}"
    );
}
