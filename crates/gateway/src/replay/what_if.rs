//! What would have changed: actions as a confusion table, scores as drift, examples.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use decision_log::Record;

use super::one::Answered;
use crate::{
    decision::{self, Decisions, TierKind},
    decision_log::moment,
    diagnostic::Report,
    serve::Failure,
};

/// Examples that are kept of changed actions.
const EXAMPLES: usize = 10;
/// Bins of the population stability index: tenths of the logged scores.
const BINS: usize = 10;
/// A bin that holds nobody counts as this share, so that the index stays finite.
const EMPTY: f64 = 1e-4;

/// Puts other rules in place of a decision's.
pub(super) fn replace_rules(
    decisions: &mut Decisions,
    file: &Path,
    decision: Option<&str>,
    report: &mut Report,
) -> Result<(), Failure> {
    let Some(table) = decision::read_rules(file, report) else {
        return Err(Failure(format!(
            "the rules {} cannot be read",
            file.display()
        )));
    };
    let named = |name: &str| decision.is_none_or(|decision| decision == name);
    let mut of_these: Vec<_> = decisions
        .definitions
        .values_mut()
        .filter(|d| named(&d.name))
        .collect();
    let [definition] = of_these.as_mut_slice() else {
        let problem = match decision {
            Some(decision) => format!("there is no decision `{decision}`"),
            None => "there are several decisions: say whose rules these are with --decision".into(),
        };
        return Err(Failure(problem));
    };
    if table.scores != definition.scores {
        return Err(Failure(format!(
            "{} gives the scores {}, and the decision `{}` has {}",
            file.display(),
            table.scores.join(", "),
            definition.name,
            definition.scores.join(", ")
        )));
    }
    for tier in &mut definition.tiers {
        if let TierKind::Rules(old) = &mut tier.kind {
            *old = table.clone();
        }
    }
    Ok(())
}

/// What a what-if changes.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Decisions that a what-if was about and that were computed anew.
    pub computed: u64,
    /// Decisions with another action.
    pub changed: u64,
    /// How often an action that was logged would be which.
    pub confusion: BTreeMap<(Arc<str>, Arc<str>), u64>,
    /// Who answered those that were computed anew.
    pub tiers: BTreeMap<Arc<str>, u64>,
    /// Some that would be another, a line each.
    pub examples: Vec<String>,
    /// Logged and new scores, by name, of those computed anew.
    scores: BTreeMap<Arc<str>, Vec<(f64, f64)>>,
}

/// How far scores move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Of the differences, new less logged.
    pub mean: f64,
    /// Of the absolute differences.
    pub p50: f64,
    /// Likewise.
    pub p99: f64,
    /// Likewise.
    pub max: f64,
    /// The population stability index, over tenths of the logged scores: above 0.2 is another
    /// population, say those who use it.
    pub psi: f64,
}

impl Changes {
    /// A record that stays as it is.
    pub(super) fn unchanged(&mut self, record: &Record) {
        let action = &record.action;
        *self
            .confusion
            .entry((Arc::clone(action), Arc::clone(action)))
            .or_default() += 1;
    }

    pub(super) fn add(&mut self, record: &Record, answered: &Answered) {
        self.computed += 1;
        *self.tiers.entry(Arc::clone(&answered.tier)).or_default() += 1;
        let pair = (Arc::clone(&record.action), Arc::clone(&answered.action));
        *self.confusion.entry(pair).or_default() += 1;
        let names = record.schema.scores.iter();
        for (name, pair) in names.zip(record.scores.iter().zip(&answered.scores)) {
            let of_name = self.scores.entry(Arc::clone(name)).or_default();
            of_name.push((*pair.0, *pair.1));
        }
        if record.action == answered.action {
            return;
        }
        self.changed += 1;
        if self.examples.len() < EXAMPLES {
            let scores = record
                .schema
                .scores
                .iter()
                .zip(record.scores.iter().zip(&answered.scores));
            let scores = scores.map(|(name, (old, new))| format!("{name} {old:.4} -> {new:.4}"));
            self.examples.push(format!(
                "{}  {}  {} -> {}  {}",
                moment(record.received_us),
                record.id,
                record.action,
                answered.action,
                scores.collect::<Vec<_>>().join("  ")
            ));
        }
    }

