//! What another budget would buy, from how long the best tier over the network took.
//!
//! A decision that was answered tells when the answer was there. One that timed out tells only that it
//! was not there yet: it is censored, and the share answered by a moment is the estimate of Kaplan and
//! Meier (1958). So is one that was turned away because too little time was left, at the moment at which
//! it was: with more time it would have been asked. Other decisions for which the tier was not asked count
//! as not answered by it, whatever the budget: it was overloaded, failing or not ready, or features were
//! missing, and more time need not have mended that.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use decision_log::Record;

use crate::deadline::Deadline;

/// What the table goes by, in both directions from the budget that was logged most.
const STEP: Duration = Duration::from_millis(10);
const STEPS_DOWN: i32 = 9;
const STEPS_UP: i32 = 3;
/// A smaller budget waits for nobody.
const LEAST: Duration = Duration::from_millis(5);

/// What a record says of the tier over the network, in microseconds from the request's receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Its answer was there.
    Answered(u64),
    /// It was not there when it was given up, or when it was turned away for lack of time.
    GaveUp(u64),
    /// It was not asked, or failed.
    NotAsked,
}

impl Waited {
    pub(super) fn of(record: &Record, tier: &str) -> Self {
        let until = answered_us(record);
        if *record.tier == *tier {
            return Self::Answered(until);
        }
        let mut skipped = record.skipped.iter();
        let skip = skipped.find(|skip| *skip.tier == *tier);
        let waits = waits_us(Duration::from_micros(record.budget_us));
        match skip.map(|skip| &*skip.reason) {
            Some("timeout") => Self::GaveUp(until.min(waits)),
            Some("infeasible") => Self::GaveUp(prepared_us(record).min(until)),
            _ => Self::NotAsked,
        }
    }
}

/// Whether who answered, a tier over the network, would not have in time had the budget been this.
pub(super) fn would_be_late(record: &Record, budget: Duration) -> bool {
    answered_us(record) > waits_us(budget)
}

/// What such a budget leaves to a tier in process, once the features are there.
pub(super) fn left_to_compute(record: &Record, budget: Duration) -> Duration {
    Deadline::computes(budget).saturating_sub(Duration::from_micros(prepared_us(record)))
}

/// When the answer of the tier was there, in microseconds from the request's receipt.
fn answered_us(record: &Record) -> u64 {
    stage(record, "total").saturating_sub(stage(record, "policy"))
}

/// When the first tier's turn came, likewise.
fn prepared_us(record: &Record) -> u64 {
    stage(record, "decode") + stage(record, "features")
}

fn stage(record: &Record, name: &str) -> u64 {
    let mut stages = record.timings_us.iter();
    stages
        .find(|(stage, _)| **stage == *name)
        .map_or(0, |(_, took)| *took)
}

fn waits_us(budget: Duration) -> u64 {
    Deadline::waits(budget).as_micros() as u64
}

/// How long the tiers over the network took, by decision.
#[derive(Clone, Debug, Default)]
pub struct ServiceTimes {
    by_decision: BTreeMap<Arc<str>, Times>,
}

#[derive(Clone, Debug, Default)]
struct Times {
    answered: Vec<u64>,
    gave_up: Vec<u64>,
    not_asked: u64,
    budgets: BTreeMap<u64, u64>,
}

/// What budgets would buy one decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Budgets {
    /// Which.
    pub decision: Arc<str>,
    /// The budget that most decisions had.
    pub usual: Duration,
    /// Budgets and the share of decisions that the tier would answer; `false` when nothing of the log
    /// waited for so long: it is then at least that.
    pub shares: Vec<(Duration, f64, bool)>,
}

impl ServiceTimes {
    pub(super) fn add(&mut self, record: &Record, waited: Waited) {
        let decision = Arc::clone(&record.schema.decision);
        let times = self.by_decision.entry(decision).or_default();
        *times.budgets.entry(record.budget_us).or_default() += 1;
        match waited {
            Waited::Answered(at) => times.answered.push(at),
            Waited::GaveUp(at) => times.gave_up.push(at),
            Waited::NotAsked => times.not_asked += 1,
        }
    }

    /// The largest budget that any decision had.
    pub(super) fn most(&self) -> Duration {
        let budgets = self.by_decision.values();
        let most = budgets.filter_map(|times| times.budgets.keys().next_back());
        Duration::from_micros(most.max().copied().unwrap_or(0))
    }

    /// A table for each decision.
    pub fn budgets(&self) -> impl Iterator<Item = Budgets> {
        self.by_decision
            .iter()
            .map(|(decision, times)| times.table(Arc::clone(decision)))
    }
}

impl Times {
    fn table(&self, decision: Arc<str>) -> Budgets {
        let most = self.budgets.iter().max_by_key(|(_, count)| **count);
        let usual = Duration::from_micros(most.map_or(0, |(budget, _)| *budget));
        let budgets = (-STEPS_DOWN..=STEPS_UP).filter_map(|step| {
            let away = STEP * step.unsigned_abs();
            match step < 0 {
                true => usual.checked_sub(away).filter(|budget| *budget >= LEAST),
                false => Some(usual + away),
            }
        });
        let shares = budgets.map(|budget| {
            let (share, known) = self.share(waits_us(budget));
            (budget, share, known)
        });
        Budgets {
            decision,
            usual,
            shares: shares.collect(),
        }
    }

