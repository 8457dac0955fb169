//! The cache on a paused clock: which reads are sent, and who waits for whom how long.

use std::time::Duration;

use tokio::time::{Instant, advance, sleep};

use crate::feature_row::StoreOutcome::{self, Answered, TimedOut, Unavailable};
use crate::store::CacheLimits;
use crate::store::link::scripted::{Mood, Script};
use crate::store::tests::Bench;

const MS: Duration = Duration::from_millis(1);
const TTL: Duration = Duration::from_millis(100);

async fn cached() -> (Script, Bench) {
    let (script, store) = Script::new();
    let limits = CacheLimits {
        bytes: 1 << 20,
        ttl: TTL,
    };
    let bench = Bench::new(store.with_cache(limits));
    bench.put("a", 1.0).await;
    (script, bench)
}

/// What a read within a slice came to, what it saw, and how long it took.
async fn read(bench: &Bench, card: &str, slice: Duration) -> (StoreOutcome, f64, Duration) {
    let asked = Instant::now();
    let row = bench.assemble(card, asked + slice).await;
    (row.store(), bench.seen(&row), asked.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_key_is_read_once_within_its_ttl_be_it_there_or_not() {
    let (script, bench) = cached().await;
    script.read(Mood::Answer(3 * MS));
    for (card, n) in [("a", 1.0), ("nobody", -1.0)] {
        let reads = script.reads();
        assert_eq!(read(&bench, card, 10 * MS).await, (Answered, n, 3 * MS));
        // From now on no server is needed, and hardly any time.
        for _ in 0..50 {
            let found = read(&bench, card, Duration::ZERO).await;
            assert_eq!(found, (Answered, n, Duration::ZERO));
        }
        // An answer is as old as its question: 3 ms already.
        advance(96 * MS).await;
        assert_eq!(read(&bench, card, 10 * MS).await.2, Duration::ZERO);
        advance(MS).await;
        assert_eq!(read(&bench, card, 10 * MS).await, (Answered, n, 3 * MS));
        assert_eq!(script.reads(), reads + 2);
    }
    let usage = bench.store.cache_usage().unwrap();
    assert_eq!((usage.hits, usage.misses), (102, 4));
    assert!(usage.bytes > 0);
}

#[tokio::test(start_paused = true)]
async fn of_many_who_want_a_key_one_reads_it() {
    let (script, bench) = cached().await;
    script.read(Mood::Answer(5 * MS));
    let all = (0..100).map(|_| read(&bench, "a", 10 * MS));
    for outcome in futures::future::join_all(all).await {
        assert_eq!(outcome, (Answered, 1.0, 5 * MS));
    }
    assert_eq!(script.reads(), 1);
    let usage = bench.store.cache_usage().unwrap();
    assert_eq!((usage.hits, usage.misses), (99, 1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_late_reader_leaves_at_the_end_of_its_own_slice() {
    let (script, bench) = cached().await;
    script.read(Mood::Answer(50 * MS));
    let leader = read(&bench, "a", 100 * MS);
    let followers = async {
        tokio::join!(
            read(&bench, "a", 10 * MS),
            read(&bench, "a", MS),
            read(&bench, "a", 80 * MS),
        )
    };
    let (led, (short, none, long)) = tokio::join!(leader, followers);
    assert_eq!(led, (Answered, 1.0, 50 * MS));
    assert_eq!(short, (TimedOut, -1.0, 8 * MS));
    assert_eq!(none, (TimedOut, -1.0, Duration::ZERO));
    assert_eq!(long, (Answered, 1.0, 50 * MS));
    assert_eq!(script.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_reader_that_gives_up_reads_by_itself() {
    let (script, bench) = cached().await;
    script.read(Mood::Answer(20 * MS));
    let (led, followed) = tokio::join!(read(&bench, "a", 10 * MS), read(&bench, "a", 60 * MS));
    assert_eq!(led, (TimedOut, -1.0, 8 * MS));
    assert_eq!(followed, (Answered, 1.0, 28 * MS));
    assert_eq!(script.reads(), 2);

    // One that is dropped in the middle gives up as well.
    advance(TTL).await;
    let followed = async {
        sleep(MS).await;
        read(&bench, "a", 60 * MS).await
    };
    let dropped = async {
        tokio::select! {
            _ = read(&bench, "a", 60 * MS) => unreachable!(),
            () = sleep(5 * MS) => {}
        }
    };
    let ((), followed) = tokio::join!(dropped, followed);
    assert_eq!(followed, (Answered, 1.0, 24 * MS));
}

#[tokio::test(start_paused = true)]
async fn what_this_process_writes_is_seen_at_once() {
    let (script, bench) = cached().await;
    assert_eq!(read(&bench, "a", 10 * MS).await.1, 1.0);
    bench.put("a", 2.0).await;
    assert_eq!(read(&bench, "a", 10 * MS).await.1, 2.0);
    assert_eq!(read(&bench, "b", 10 * MS).await.1, -1.0);
    bench.put("b", 3.0).await;
    assert_eq!(read(&bench, "b", 10 * MS).await.1, 3.0);

    // Also when an older answer is on its way.
    advance(TTL).await;
    script.read(Mood::AnswerLate(5 * MS));
    let write = async {
        sleep(MS).await;
        bench.put("a", 4.0).await;
        script.read(Mood::Answer(Duration::ZERO));
        // Not one of those who wait for that answer.
        assert_eq!(
            read(&bench, "a", 10 * MS).await,
            (Answered, 4.0, Duration::ZERO)
        );
    };
    let (before, ()) = tokio::join!(read(&bench, "a", 10 * MS), write);
    assert_eq!(before, (Answered, 2.0, 5 * MS));
    assert_eq!(read(&bench, "a", 10 * MS).await.1, 4.0);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_not_kept() {
    let (script, bench) = cached().await;
    script.read(Mood::Refuse);
    let all = (0..4).map(|_| read(&bench, "a", 10 * MS));
    for outcome in futures::future::join_all(all).await {
        assert_eq!(outcome, (Unavailable, -1.0, Duration::ZERO));
    }
    script.read(Mood::Answer(Duration::ZERO));
    assert_eq!(read(&bench, "a", 10 * MS).await.0, Answered);
    // With the server gone, what is kept still answers.
    script.read(Mood::Refuse);
    assert_eq!(
        read(&bench, "a", 10 * MS).await,
        (Answered, 1.0, Duration::ZERO)
    );
    assert_eq!(read(&bench, "b", 10 * MS).await.0, Unavailable);
}

#[tokio::test(start_paused = true)]
async fn it_keeps_no_more_bytes_than_it_may() {
    let (script, store) = Script::new();
    let limits = CacheLimits {
        bytes: 20_000,
        ttl: TTL,
    };
    let bench = Bench::new(store.with_cache(limits));
    for i in 0..1000 {
        read(&bench, &format!("card {i}"), 10 * MS).await;
        assert!(bench.store.cache_usage().unwrap().bytes <= 20_000);
    }
    assert!(bench.store.cache_usage().unwrap().bytes > 1_000);
    assert_eq!(script.reads(), 1000);
}

#[tokio::test(start_paused = true)]
async fn without_room_or_time_there_is_none() {
    for (bytes, ttl) in [(0, TTL), (1 << 20, Duration::ZERO)] {
        let (script, store) = Script::new();
        let bench = Bench::new(store.with_cache(CacheLimits { bytes, ttl }));
        for _ in 0..3 {
            read(&bench, "a", 10 * MS).await;
        }
        assert_eq!(script.reads(), 3);
        assert_eq!(bench.store.cache_usage(), None);
    }
}
