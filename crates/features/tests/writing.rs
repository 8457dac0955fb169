//! What writers rely on, the same on every store: nothing older replaces what is newer, and writers
//! side by side lose nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::states::{catalog, count, key, next, state};
use features::{Catalog, StateWrite, Store, Written, load::parse_line};
use testkit::{Redis, RedisCluster};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    whole_suite(&format!("embedded:{}", folder.path().display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_redis() {
    let redis = Redis::start();
    whole_suite(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster() {
    let cluster = RedisCluster::start();
    whole_suite(&cluster.url()).await;
}

async fn whole_suite(url: &str) {
    let store = Store::open(url).unwrap();
    rows_are_replaced_by_newer_ones_alone(&store).await;
    a_row_of_other_definitions_is_always_replaced(&store).await;
    event_times_are_compared_to_the_microsecond(&store).await;
    a_state_is_swapped_at_its_revision_alone(&store).await;
    many_states_are_swapped_each_by_itself(&store).await;
    what_is_no_state_counts_as_absent(&store).await;
    a_note_is_written_when_all_states_are(&store).await;
    writers_side_by_side_lose_nothing(&store).await;
    rows_put_side_by_side_end_with_the_newest(&store).await;
    if store.kind() != "embedded" {
        a_state_is_forgotten_when_it_expires(&store).await;
    }
    store.sync().await.unwrap();
}

async fn put(store: &Store, catalog: &Catalog, rows: &[(&str, &str, i64)]) -> Written {
    let rows: Vec<_> = rows
        .iter()
        .map(|(card, time, n)| {
            let line = format!(
                r#"{{"view":"card","entity":{{"card_id":"{card}"}},"event_time":"{time}","values":{{"n":{n}}}}}"#
            );
            parse_line(catalog, &line).unwrap()
        })
        .collect();
    store.put(catalog, &rows).await.unwrap()
}

/// The number that the row of a card ends with.
async fn n(store: &Store, catalog: &Catalog, card: &str) -> f64 {
    let found = store.read_states(&[key(catalog, card)]).await.unwrap();
    let row = found[0].as_deref().unwrap();
    f64::from_le_bytes(row[row.len() - 8..].try_into().unwrap())
}

async fn rows_are_replaced_by_newer_ones_alone(store: &Store) {
    let catalog = catalog();
    let [early, late] = ["2019-08-31T10:00:00Z", "2019-08-31T10:00:01Z"];
    let tell = |written, older| Written { written, older };
    assert_eq!(put(store, &catalog, &[]).await, tell(0, 0));
    assert_eq!(put(store, &catalog, &[("a", late, 1)]).await, tell(1, 0));
    let mixed = [("a", early, 2), ("b", early, 3)];
    assert_eq!(put(store, &catalog, &mixed).await, tell(1, 1));
    assert_eq!(n(store, &catalog, "a").await, 1.0);
    assert_eq!(n(store, &catalog, "b").await, 3.0);
    assert_eq!(put(store, &catalog, &[("a", late, 4)]).await, tell(1, 0));
    assert_eq!(
        n(store, &catalog, "a").await,
        4.0,
        "an equal time is replaced"
    );
    // In one call too, whatever the order.
    let same = [
        ("c", early, 5),
        ("c", late, 6),
        ("c", late, 7),
        ("c", early, 8),
    ];
    assert_eq!(put(store, &catalog, &same).await, tell(1, 3));
    assert_eq!(n(store, &catalog, "c").await, 7.0);
}

async fn a_row_of_other_definitions_is_always_replaced(store: &Store) {
    let catalog = catalog();
    let other = Catalog::parse(
        r#"
        entities.card_id = "string"
        [views.card]
        entity = "card_id"
        features.m = { dtype = "float64", default = -1.0 }
        "#,
    )
    .unwrap();
    let line = r#"{"view":"card","entity":{"card_id":"d"},"event_time":"2030-01-01T00:00:00Z","values":{"m":1}}"#;
    let rows = [parse_line(&other, line).unwrap()];
    store.put(&other, &rows).await.unwrap();
    let written = put(store, &catalog, &[("d", "2019-08-31T10:00:00Z", 9)]).await;
    assert_eq!(written.written, 1);
    assert_eq!(n(store, &catalog, "d").await, 9.0);
}

async fn event_times_are_compared_to_the_microsecond(store: &Store) {
    let catalog = catalog();
    // Far ahead, microseconds don't fit a float64.
    let times = [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.000001Z",
        "1970-01-01T00:00:00.000256Z",
        "9999-12-31T23:59:59.000001Z",
        "9999-12-31T23:59:59.000002Z",
    ];
    for (i, stored) in times.iter().enumerate() {
        for (j, new) in times.iter().enumerate() {
            let card = format!("{i}-{j}");
            put(store, &catalog, &[(&card, stored, 0)]).await;
            let written = put(store, &catalog, &[(&card, new, 1)]).await;
            assert_eq!(written.written == 1, j >= i, "{stored} then {new}");
        }
    }
}

async fn a_state_is_swapped_at_its_revision_alone(store: &Store) {
    let catalog = catalog();
    let card = key(&catalog, "swapped");
    let stored = async || {
        store
            .read_states(std::slice::from_ref(&card))
            .await
            .unwrap()
    };
    let swap = async |expected: u64, bytes: Vec<u8>| {
        let write = StateWrite {
            key: card.clone(),
            expected,
            bytes,
            expires_in: None,
        };
        store.swap_states(&[write], &[]).await.unwrap()
    };
    assert_eq!(stored().await, [None]);
    assert_eq!(swap(1, state(2, 2, 0)).await, [false]);
    assert_eq!(swap(0, state(1, 1, 0)).await, [true]);
    assert_eq!(swap(0, state(1, 1, 0)).await, [false], "somebody was first");
    assert_eq!(stored().await, [Some(state(1, 1, 0))]);
    assert_eq!(swap(1, state(2, 2, 1)).await, [true]);
    // Revisions differ in any of their bytes.
    assert_eq!(swap(2, state(u64::MAX, 3, 0)).await, [true]);
    assert_eq!(swap(u64::MAX >> 8, state(1, 1, 0)).await, [false]);
    assert_eq!(swap(u64::MAX, state(1 << 56, 4, 0)).await, [true]);
    assert_eq!(swap(1, state(1, 1, 0)).await, [false]);
    assert_eq!(stored().await, [Some(state(1 << 56, 4, 0))]);
}

async fn many_states_are_swapped_each_by_itself(store: &Store) {
    let catalog = catalog();
    let keys: Vec<_> = (0..700)
        .map(|i| key(&catalog, &format!("many {i}")))
        .collect();
    assert_eq!(store.read_states(&[]).await.unwrap(), Vec::new());
    assert_eq!(
        store.swap_states(&[], &[]).await.unwrap(),
        Vec::<bool>::new()
    );
    let odd: Vec<_> = keys
        .iter()
        .skip(1)
        .step_by(2)
        .map(|key| next(key, None, 0))
        .collect();
    let done = store.swap_states(&odd, &[]).await.unwrap();
    assert_eq!(done, vec![true; 350]);
    let all: Vec<_> = keys.iter().map(|key| next(key, None, 1)).collect();
    let done = store.swap_states(&all, &[]).await.unwrap();
    assert!(
        done.iter()
            .enumerate()
            .all(|(i, done)| *done == (i % 2 == 0))
    );
    let found = store.read_states(&keys).await.unwrap();
    for (i, found) in found.iter().enumerate() {
        assert_eq!(
            *found,
            Some(state(1, 1, u64::from(i % 2 == 0))),
            "number {i}"
        );
    }
}

async fn what_is_no_state_counts_as_absent(store: &Store) {
    let catalog = catalog();
    put(store, &catalog, &[("row", "2019-08-31T10:00:00Z", 1)]).await;
    let card = key(&catalog, "row");
    let row = store
        .read_states(std::slice::from_ref(&card))
        .await
        .unwrap();
    assert_eq!(features::revision(row[0].as_ref().unwrap()), None);
    let write = |expected| StateWrite {
        key: card.clone(),
        expected,
        bytes: state(1, 1, 0),
        expires_in: None,
    };
    assert_eq!(store.swap_states(&[write(1)], &[]).await.unwrap(), [false]);
    assert_eq!(store.swap_states(&[write(0)], &[]).await.unwrap(), [true]);
}

async fn a_note_is_written_when_all_states_are(store: &Store) {
    let catalog = catalog();
    let keys = [key(&catalog, "noted 1"), key(&catalog, "noted 2")];
    let note = async || store.read_note("progress of a/b").await.unwrap();
    assert_eq!(note().await, None);
    store.write_note("progress of a/b", b"0").await.unwrap();
    let first = [next(&keys[0], None, 0)];
    let done = store.swap_states(&first, &[("progress of a/b", b"1")]);
    assert_eq!(done.await.unwrap(), [true]);
    assert_eq!(note().await.as_deref(), Some(&b"1"[..]));
    let both = [next(&keys[0], None, 0), next(&keys[1], None, 0)];
    let done = store.swap_states(&both, &[("progress of a/b", b"2")]);
    assert_eq!(done.await.unwrap(), [false, true]);
    assert_eq!(note().await.as_deref(), Some(&b"1"[..]));
    store.write_note("progress of a/b", b"").await.unwrap();
    assert_eq!(note().await.as_deref(), Some(&b""[..]));
    assert_eq!(store.read_note("progress").await.unwrap(), None);
}

async fn writers_side_by_side_lose_nothing(store: &Store) {
    const WRITERS: u64 = 8;
    const INCREMENTS: u64 = 50;
    let catalog = catalog();
    let keys = [key(&catalog, "hot 1"), key(&catalog, "hot 2")];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, keys) = (store.clone(), keys.clone());
            tokio::spawn(async move {
                for _ in 0..INCREMENTS {
                    let mut left = keys.to_vec();
                    while !left.is_empty() {
                        let read = store.read_states(&left).await.unwrap();
                        let writes: Vec<_> = left
                            .iter()
                            .zip(&read)
                            .map(|(key, read)| next(key, read.as_deref(), writer))
                            .collect();
                        let mut done = store.swap_states(&writes, &[]).await.unwrap().into_iter();
                        left.retain(|_| !done.next().unwrap());
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for found in store.read_states(&keys).await.unwrap() {
        let found = found.unwrap();
        assert_eq!(count(&found), WRITERS * INCREMENTS);
        assert_eq!(features::revision(&found), Some(WRITERS * INCREMENTS));
    }
}

async fn rows_put_side_by_side_end_with_the_newest(store: &Store) {
    let catalog = catalog();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, catalog) = (store.clone(), catalog.clone());
            tokio::spawn(async move {
                // Each goes through all times in an order of its own; 41 is prime.
                for i in 0..41 {
                    let n = (i * (writer + 7)) % 41;
                    let time = format!("2019-08-31T10:00:{n:02}Z");
                    put(&store, &catalog, &[("raced", &time, n)]).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(n(store, &catalog, "raced").await, 40.0);
}

async fn a_state_is_forgotten_when_it_expires(store: &Store) {
    let catalog = catalog();
    let keys = [key(&catalog, "brief"), key(&catalog, "long")];
    let lives = [Duration::from_millis(1), Duration::MAX];
    let writes: Vec<_> = keys
        .iter()
        .zip(lives)
        .map(|(key, life)| StateWrite {
            expires_in: Some(life),
            ..next(key, None, 0)
        })
        .collect();
    assert_eq!(store.swap_states(&writes, &[]).await.unwrap(), [true, true]);
    for _ in 0..1000 {
        let found = store.read_states(&keys).await.unwrap();
        assert!(found[1].is_some());
        if found[0].is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("it was not forgotten");
}
