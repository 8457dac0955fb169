//! The link on a paused clock: every time below is exact.

use std::time::Duration;

use tokio::time::{Instant, advance, sleep};

use super::scripted::{Mood, Script};
use crate::feature_row::StoreOutcome::{self, Answered, TimedOut, Unavailable};
use crate::store::tests::Bench;

const MS: Duration = Duration::from_millis(1);
const SLICE: Duration = Duration::from_millis(10);
/// When a read that gets no answer leaves: a late timer still ends it within its slice.
const LEAVES: Duration = Duration::from_millis(8);

/// What one read within a slice of 10 ms came to, and how long it took.
async fn read(bench: &Bench) -> (StoreOutcome, Duration) {
    read_within(bench, SLICE).await
}

async fn read_within(bench: &Bench, slice: Duration) -> (StoreOutcome, Duration) {
    let asked = Instant::now();
    let row = bench.assemble("4022", asked + slice).await;
    assert!(row.view_missing("card") || row.store() == Answered);
    (row.store(), asked.elapsed())
}

async fn up() -> (Script, Bench) {
    let (script, store) = Script::new();
    let bench = Bench::new(store);
    bench.put("4022", 3.0).await;
    assert_eq!(read(&bench).await, (Answered, Duration::ZERO));
    (script, bench)
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_costs_the_slice_and_no_more() {
    let (script, bench) = up().await;
    script.read(Mood::Answer(7 * MS));
    assert_eq!(read(&bench).await, (Answered, 7 * MS));
    script.read(Mood::Answer(11 * MS));
    assert_eq!(read(&bench).await, (TimedOut, LEAVES));
}

#[tokio::test(start_paused = true)]
async fn with_less_left_than_a_timer_may_be_late_nothing_is_sent() {
    let (script, bench) = up().await;
    let reads = script.reads();
    for left in [Duration::ZERO, MS, Duration::from_micros(1999)] {
        assert_eq!(
            read_within(&bench, left).await,
            (TimedOut, Duration::ZERO),
            "{left:?}"
        );
    }
    assert_eq!(script.reads(), reads);
    assert_eq!(
        read_within(&bench, 2 * MS).await,
        (Answered, Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_came_too_late_for_a_read_is_sent_nothing() {
    let (script, store) = Script::new();
    let bench = Bench::new(store);
    script.dial(Mood::Answer(5 * MS));
    // Nobody gets a turn until the slice is nearly over.
    let stall = async { advance(9 * MS).await };
    let (late, ()) = tokio::join!(read(&bench), stall);
    assert_eq!(late, (TimedOut, 9 * MS));
    assert_eq!(script.reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hung_server_opens_the_breaker_and_then_costs_nothing() {
    let (script, bench) = up().await;
    script.read(Mood::Hang);
    // The first three end within 25 ms of the last answer: that may be a hiccup.
    for _ in 0..8 {
        assert_eq!(read(&bench).await, (TimedOut, LEAVES));
    }
    let reads = script.reads();
    for _ in 0..100 {
        assert_eq!(read(&bench).await, (Unavailable, Duration::ZERO));
    }
    assert_eq!(script.reads(), reads, "an open breaker sends nothing");
    assert!(bench.store.ping().await.is_err());

    // Back again: the next probe finds out, by itself.
    script.read(Mood::Answer(Duration::ZERO));
    sleep(5 * Duration::from_secs(1)).await;
    assert_eq!(read(&bench).await, (Answered, Duration::ZERO));
    assert!(bench.store.ping().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn after_a_probe_the_first_failure_opens_it_again() {
    let (script, bench) = up().await;
    script.read(Mood::Refuse);
    for _ in 0..5 {
        assert_eq!(read(&bench).await, (Unavailable, Duration::ZERO));
    }
    script.read(Mood::Answer(Duration::ZERO));
    sleep(100 * MS).await;
    let dials = script.dials();
    script.read(Mood::Refuse);
    let reads = script.reads();
    assert_eq!(read(&bench).await.0, Unavailable);
    assert_eq!(read(&bench).await.0, Unavailable);
    assert_eq!(script.reads(), reads + 1, "the second was turned away");
    assert_eq!(script.dials(), dials);
}

#[tokio::test(start_paused = true)]
async fn back_off_grows_to_a_second() {
    let (script, store) = Script::new();
    let bench = Bench::new(store);
    script.dial(Mood::Refuse);
    assert_eq!(read(&bench).await, (Unavailable, Duration::ZERO));
    let mut dials = vec![script.dials()];
    for _ in 0..7 {
        sleep(500 * MS).await;
        dials.push(script.dials());
    }
    // Attempts at 0, 50, 150, 350, 750, 1550, 2550 and 3550 ms.
    assert_eq!(dials, [1, 4, 5, 5, 6, 6, 7, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_is_made_again_within_the_same_read() {
    let (script, bench) = up().await;
    let dials = script.dials();
    script.dial(Mood::Answer(MS));
    script.read(Mood::CloseOnce);
    assert_eq!(read(&bench).await, (Answered, MS));
    assert_eq!(script.dials(), dials + 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_every_connection_is_not_hammered() {
    let (script, bench) = up().await;
    let dials = script.dials();
    script.read(Mood::Close);
    for _ in 0..1000 {
        assert_eq!(read(&bench).await.0, Unavailable);
    }
    assert!(
        script.dials() <= dials + 2,
        "{} connections",
        script.dials() - dials
    );
}

#[tokio::test(start_paused = true)]
async fn while_the_first_connection_is_made_reads_wait_for_it_within_their_slices() {
    let (script, store) = Script::new();
    let bench = Bench::new(store);
    script.dial(Mood::Answer(15 * MS));
    assert_eq!(read(&bench).await, (TimedOut, LEAVES));
    assert_eq!(read_within(&bench, 20 * MS).await.1, 7 * MS);
    assert_eq!(
        script.dials(),
        1,
        "a read that leaves does not start the connection again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_hangs_is_waited_for_100_ms_and_given_up_after_five_seconds() {
    let (script, store) = Script::new();
    let bench = Bench::new(store);
    script.dial(Mood::Hang);
    assert_eq!(read_within(&bench, 500 * MS).await, (Unavailable, 100 * MS));
    assert_eq!(read(&bench).await, (Unavailable, Duration::ZERO));
    script.dial(Mood::Answer(Duration::ZERO));
    sleep(4900 * MS).await;
    assert_eq!(script.dials(), 1);
    sleep(60 * MS).await;
    assert_eq!(script.dials(), 2);
    assert_eq!(read(&bench).await.0, Answered);
}

#[tokio::test(start_paused = true)]
async fn impatient_callers_do_not_open_the_breaker() {
    let (script, bench) = up().await;
    script.read(Mood::Answer(3 * MS));
    for _ in 0..100 {
        sleep(50 * MS).await;
        assert_eq!(read_within(&bench, MS).await.0, TimedOut);
        assert_eq!(read_within(&bench, 3 * MS).await, (TimedOut, MS));
    }
    assert_eq!(read(&bench).await, (Answered, 3 * MS));
}

#[tokio::test(start_paused = true)]
async fn a_hiccup_does_not_open_the_breaker() {
    let (script, bench) = up().await;
    script.read(Mood::Hang);
    let all = (0..100).map(|_| read(&bench));
    let outcomes = futures::future::join_all(all).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == (TimedOut, LEAVES))
    );
    script.read(Mood::Answer(Duration::ZERO));
    assert_eq!(read(&bench).await.0, Answered);
}

#[tokio::test(start_paused = true)]
async fn an_answer_between_failures_starts_the_count_again() {
    let (script, bench) = up().await;
    for _ in 0..20 {
        script.read(Mood::Refuse);
        for _ in 0..4 {
            read(&bench).await;
        }
        script.read(Mood::Answer(Duration::ZERO));
        assert_eq!(read(&bench).await.0, Answered);
    }
}

#[tokio::test(start_paused = true)]
async fn the_keeper_ends_with_the_store() {
    let (script, bench) = up().await;
    script.dial(Mood::Refuse);
    script.read(Mood::Close);
    read(&bench).await;
    drop(bench);
    advance(MS).await;
    let dials = script.dials();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(script.dials(), dials);
}
