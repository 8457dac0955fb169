//! How late a bare timer is on this machine meanwhile.
//!
//! "In time" is asserted of the gateway, not of a machine that gives no process its turn: where a
//! task that does nothing but wake up was late by more than the gateway keeps in reserve, an answer
//! may be late by as much. On a machine that is free the limit is the budget itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

const NAP: Duration = Duration::from_millis(1);
/// Timers turn in milliseconds, and the gateway keeps as much in reserve even of a small budget.
const USUAL: Duration = Duration::from_millis(4);

/// Wakes up all the time, and notes how late it was at worst.
#[derive(Debug)]
pub(crate) struct Canary {
    worst_us: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Canary {
    pub(crate) fn start() -> Self {
        let worst_us = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn({
            let worst_us = Arc::clone(&worst_us);
            async move {
                loop {
                    let due = Instant::now() + NAP;
                    sleep(NAP).await;
                    let late = Instant::now().saturating_duration_since(due);
                    worst_us.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
                }
            }
        });
        Self { worst_us, task }
    }

    fn worst_us(&self) -> u64 {
        self.worst_us.load(Ordering::Relaxed)
    }

    /// Whether every task has had its turn so far.
    pub(crate) fn is_machine_free(&self) -> bool {
        self.worst_us() <= USUAL.as_micros() as u64
    }

    /// Fails when a decision was late by more than this machine itself has been.
    #[track_caller]
    pub(crate) fn assert_in_time(&self, decision: &Value, budget_us: u64) {
        let total_us = decision["timings_us"]["total"].as_u64().unwrap();
        let worst_us = self.worst_us();
        let allowed_us = if self.is_machine_free() { 0 } else { worst_us };
        assert!(
            total_us <= budget_us + allowed_us,
            "{total_us} us of {budget_us}, where a bare timer was {worst_us} us late: {decision}"
        );
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.task.abort();
    }
}
