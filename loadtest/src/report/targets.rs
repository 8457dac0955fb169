//! What Gavel is meant to reach, as ratios within one run, and what it reached.

use super::{Record, summary::Summary};

const GAVEL: &str = "gavel";
const PIPE: &str = "bare-pipe";

/// One target and how it went.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) what: &'static str,
    pub(super) bound: Bound,
    /// `None` where this run did not measure it.
    pub(super) measured: Option<f64>,
    pub(super) unit: Unit,
    /// Something to know about the value.
    pub(super) note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Ratio,
    /// A share, shown in percent.
    Share,
}

impl Target {
    pub(super) fn is_met(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(match self.bound {
            Bound::AtMost(bound) => measured <= bound,
            Bound::AtLeast(bound) => measured >= bound,
        })
    }
}

/// Every target, in the order in which they are shown.
#[rustfmt::skip]
pub(super) fn targets(summary: &Summary) -> Vec<Target> {
    use Bound::{AtLeast, AtMost};
    let to_pipe = |scenario, value: fn(&Record) -> Option<f64>| {
        summary.ratio((scenario, GAVEL), (scenario, PIPE), value)
    };
    let to_one = |scenario, value: fn(&Record) -> Option<f64>| {
        summary.ratio((scenario, GAVEL), ("paced-1x", GAVEL), value)
    };
    let to_one_on_cpu = |scenario, value: fn(&Record) -> Option<f64>| {
        summary.ratio((scenario, GAVEL), ("capacity-1x", GAVEL), value)
    };
    let late = |scenario| summary.cell(scenario, GAVEL).map(|cell| cell.late_share());
    let p50 = |record: &Record| Some(record.p50_us);
    let gateway = |record: &Record| record.cpu_us.gateway;
    let primary = |record: &Record| Some(record.primary_per_second());
    let memory = |record: &Record| record.rss_bytes.map(|bytes| bytes as f64);
    let ratio = |what, bound, measured| Target { what, bound, measured, unit: Unit::Ratio, note: None };
    let share = |what, bound, measured| Target { what, bound, measured, unit: Unit::Share, note: None };
    vec![
        ratio("p50 at 1 caller, Gavel / bare pipe", AtMost(1.10), to_pipe("closed-1", p50)),
        ratio("gateway CPU a decision at 1 caller, Gavel / bare pipe", AtMost(1.25), to_pipe("closed-1", gateway)),
        ratio("gateway CPU a decision at 8 callers, Gavel / bare pipe", AtMost(1.25), to_pipe("closed-8", gateway)),
        ratio("decisions/s at 32 callers, Gavel / bare pipe", AtLeast(1.5), to_pipe("closed-32", |record| Some(record.throughput))),
        ratio("CPU a decision of the whole system at 32 callers, Gavel / bare pipe", AtMost(0.5), to_pipe("closed-32", Record::system_cpu_us)),
        ratio("p50 at 32 callers in the scheduler alone, Gavel / direct gRPC", AtMost(0.35), summary.ratio(("closed-32", "scheduler"), ("closed-32", "direct"), p50)),
        ratio("p50 at 256 callers, Gavel / bare pipe", AtMost(0.5), to_pipe("closed-256", p50)),
        ratio("p99 in open loop at 4,000/s, Gavel / bare pipe", AtMost(1.0), to_pipe("open-4000", |record| Some(record.p99_us))),
        share("late answers at 1x capacity", AtMost(0.000_1), late("paced-1x")),
        share("late answers at 2x capacity", AtMost(0.001), late("paced-2x")),
        share("late answers at 5x capacity", AtMost(0.001), late("paced-5x")),
        ratio("primary answers a second, at 2x / at 1x", AtLeast(0.9), to_one("paced-2x", primary)),
        ratio("primary answers a second, at 5x / at 1x", AtLeast(0.9), to_one("paced-5x", primary)),
        Target { note: growth(summary, "paced-5x"), ..ratio("memory at 5x / at 1x", AtMost(2.0), to_one("paced-5x", memory)) },
        share("late answers at 1x of this machine's own CPU, loader included", AtMost(0.000_1), late("capacity-1x")),
        share("late answers at 2x of this machine's own CPU, loader included", AtMost(0.001), late("capacity-2x")),
        share("late answers at 5x of this machine's own CPU, loader included", AtMost(0.001), late("capacity-5x")),
        ratio("primary answers a second on this machine's own CPU, loader included, at 2x / at 1x", AtLeast(0.9), to_one_on_cpu("capacity-2x", primary)),
        ratio("primary answers a second on this machine's own CPU, loader included, at 5x / at 1x", AtLeast(0.9), to_one_on_cpu("capacity-5x", primary)),
        Target { note: growth(summary, "capacity-5x"), ..ratio("memory on this machine's own CPU, loader included, at 5x / at 1x", AtMost(2.0), to_one_on_cpu("capacity-5x", memory)) },
    ]
}

