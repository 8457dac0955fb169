//! `agreement.md`: what both loaders found, and whether it is the same.

use std::fmt::Write as _;

use super::{Found, MEASURED, Pair, ROUNDS, WARM_UP};
use crate::report::Machine;

/// Two loaders cost the machine that they share with the servers differently, whatever they measure.
const ALLOWED: f64 = 0.05;

type Value = fn(&Found) -> f64;

const METRICS: [(&str, Value); 3] = [
    ("answers/s", |found| found.per_second),
    ("p50 us", |found| found.p50_us),
    ("p99 us", |found| found.p99_us),
];

pub(super) fn render(pairs: &[Pair], machine: &Machine) -> String {
    let mut page = String::from("# Agreement with other loaders\n\n");
    let _ = writeln!(
        page,
        "Written by `make bench-agree`: the loader of `make bench` and one that we did not write ask the same \
         servers the same questions in closed loops, in turn, {ROUNDS} rounds of {MEASURED:?} (ours after {WARM_UP:?} \
         of warm-up). `direct` is gRPC to Triton, a row a call, also by NVIDIA's perf_analyzer; `gavel` is `POST \
         /v1/decide` with JSON, also by wrk. Shown are medians, and in brackets the range over rounds. Loaders share \
         the machine with the servers, so what one costs, the server lacks: its CPU an answer is shown too.\n\n\
         They agree where their ranges overlap, or are at most {:.0} % apart.\n",
        100.0 * ALLOWED
    );
    for (name, value) in machine.facts() {
        let _ = writeln!(page, "- {name}: {value}");
    }
    page.push_str(
        "\n| system | callers | | loadtest | the other | apart | |\n|---|---|---|---|---|---|---|\n",
    );
    for pair in pairs {
        for (name, value) in METRICS {
            let (ours, theirs) = (
                Rounds::of(&pair.ours, value),
                Rounds::of(&pair.theirs, value),
            );
            let verdict = match ours.agrees_with(theirs) {
                true => "agree",
                false => "**apart**",
            };
            let apart = 100.0 * (theirs.median / ours.median - 1.0);
            let _ = writeln!(
                page,
                "| {} | {} | {name} | {} | {}: {} | {apart:+.1} % | {verdict} |",
                pair.system.name(),
                pair.callers,
                ours.shown(),
                pair.other,
                theirs.shown(),
            );
        }
        let cpu = |rounds| Rounds::of(rounds, |found: &Found| found.loader_cpu_us).median;
        let _ = writeln!(
            page,
            "| {} | {} | loader's CPU us | {:.0} | {}: {:.0} | | |",
            pair.system.name(),
            pair.callers,
            cpu(&pair.ours),
            pair.other,
            cpu(&pair.theirs),
        );
    }
    page
}

/// A value over rounds.
#[derive(Clone, Copy, Debug)]
struct Rounds {
    least: f64,
    median: f64,
    most: f64,
}

impl Rounds {
    /// There is always a round.
    fn of(rounds: &[Found], value: impl Fn(&Found) -> f64) -> Self {
        let mut values: Vec<_> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        Self {
            least: at(0),
            median: at(values.len() / 2),
            most: at(values.len().saturating_sub(1)),
        }
    }

    fn agrees_with(self, other: Self) -> bool {
        let reaches = |one: Self, other: Self| one.most * (1.0 + ALLOWED) >= other.least;
        reaches(self, other) && reaches(other, self)
    }

    fn shown(self) -> String {
        format!("{:.0} ({:.0} to {:.0})", self.median, self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::plan::System, *};

    fn found(per_second: f64, p99_us: f64) -> Found {
        Found {
            per_second,
            p50_us: 100.0,
            p99_us,
            loader_cpu_us: 9.0,
        }
    }

    #[test]
    fn what_is_apart_says_so() {
        let pair = Pair {
            system: System::Direct,
            callers: 8,
            other: "wrk",
            ours: [1_000.0, 1_010.0, 990.0]
                .map(|rate| found(rate, 100.0))
                .into(),
            theirs: [1_100.0, 1_110.0, 1_070.0]
                .map(|rate| found(rate, rate / 10.0))
                .into(),
        };
        let page = render(&[pair], &Machine::for_tests([("date", "2019-08-31")]));
        assert!(page.contains("- date: 2019-08-31\n"));
        for row in [
            "| direct | 8 | answers/s | 1000 (990 to 1010) | wrk: 1100 (1070 to 1110) | +10.0 % | **apart** |",
            "| direct | 8 | p50 us | 100 (100 to 100) | wrk: 100 (100 to 100) | +0.0 % | agree |",
            "| direct | 8 | p99 us | 100 (100 to 100) | wrk: 110 (107 to 111) | +10.0 % | **apart** |",
            "| direct | 8 | loader's CPU us | 9 | wrk: 9 | | |",
        ] {
            assert!(page.contains(row), "{row} in {page}");
        }
    }

    #[test]
    fn ranges_that_overlap_or_nearly_do_agree() {
        let rounds = |rates: [f64; 3]| {
            let found = rates.map(|rate| found(rate, 1.0));
            Rounds::of(&found, |found| found.per_second)
        };
        let (lower, upper) = (rounds([90.0, 80.0, 100.0]), rounds([105.0, 120.0, 110.0]));
        assert!(lower.agrees_with(upper) && upper.agrees_with(lower));
        let above = rounds([106.0, 120.0, 110.0]);
        assert!(!lower.agrees_with(above) && !above.agrees_with(lower));
        assert!(lower.agrees_with(rounds([10.0, 1_000.0, 500.0])));
    }
}
