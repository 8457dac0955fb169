//! What the tests on the real binary share: the process itself, ways to ask it, and what it says
//! about itself. Servers beside it come from `testkit`.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test program uses a part of it, and a helper fails as a test does"
)]

pub(crate) mod ask;
pub(crate) mod canary;
pub(crate) mod fake;
pub(crate) mod files;
pub(crate) mod gateway;
pub(crate) mod metrics;
pub(crate) mod raw;

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again until there is an answer, and fails with `what` when there is none in time.
pub(crate) async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
