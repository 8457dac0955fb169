//! What a replay found, and how it is told.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use super::{
    WhatIf,
    budget::ServiceTimes,
    compare::Difference,
    one::{Done, Outcome},
    what_if::Changes,
};
use crate::{
    decision_log::{Damaged, Unread, moment},
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
    /// The budget of the what-if.
    budget: Option<Duration>,
}

impl Findings {
    pub(super) fn new(what_if: &WhatIf) -> Self {
        Self {
            changes: (!what_if.is_none()).then(Changes::default),
            budget: what_if.budget,
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

    /// Whether parts of the log could not be read, other than the end of the segment that is written.
    pub fn is_damaged(&self) -> bool {
        self.damaged.iter().any(|damaged| !damaged.is_usual())
    }

    /// Whether a what-if was asked that nothing of the log is about.
    pub fn is_about_nothing(&self) -> bool {
        let changes = self.changes.as_ref();
        changes.is_some_and(|changes| changes.computed == 0) && self.not_replayed.is_empty()
    }

    /// All of it, for a person.
    pub fn text(&self, with_budgets: bool) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out, with_budgets);
        out.trim_end().to_owned()
    }

    fn write(&self, out: &mut String, with_budgets: bool) -> std::fmt::Result {
        writeln!(
            out,
            "{} of the log ({})",
            count(self.records as usize, "decision"),
            by_tier(&self.tiers)
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
        if let Some(unread) = Unread::of(&self.damaged) {
            writeln!(out, "\n{unread}")?;
        }
        Ok(())
    }

    fn write_changes(&self, out: &mut String, changes: &Changes) -> std::fmt::Result {
        if self.is_about_nothing() {
            let records = count(self.records as usize, "decision");
            writeln!(out, "the what-if is about none of these {records}")?;
        }
        if let Some(budget) = self.budget.filter(|budget| *budget >= self.times.most()) {
            writeln!(
                out,
                "a budget of {budget:?} changes nothing: none of these decisions had more"
            )?;
        }
        let share = 100.0 * changes.share_changed(self.records);
        let anew = match changes.computed {
            0 => "0".to_owned(),
            computed => format!("{computed} (by {})", by_tier(&changes.tiers)),
        };
        writeln!(
            out,
            "computed anew: {anew}\nwith another action: {} ({share:.3} %)\nnot replayed: {}\n\nlogged -> would be",
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

/// `primary 6751, rules 1745`
fn by_tier(tiers: &BTreeMap<Arc<str>, u64>) -> String {
    let tiers = tiers.iter().map(|(tier, n)| format!("{tier} {n}"));
    tiers.collect::<Vec<_>>().join(", ")
}
