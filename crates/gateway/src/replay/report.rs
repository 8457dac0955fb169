//! What a replay found, and how it is told.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use super::{
    budget::ServiceTimes,
    compare::Difference,
    one::{Done, Outcome},
    what_if::Changes,
};
use crate::{
    decision_log::{Damaged, moment},
    diagnostic::count,
};

/// Records that differ and are shown one by one.
const SHOWN: usize = 20;

/// What a replay found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Records of the log.
    pub records: u64,
    /// Those that came out as they were, to the bit.
    pub same: u64,
    /// Those that did not.
    pub different: u64,
    /// The first of them: which, and what differs.
    pub examples: Vec<(String, Vec<Difference>)>,
    /// Why records could not be replayed: how many, and one of them.
    pub not_replayed: BTreeMap<String, (u64, String)>,
    /// What a what-if changes, where one was asked.
    pub changes: Option<Changes>,
    /// How long the tiers over the network took.
    pub times: ServiceTimes,
    /// What of the log could not be read.
    pub damaged: Vec<Damaged>,
    /// Answers by tier.
    tiers: BTreeMap<Arc<str>, u64>,
}

impl Findings {
    pub(super) fn new(what_if: bool) -> Self {
        Self {
            changes: what_if.then(Changes::default),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, done: Done) {
        let record = &done.record;
        self.records += 1;
        *self.tiers.entry(Arc::clone(&record.tier)).or_default() += 1;
        self.times.add(record, done.waited);
        let named = || format!("{} {}", moment(record.received_us), record.id);
        match (done.outcome, &mut self.changes) {
            (Outcome::NotReplayed(why), _) => {
                let (count, _) = self.not_replayed.entry(why).or_insert_with(|| (0, named()));
                *count += 1;
            }
            (Outcome::Unchanged, Some(changes)) => changes.unchanged(record),
            (Outcome::Answered(answered), Some(changes)) => changes.add(record, &answered),
            (Outcome::Unchanged, None) => self.same += 1,
            (Outcome::Answered(answered), None) if answered.differences.is_empty() => {
                self.same += 1;
            }
            (Outcome::Answered(answered), None) => {
                self.different += 1;
                if self.examples.len() < SHOWN {
                    let who = format!("{}, {} {}", named(), record.model, record.version);
                    self.examples.push((who, answered.differences));
                }
            }
        }
    }

    /// How many could not be replayed.
    pub fn not_replayed(&self) -> u64 {
        self.not_replayed.values().map(|(count, _)| count).sum()
    }

    /// All of it, for a person.
    pub fn text(&self, with_budgets: bool) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out, with_budgets);
        out.trim_end().to_owned()
    }

    fn write(&self, out: &mut String, with_budgets: bool) -> std::fmt::Result {
        let by_tier: Vec<String> = self
            .tiers
            .iter()
            .map(|(tier, n)| format!("{tier} {n}"))
            .collect();
        writeln!(
            out,
            "{} of the log ({})",
            count(self.records as usize, "decision"),
            by_tier.join(", ")
        )?;
        match &self.changes {
            None => writeln!(
                out,
                "replayed with the same bits: {}\nreplayed with others: {}\nnot replayed: {}",
                self.same,
                self.different,
                self.not_replayed()
            )?,
            Some(changes) => self.write_changes(out, changes)?,
        }
        for (who, differences) in &self.examples {
            writeln!(out, "\n{who}")?;
            for difference in differences {
                writeln!(out, "  {difference}")?;
            }
        }
        if self.different > self.examples.len() as u64 {
            writeln!(
                out,
                "\n… and {} more",
                self.different - self.examples.len() as u64
            )?;
        }
        for (why, (n, example)) in &self.not_replayed {
            writeln!(
                out,
                "\nnot replayed, {n} times: {why}\n  for example {example}"
            )?;
        }
        if with_budgets {
            self.write_budgets(out)?;
        }
        for damaged in &self.damaged {
            writeln!(out, "\n{damaged}")?;
        }
        Ok(())
    }

    fn write_changes(&self, out: &mut String, changes: &Changes) -> std::fmt::Result {
        let share = 100.0 * changes.share_changed(self.records);
        writeln!(
            out,
            "computed anew: {}\nwith another action: {} ({share:.3} %)\nnot replayed: {}\n\nlogged -> would be",
            changes.computed,
            changes.changed,
            self.not_replayed()
        )?;
        for ((old, new), n) in &changes.confusion {
            let mark = if old == new { "" } else { "  *" };
            writeln!(out, "  {old:>12} -> {new:<12} {n:>9}{mark}")?;
        }
        for (name, drift) in changes.drift() {
            writeln!(
                out,
                "\nscore {name} of those computed anew: mean {:+.6}; absolute p50 {:.6}, p99 {:.6}, max {:.6}; PSI {:.4}",
                drift.mean, drift.p50, drift.p99, drift.max, drift.psi
            )?;
        }
        if !changes.examples.is_empty() {
            writeln!(out, "\nfor example")?;
        }
        for example in &changes.examples {
            writeln!(out, "  {example}")?;
        }
        Ok(())
    }

    fn write_budgets(&self, out: &mut String) -> std::fmt::Result {
        for budgets in self.times.budgets() {
            let (decision, usual) = (&budgets.decision, budgets.usual);
            writeln!(
                out,
                "\nanswered over the network, by budget ({decision}, most had {usual:?})"
            )?;
            for (budget, share, known) in &budgets.shares {
                let least = if *known { "" } else { "at least " };
                let mark = if *budget == usual {
                    "  <- as it was"
                } else {
                    ""
                };
                writeln!(out, "  {budget:>8.1?}  {least}{:.2} %{mark}", 100.0 * share)?;
            }
        }
        Ok(())
    }
}