    /// The share of all that is answered within `us`, and whether anybody waited for so long.
    fn share(&self, us: u64) -> (f64, bool) {
        let asked = self.answered.len() + self.gave_up.len();
        let all = asked as u64 + self.not_asked;
        if all == 0 {
            return (0.0, false);
        }
        let mut moments: Vec<(u64, bool)> = self.answered.iter().map(|at| (*at, true)).collect();
        moments.extend(self.gave_up.iter().map(|at| (*at, false)));
        // Who gave up in the moment in which another was answered waited for that moment too.
        moments.sort_by_key(|(at, answered)| (*at, !answered));
        let mut waiting = asked as f64;
        let mut unanswered = 1.0;
        for (at, answered) in &moments {
            if *at > us {
                break;
            }
            if *answered {
                unanswered *= 1.0 - 1.0 / waiting;
            }
            waiting -= 1.0;
        }
        // Where the longest wait was answered, all were, and more time buys nothing.
        let known = moments
            .last()
            .is_none_or(|(longest, answered)| us <= *longest || *answered);
        let share = asked as f64 / all as f64 * (1.0 - unanswered);
        (share, known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(answered: &[u64], gave_up: &[u64], not_asked: u64) -> Times {
        Times {
            answered: answered.to_vec(),
            gave_up: gave_up.to_vec(),
            not_asked,
            budgets: [(95_000, 1)].into(),
        }
    }

    /// A record of a decision that had 95 ms, answered in process or by `tier`.
    fn record(tier: &str, reason: &str) -> Record {
        let schema = decision_log::Schema {
            decision: "d".into(),
            entities: Vec::new(),
            inputs: Vec::new(),
            columns: Vec::new(),
            views: Vec::new(),
            scores: Vec::new(),
        };
        let stages = [
            ("total", 900),
            ("decode", 100),
            ("features", 300),
            ("policy", 50),
        ];
        Record {
            schema: Arc::new(schema),
            received_us: 0,
            as_of_us: 0,
            id: "r1".into(),
            entities: Vec::new(),
            inputs: Vec::new(),
            budget_us: 95_000,
            columns: Vec::new(),
            views: Vec::new(),
            tensors: Vec::new(),
            tier: tier.into(),
            model: "m".into(),
            version: "1".into(),
            arm: "default".into(),
            scores: Vec::new(),
            action: "approve".into(),
            reasons: Vec::new(),
            skipped: vec![decision_log::Skip {
                tier: "primary".into(),
                reason: reason.into(),
            }],
            timings_us: stages.map(|(stage, us)| (stage.into(), us)).into(),
            late: false,
            in_sample: true,
        }
    }

    #[test]
    fn who_was_turned_away_for_lack_of_time_waited_until_then() {
        let waited = |tier, reason| Waited::of(&record(tier, reason), "primary");
        assert_eq!(waited("primary", ""), Waited::Answered(850));
        assert_eq!(waited("rules", "timeout"), Waited::GaveUp(850));
        assert_eq!(waited("rules", "infeasible"), Waited::GaveUp(400));
        for reason in [
            "overloaded",
            "breaker_open",
            "not_ready",
            "error",
            "features_missing",
        ] {
            assert_eq!(waited("rules", reason), Waited::NotAsked, "{reason}");
        }
        // Three answered and three turned away before: with time, all would have been.
        let times = times(&[850, 850, 850], &[400, 400, 400], 0);
        assert_eq!(times.share(1_000), (1.0, true));
    }

    #[test]
    fn a_budget_leaves_what_decoding_and_features_do_not_take() {
        let left = |us| left_to_compute(&record("rules", ""), Duration::from_micros(us));
        assert_eq!(left(50), Duration::ZERO);
        assert_eq!(left(1_000), Duration::from_micros(950 - 400));
        assert!(would_be_late(
            &record("primary", ""),
            Duration::from_millis(3)
        ));
        assert!(!would_be_late(
            &record("primary", ""),
            Duration::from_millis(4)
        ));
    }

    #[test]
    fn without_timeouts_it_is_the_share_that_was_there() {
        let times = times(&[10, 20, 30, 40], &[], 0);
        let shares = [5, 10, 25, 40, 99].map(|us| times.share(us).0);
        for (share, expected) in shares.iter().zip([0.0, 0.25, 0.5, 1.0, 1.0]) {
            assert!((share - expected).abs() < 1e-12, "{shares:?}");
        }
        assert!(
            times.share(99).1,
            "all were answered: more time buys nothing"
        );
    }

    #[test]
    fn timeouts_are_censored_as_kaplan_and_meier_do() {
        // At 10 one of four is answered, at 20 one of those three gives up, at 30 one of two is answered.
        let times = times(&[10, 30], &[20, 40], 0);
        let (share, known) = times.share(30);
        assert!((share - (1.0 - 0.75 * 0.5)).abs() < 1e-12, "{share}");
        assert!(known);
        assert_eq!(times.share(50), (share, false), "nobody waited for so long");
    }

    #[test]
    fn those_that_were_not_asked_are_answered_by_others_whatever_the_budget() {
        let times = times(&[10], &[], 3);
        assert_eq!(times.share(1_000).0, 0.25);
        assert_eq!(Times::default().share(10), (0.0, false));
        let table = times.table("d".into());
        let budgets: Vec<u64> = table
            .shares
            .iter()
            .map(|(b, _, _)| b.as_millis() as u64)
            .collect();
        assert_eq!(
            budgets,
            [5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 105, 115, 125]
        );
    }

    #[test]
    fn a_budget_too_small_for_anybody_is_not_asked_about() {
        let mut times = times(&[10], &[], 0);
        times.budgets = [(20_000, 1)].into();
        let table = times.table("d".into());
        assert_eq!(table.shares[0].0, Duration::from_millis(10));
    }
}
