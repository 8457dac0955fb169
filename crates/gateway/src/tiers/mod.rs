//! Who answers: Triton, then smaller models in process, then rules, which always do.
//!
//! A tier over the network may use the budget to its end, because the in-process answer is made
//! ready while it is awaited, at the last moment at which it still fits:
//!
//! ```text
//!  ask Triton ----------------------------------------> in time: its answer
//!                             |prepare_at      |until
//!                             in-process answer ------> late: the one that is ready
//! ```

mod bound;
mod onnx;
mod rules;
#[cfg(test)]
mod rules_tests;
mod skip;
mod triton;
mod worth;

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use features::FeatureRow;
use futures::future::{Either, select};
use tokio::time::{Instant, sleep_until};

pub(crate) use self::bound::{BindError, BoundModel, FeatureLists, feature_lists, sentences};
pub(crate) use self::onnx::OnnxTier;
pub(crate) use self::rules::RulesTier;
pub use self::skip::{SkipReason, Skipped};
pub(crate) use self::triton::TritonTier;
pub(crate) use self::worth::Worth;
use crate::deadline::Deadline;

/// An input of a model, as it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The input's name.
    pub name: Arc<str>,
    /// Type of its elements.
    pub dtype: triton_client::Dtype,
    /// As Triton's raw tensors are: row-major, little-endian.
    pub data: Bytes,
}

/// What a tier found.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Finite, in the order of the decision's score names.
    pub scores: Vec<f64>,
    /// The model or the table.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// What a rule says of itself; models say nothing.
    pub reason: Option<Arc<str>>,
    /// What the model was given; rules are given the row.
    pub seen: Vec<Seen>,
}

/// An answer and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// Who answered.
    pub tier: Arc<str>,
    /// What it found.
    pub scored: Scored,
    /// Who did not, in order.
    pub skipped: Vec<Skipped>,
    /// How long each tier that was asked took, in order.
    pub timings: Vec<(Arc<str>, Duration)>,
}

/// The tiers of one decision, best first. The last is a total function.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) remote: Vec<TritonTier>,
    pub(crate) in_process: Vec<OnnxTier>,
    pub(crate) rules: RulesTier,
    /// What an answer of the remote tiers is worth.
    pub(crate) worth: Worth,
}

/// Asks the tiers in order until one answers.
pub(crate) async fn serve(chain: &Chain, row: &FeatureRow, deadline: Deadline) -> Served {
    let mut skipped = Vec::new();
    let mut timings = Vec::new();
    let mut standby = None;
    let worth = chain.worth.of(row);
    for tier in &chain.remote {
        let started = Instant::now();
        let until = deadline.slice(started, tier.slice, Duration::ZERO);
        let prepare_at = deadline.begin_by(chain.in_process_cost());
        let mut ask = pin!(tier.ask(row, worth, until));
        let outcome = match select(ask.as_mut(), pin!(sleep_until(prepare_at))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => {
                standby.get_or_insert_with(|| chain.answer_in_process(row, deadline));
                ask.await
            }
        };
        if was_asked(&outcome) {
            timings.push((tier.name.clone(), started.elapsed()));
        }
        match outcome {
            Ok(scored) => {
                return Served {
                    tier: tier.name.clone(),
                    scored,
                    skipped,
                    timings,
                };
            }
            Err(reason) => skipped.push(Skipped {
                tier: tier.name.clone(),
                reason,
            }),
        }
    }
    let mut served = standby.unwrap_or_else(|| chain.answer_in_process(row, deadline));
    skipped.append(&mut served.skipped);
    timings.append(&mut served.timings);
    Served {
        skipped,
        timings,
        ..served
    }
}

/// A tier that was not asked has no duration: a few microseconds would look like a fast answer.
fn was_asked(outcome: &Result<Scored, SkipReason>) -> bool {
    matches!(
        outcome,
        Ok(_) | Err(SkipReason::Timeout | SkipReason::Error)
    )
}

impl Chain {
    /// How long the tiers in process take together, if each has to be tried.
    pub(crate) fn in_process_cost(&self) -> Duration {
        self.in_process.iter().map(OnnxTier::cost).sum()
    }

    /// Asks one tier alone until `until`, for a replay.
    pub(crate) async fn ask_one(
        &self,
        tier: &str,
        row: &FeatureRow,
        until: Instant,
    ) -> Result<Scored, SkipReason> {
        if let Some(remote) = self.remote.iter().find(|remote| *remote.name == *tier) {
            return remote.ask(row, self.worth.of(row), until).await;
        }
        match self.in_process.iter().find(|local| *local.name == *tier) {
            Some(local) => local.run(row, until),
            None => Ok(self.rules.run(row)),
        }
    }

    /// The best answer in process, as if there were no tier over the network, for a replay.
    pub(crate) fn first_in_process(&self, row: &FeatureRow, until: Instant) -> (Arc<str>, Scored) {
        let mut tiers = self.in_process.iter();
        let answer = tiers.find_map(|tier| Some((&tier.name, tier.run(row, until).ok()?)));
        let (tier, scored) = answer.unwrap_or_else(|| (&self.rules.name, self.rules.run(row)));
        (Arc::clone(tier), scored)
    }

    /// How long a tier in process takes, as measured when it was loaded; `None` for any other tier.
    pub(crate) fn cost_of(&self, tier: &str) -> Option<Duration> {
        let mut tiers = self.in_process.iter();
        tiers.find(|local| *local.name == *tier).map(OnnxTier::cost)
    }

    /// The best answer without a network: microseconds, on the calling thread.
    fn answer_in_process(&self, row: &FeatureRow, deadline: Deadline) -> Served {
        let mut skipped = Vec::new();
        let mut timings = Vec::new();
        for tier in &self.in_process {
            let started = Instant::now();
            let outcome = tier.run(row, deadline.compute_by());
            if was_asked(&outcome) {
                timings.push((tier.name.clone(), started.elapsed()));
            }
            match outcome {
                Ok(scored) => {
                    return Served {
                        tier: tier.name.clone(),
                        scored,
                        skipped,
                        timings,
                    };
                }
                Err(reason) => skipped.push(Skipped {
                    tier: tier.name.clone(),
                    reason,
                }),
            }
        }
        let started = Instant::now();
        let scored = self.rules.run(row);
        timings.push((self.rules.name.clone(), started.elapsed()));
        Served {
            tier: self.rules.name.clone(),
            scored,
            skipped,
            timings,
        }
    }
}
