//! The store on a real Redis cluster: a request's rows lie on different nodes.

mod common;

use std::time::Duration;

use common::Bench;
use features::StoreOutcome;
use testkit::RedisCluster;
use tokio::time::{Instant, sleep};

const SLICE: Duration = Duration::from_millis(10);
const AMPLE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_all_nodes_are_written_and_read_in_one_call() {
    let cluster = RedisCluster::start();
    let bench = Bench::new(&cluster.url());
    assert_eq!(bench.store.kind(), "redis-cluster");
    bench.fill(300).await;
    for i in 0..300 {
        assert_eq!(bench.check(i, 299 - i, AMPLE).await, StoreOutcome::Answered);
        assert!(
            !bench.read(i, i, AMPLE).await.view_missing("card"),
            "card {i}"
        );
    }

    // One node frozen: what it holds costs its slice, and is right again when it thaws.
    cluster.nodes[1].stop();
    let readers: Vec<_> = (0..100)
        .map(|i| {
            let bench = bench.clone();
            tokio::spawn(async move { bench.check(i, 299 - i, SLICE).await })
        })
        .collect();
    let mut late = 0;
    for reader in readers {
        late += usize::from(reader.await.unwrap() != StoreOutcome::Answered);
    }
    assert!(late > 0, "no row was on the frozen node");
    cluster.nodes[1].cont();
    bench.recovers().await;
    for i in 0..300 {
        bench.check(i, 299 - i, AMPLE).await;
    }
    assert_eq!(bench.check(7, 7, AMPLE).await, StoreOutcome::Answered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_a_frozen_node_gives_what_the_others_hold() {
    let cluster = RedisCluster::start();
    Bench::new(&cluster.url()).fill(30).await;
    cluster.nodes[0].stop();
    let bench = Bench::new(&cluster.url());
    let mut answered = 0;
    let until = Instant::now() + Duration::from_secs(20);
    // The client goes on without the frozen node after about two seconds.
    while answered == 0 && Instant::now() < until {
        sleep(Duration::from_millis(50)).await;
        for i in 0..30 {
            answered += usize::from(bench.check(i, i, SLICE).await == StoreOutcome::Answered);
        }
    }
    assert!(answered > 0);
}