/// Whether memory is flat: what it grew to at 5x from the first round to the last.
fn growth(summary: &Summary, at_5x: &str) -> Option<String> {
    let rounds = &summary.cell(at_5x, GAVEL)?.rounds;
    let mib = |record: &Record| Some(record.rss_bytes? as f64 / f64::from(1 << 20));
    let (first, last) = (mib(rounds.first()?)?, mib(rounds.last()?)?);
    Some(format!(
        "at 5x {first:.1} MiB in the first round, {last:.1} MiB in the last"
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::record::tests::record, *};
    use crate::bench::{Effort, Plan};

    #[test]
    fn both_plans_measure_every_target() {
        for effort in [Effort::Quick, Effort::Full] {
            let plan = Plan::new(effort, "");
            let records: Vec<_> = plan.cells().map(|(load, of)| record(load, of)).collect();
            for target in targets(&Summary::of(&records)) {
                assert!(target.measured.is_some(), "{effort:?}: {}", target.what);
            }
        }
    }

    fn all() -> Vec<Record> {
        let mut records = Vec::new();
        for scenario in [
            "closed-1",
            "closed-8",
            "closed-32",
            "closed-256",
            "open-4000",
        ] {
            for system in [GAVEL, PIPE, "direct"] {
                records.push(record(scenario, system));
            }
        }
        for scenario in ["capacity-1x", "capacity-2x", "capacity-5x"] {
            records.push(record(scenario, GAVEL));
        }
        for scenario in ["paced-1x", "paced-2x", "paced-5x"] {
            records.push(record(scenario, GAVEL));
        }
        records
    }

    fn met(records: &[Record], what: &str) -> Option<bool> {
        let targets = targets(&Summary::of(records));
        let target = targets.into_iter().find(|target| target.what == what);
        target.expect(what).is_met()
    }

    #[test]
    fn equal_systems_meet_what_asks_for_no_worse() {
        let records = all();
        assert_eq!(
            met(&records, "p50 at 1 caller, Gavel / bare pipe"),
            Some(true)
        );
        assert_eq!(
            met(&records, "decisions/s at 32 callers, Gavel / bare pipe"),
            Some(false)
        );
        assert_eq!(met(&records, "late answers at 1x capacity"), Some(false));
        assert_eq!(met(&records, "late answers at 5x capacity"), Some(true));
        assert_eq!(met(&records, "memory at 5x / at 1x"), Some(true));
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        let records = all();
        assert_eq!(
            met(
                &records,
                "p50 at 32 callers in the scheduler alone, Gavel / direct gRPC"
            ),
            None
        );
        assert_eq!(met(&[], "memory at 5x / at 1x"), None);
    }

    #[test]
    fn overload_is_judged_by_pace_and_by_cpu_apart() {
        let mut records = all();
        for record in &mut records {
            if record.scenario == "capacity-5x" {
                record.tiers.primary /= 2;
            }
        }
        let what = |on| format!("primary answers a second{on}, at 5x / at 1x");
        let on_cpu = what(" on this machine's own CPU, loader included");
        assert_eq!(met(&records, &on_cpu), Some(false));
        assert_eq!(met(&records, &what("")), Some(true));
        records.retain(|record| !record.scenario.starts_with("paced"));
        assert_eq!(met(&records, &what("")), None);
    }

    #[test]
    fn a_slower_gavel_misses() {
        let mut records = all();
        for record in &mut records {
            if record.system == GAVEL && record.scenario == "closed-1" {
                record.p50_us *= 1.2;
            }
        }
        assert_eq!(
            met(&records, "p50 at 1 caller, Gavel / bare pipe"),
            Some(false)
        );
    }
}