    /// The share of all decisions whose action would be another, of `records` in all.
    pub fn share_changed(&self, records: u64) -> f64 {
        if records == 0 {
            return 0.0;
        }
        self.changed as f64 / records as f64
    }

    /// How far each score moves, of those computed anew.
    pub fn drift(&self) -> impl Iterator<Item = (&str, Drift)> {
        self.scores
            .iter()
            .filter_map(|(name, pairs)| Some((&**name, drift(pairs)?)))
    }
}

fn drift(pairs: &[(f64, f64)]) -> Option<Drift> {
    let mut moved: Vec<f64> = pairs.iter().map(|(old, new)| (new - old).abs()).collect();
    moved.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let rank = (share * moved.len() as f64).ceil() as usize;
        moved.get(rank.saturating_sub(1)).copied()
    };
    Some(Drift {
        mean: pairs.iter().map(|(old, new)| new - old).sum::<f64>() / pairs.len() as f64,
        p50: quantile(0.5)?,
        p99: quantile(0.99)?,
        max: *moved.last()?,
        psi: psi(pairs),
    })
}

/// The sum over bins of (new - old) ln(new / old), shares of the bins. Logged scores that are the same
/// are in one bin.
fn psi(pairs: &[(f64, f64)]) -> f64 {
    let mut logged: Vec<f64> = pairs.iter().map(|(old, _)| *old).collect();
    logged.sort_by(f64::total_cmp);
    let mut edges: Vec<f64> = (1..BINS)
        .filter_map(|bin| logged.get(bin * logged.len() / BINS).copied())
        .collect();
    edges.dedup();
    let bins = edges.len() + 1;
    let shares = |scores: &mut dyn Iterator<Item = f64>| {
        let mut counts = vec![0.0_f64; bins];
        for score in scores {
            counts[edges.partition_point(|edge| *edge <= score)] += 1.0;
        }
        let total: f64 = counts.iter().sum();
        counts
            .iter()
            .map(|count| (count / total).max(EMPTY))
            .collect::<Vec<f64>>()
    };
    let old = shares(&mut pairs.iter().map(|(old, _)| *old));
    let new = shares(&mut pairs.iter().map(|(_, new)| *new));
    old.iter()
        .zip(&new)
        .map(|(old, new)| (new - old) * (new / old).ln())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_stay_do_not_drift() {
        let pairs: Vec<(f64, f64)> = (0..1000)
            .map(|i| f64::from(i) / 1000.0)
            .map(|s| (s, s))
            .collect();
        let drift = drift(&pairs).unwrap();
        assert_eq!(
            (drift.mean, drift.p99, drift.max, drift.psi),
            (0.0, 0.0, 0.0, 0.0)
        );
        assert!(super::drift(&[]).is_none());
    }

    #[test]
    fn drift_is_measured() {
        let pairs: Vec<(f64, f64)> = (0..100)
            .map(f64::from)
            .map(|s| (s, if s == 99.0 { 199.0 } else { s + 1.0 }))
            .collect();
        let drift = drift(&pairs).unwrap();
        assert_eq!(
            (drift.mean, drift.p50, drift.p99, drift.max),
            (1.99, 1.0, 1.0, 100.0)
        );
    }

    #[test]
    fn a_population_that_moves_to_one_tenth_has_a_large_index() {
        let pairs: Vec<(f64, f64)> = (0..1000).map(|i| (f64::from(i) / 1000.0, 0.95)).collect();
        // One tenth holds all, nine hold the share of an empty bin.
        let expected = 0.9 * 10f64.ln() + 9.0 * (1e-4 - 0.1) * (1e-4f64 / 0.1).ln();
        assert!(
            (psi(&pairs) - expected).abs() < 1e-9,
            "{} {expected}",
            psi(&pairs)
        );
        let same: Vec<(f64, f64)> = vec![(0.5, 0.5); 10];
        assert_eq!(psi(&same), 0.0, "one bin");
    }
}
