//! One connection's life, and the verdict that ends it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::WireError;

/// Failures in a row that end a session.
const FAILURES: u32 = 5;
/// A read that left earlier than this says nothing about the server.
const SHORTEST_WAIT: Duration = Duration::from_millis(2);
/// A server that has answered anybody within this is not silent.
const SILENCE: Duration = Duration::from_millis(25);

pub(super) struct Session<W> {
    pub(super) wire: W,
    opened: Instant,
    /// When it last answered, in microseconds after `opened`.
    answered_us: AtomicU64,
    failures: AtomicU32,
    /// Whether it has answered a request.
    proved: AtomicBool,
    verdict: OnceLock<Verdict>,
    over: Notify,
}

/// Why a session is over.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) why: String,
    /// The connection was closed: a new one may do.
    pub(super) broken: bool,
}

impl<W> Session<W> {
    /// On probation, the first failure ends the session.
    pub(super) fn new(wire: W, probation: bool) -> Self {
        Session {
            wire,
            opened: Instant::now(),
            answered_us: AtomicU64::new(0),
            failures: AtomicU32::new(if probation { FAILURES - 1 } else { 0 }),
            proved: AtomicBool::new(false),
            verdict: OnceLock::new(),
            over: Notify::new(),
        }
    }

    pub(super) fn answered(&self) {
        self.answered_us.fetch_max(self.age_us(), Relaxed);
        // Loads first: the cache line of a healthy session stays shared.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if !self.proved.load(Relaxed) {
            self.proved.store(true, Relaxed);
        }
    }

    pub(super) fn failed(&self, error: &WireError) {
        if error.broken {
            self.end(Verdict {
                why: error.why.clone(),
                broken: true,
            });
        } else {
            self.count(&error.why);
        }
    }

    /// A read left without an answer.
    pub(super) fn unanswered(&self, sent: Instant) {
        let silent_us = self.age_us().saturating_sub(self.answered_us.load(Relaxed));
        if sent.elapsed() >= SHORTEST_WAIT && silent_us >= SILENCE.as_micros() as u64 {
            self.count("no answer in time");
        }
    }

    fn count(&self, why: &str) {
        if self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES {
            self.end(Verdict {
                why: why.to_owned(),
                broken: false,
            });
        }
    }

    fn end(&self, verdict: Verdict) {
        if self.verdict.set(verdict).is_ok() {
            self.over.notify_one();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.verdict.get().is_some()
    }

    pub(super) fn is_proved(&self) -> bool {
        self.proved.load(Relaxed)
    }

    /// Waits until the session is over. For the keeper alone: one may wait.
    pub(super) async fn over(&self) -> Verdict {
        loop {
            if let Some(verdict) = self.verdict.get() {
                return verdict.clone();
            }
            self.over.notified().await;
        }
    }

    fn age_us(&self) -> u64 {
        self.opened.elapsed().as_micros() as u64
    }
}
