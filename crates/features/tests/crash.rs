//! Writers that are killed, and servers that are killed under them: whatever was acknowledged is
//! there, and nothing is torn.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::states::{catalog, count, key, next};
use features::{StateKey, StateWrite, Store};
use testkit::Redis;
use tokio::time::sleep;

const FOLDER: &str = "FEATURES_TEST_CRASH_FOLDER";
const STATES: usize = 20;

fn keys() -> Vec<StateKey> {
    let catalog = catalog();
    (0..STATES)
        .map(|i| key(&catalog, &format!("card {i}")))
        .collect()
}

async fn counts(store: &Store) -> Vec<u64> {
    let found = store.read_states(&keys()).await.unwrap();
    found
        .iter()
        .map(|found| found.as_deref().map_or(0, count))
        .collect()
}

/// A child counts all states and its note up together, and says each count when it is acknowledged.
/// It is killed in the middle, again and again.
#[tokio::test]
async fn the_embedded_store_keeps_what_it_acknowledged_to_a_writer_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..12 {
        let acknowledged = run_and_kill(folder.path(), 5 + 17 * round);
        let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
        let found = counts(&store).await;
        let note = store.read_note("count").await.unwrap();
        let noted = note.map_or(0, |note| u64::from_le_bytes(note.try_into().unwrap()));
        assert_eq!(found, vec![noted; STATES], "states and note are one write");
        assert!(
            noted == acknowledged || noted == acknowledged + 1,
            "{acknowledged} acknowledged, {noted} stored"
        );
        assert!(
            acknowledged > last,
            "the child counts on from what is there"
        );
        last = acknowledged;
    }
}

/// Kills the child after it has said so many counts; the last that it said.
fn run_and_kill(folder: &Path, counts: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "count_for_ever", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    while said.len() < counts {
        let line = lines.next().expect("the child ended").unwrap();
        said.extend(
            line.strip_prefix("count ")
                .map(|n| n.parse::<u64>().unwrap()),
        );
    }
    child.kill().unwrap();
    // What was on its way when the child died was acknowledged as well.
    for line in lines {
        let line = line.unwrap();
        let whole = line
            .strip_prefix("count ")
            .and_then(|n| n.parse::<u64>().ok());
        said.extend(whole);
    }
    child.wait().unwrap();
    *said.last().unwrap()
}

#[tokio::test]
#[ignore = "run, and killed, by the test above"]
async fn count_for_ever() {
    let folder = std::env::var(FOLDER).unwrap();
    let store = Store::open(&format!("embedded:{folder}")).unwrap();
    let keys = keys();
    println!();
    loop {
        let read = store.read_states(&keys).await.unwrap();
        let writes: Vec<StateWrite> = keys
            .iter()
            .zip(&read)
            .map(|(key, read)| next(key, read.as_deref(), 0))
            .collect();
        let n = count(&writes[0].bytes);
        let note = ("count", &n.to_le_bytes()[..]);
        let done = store.swap_states(&writes, &[note]).await.unwrap();
        assert!(done.iter().all(|done| *done));
        println!("count {n}");
    }
}

/// A state says how much of each writer's it holds, as real ones hold offsets: a writer that was cut
/// off reads again, and goes on from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_killed_under_writers_makes_none_of_them_lose_or_double_a_count() {
    const WRITERS: usize = 4;
    const INCREMENTS: u64 = 150;
    let mut redis = Redis::start_durable();
    let store = Store::open(&redis.url()).unwrap();
    let hot = key(&catalog(), "hot");
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, hot) = (store.clone(), [hot.clone()]);
            tokio::spawn(async move {
                let mut cut_off = 0;
                loop {
                    let Ok(read) = store.read_states(&hot).await else {
                        cut_off += 1;
                        sleep(Duration::from_millis(5)).await;
                        continue;
                    };
                    let mut applied = applied(read[0].as_deref());
                    if applied[writer] == INCREMENTS {
                        return cut_off;
                    }
                    applied[writer] += 1;
                    let mut write = next(&hot[0], read[0].as_deref(), 0);
                    write.bytes.truncate(33);
                    for n in applied {
                        write.bytes.extend_from_slice(&n.to_le_bytes());
                    }
                    cut_off += u64::from(store.swap_states(&[write], &[]).await.is_err());
                }
            })
        })
        .collect();
    for _ in 0..4 {
        sleep(Duration::from_millis(60)).await;
        redis.kill();
        redis.restart();
    }
    let mut cut_off = 0;
    for writer in writers {
        cut_off += writer.await.unwrap();
    }
    assert!(cut_off > 0, "no write was cut off");
    let found = store.read_states(&[hot]).await.unwrap();
    let found = found[0].as_deref();
    assert_eq!(applied(found), [INCREMENTS; WRITERS]);
    assert_eq!(found.map(count), Some(WRITERS as u64 * INCREMENTS));
}

/// How many counts of each of the four writers a state holds.
fn applied(state: Option<&[u8]>) -> [u64; 4] {
    let part = |state: &[u8], i: usize| {
        let from = 33 + 8 * i;
        u64::from_le_bytes(state[from..from + 8].try_into().unwrap())
    };
    state.map_or([0; 4], |state| std::array::from_fn(|i| part(state, i)))
}
