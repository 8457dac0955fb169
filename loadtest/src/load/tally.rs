//! The books of one run: latencies, who answered, and what went wrong.
//!
//! A latency is counted from the intended send time, so that a question that had to wait until the
//! loader could send it has waited: nothing is omitted because the server was busy.

use std::{rc::Rc, time::Duration};

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::Window;
use crate::expected::{Expected, Verdict};
use crate::wire::Answer;

/// Latencies up to a minute, to three digits, in nanoseconds.
const LARGEST_NS: u64 = 60_000_000_000;

/// What came of one question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// An answer, right or wrong.
    Answered(Answer),
    /// Turned away in words: 429, or `RESOURCE_EXHAUSTED`.
    Refused,
    /// Another status, a broken connection, or bytes that are no answer.
    Failed,
}

/// Answers by the tier that gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TierCounts {
    /// The model on Triton.
    pub primary: u64,
    /// The model in process.
    pub secondary: u64,
    /// The table.
    pub rules: u64,
}

/// What is counted. Questions intended outside the window are not.
#[derive(Clone, Debug)]
pub struct Tally {
    window: Window,
    budget: Duration,
    expected: Rc<Expected>,
    latencies: Histogram<u64>,
    send_delays: Histogram<u64>,
    /// Questions whose outcome is known or given up on.
    pub asked: u64,
    /// Right answers by tier.
    pub tiers: TierCounts,
    /// Answers inside the window, whenever they were asked for.
    pub answered_in_window: u64,
    /// Answers later than the budget, failures, and questions without an answer.
    pub late: u64,
    /// Answers with another score than their tier owes this question, or to another question.
    pub wrong: u64,
    /// Answers by a tier whose scores are not known to the loader.
    pub unchecked: u64,
    /// Right answers that were given without what the store holds.
    pub without_store: u64,
    /// See [`Outcome::Refused`].
    pub refused: u64,
    /// See [`Outcome::Failed`].
    pub failed: u64,
    /// Questions that had no answer when the loader's patience ended.
    pub unanswered: u64,
}

impl Tally {
    /// Empty books.
    pub fn new(window: Window, budget: Duration, expected: Rc<Expected>) -> Self {
        Self {
            window,
            budget,
            expected,
            latencies: histogram(),
            send_delays: histogram(),
            asked: 0,
            tiers: TierCounts::default(),
            answered_in_window: 0,
            late: 0,
            wrong: 0,
            unchecked: 0,
            without_store: 0,
            refused: 0,
            failed: 0,
            unanswered: 0,
        }
    }

    /// Notes that a question was handed to a caller, `delay` after it was meant to be.
    pub fn sent(&mut self, intended: Instant, sent: Instant) {
        if self.window.holds(intended) {
            self.send_delays.saturating_record(nanos(sent - intended));
        }
    }

    /// Notes what came of a question, at `done`.
    pub fn record(&mut self, intended: Instant, done: Instant, question: usize, outcome: Outcome) {
        if matches!(outcome, Outcome::Answered(_)) && self.window.holds(done) {
            self.answered_in_window += 1;
        }
        if !self.window.holds(intended) {
            return;
        }
        self.asked += 1;
        let latency = done - intended;
        match outcome {
            Outcome::Refused => self.refused += 1,
            Outcome::Failed => {
                self.failed += 1;
                self.late += 1;
            }
            Outcome::Answered(answer) => {
                self.latencies.saturating_record(nanos(latency));
                self.late += u64::from(latency > self.budget);
                self.judge(question, answer);
            }
        }
    }

    fn judge(&mut self, question: usize, answer: Answer) {
        match self.expected.judge(question, answer) {
            Verdict::Right { with_store } => {
                use crate::wire::Tier;
                self.without_store += u64::from(!with_store);
                match answer.tier {
                    Tier::Primary => self.tiers.primary += 1,
                    Tier::Secondary => self.tiers.secondary += 1,
                    Tier::Rules => self.tiers.rules += 1,
                }
            }
            Verdict::Wrong => self.wrong += 1,
            Verdict::Unknown => self.unchecked += 1,
        }
    }

    /// Notes a question that is given up on.
    pub fn give_up(&mut self, intended: Instant) {
        if self.window.holds(intended) {
            self.asked += 1;
            self.unanswered += 1;
            self.late += 1;
        }
    }

    /// Answers a second, of those that came inside the window.
    pub fn throughput(&self) -> f64 {
        self.answered_in_window as f64 / self.seconds()
    }

    /// Length of the window.
    pub fn seconds(&self) -> f64 {
        self.window.measured().as_secs_f64()
    }

    /// The latency that this share of the answers did not pass, in microseconds.
    pub fn latency_us(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }

    /// How long after its intended time a question was handed to a caller, likewise.
    pub fn send_delay_us(&self, quantile: f64) -> f64 {
        self.send_delays.value_at_quantile(quantile) as f64 / 1e3
    }

    /// Of the questions asked, those without an answer inside the budget. A refusal is not late.
    pub fn late_share(&self) -> f64 {
        self.late as f64 / self.asked.max(1) as f64
    }
}

#[expect(clippy::expect_used, reason = "the proof is in the sentence")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LARGEST_NS, 3).expect("1 to a minute at 3 digits is allowed")
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
