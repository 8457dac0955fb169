//! Records put together: rounds of the same load on the same system, and medians over them.

use super::Record;

/// All rounds of one system under one load.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) scenario: String,
    pub(super) system: String,
    pub(super) rounds: Vec<Record>,
}

/// Cells in the order in which they were first measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    pub(super) cells: Vec<Cell>,
}

impl Summary {
    pub(super) fn of(records: &[Record]) -> Self {
        let mut cells: Vec<Cell> = Vec::new();
        for record in records {
            let same =
                |cell: &&mut Cell| cell.scenario == record.scenario && cell.system == record.system;
            match cells.iter_mut().find(same) {
                Some(cell) => cell.rounds.push(record.clone()),
                None => cells.push(Cell {
                    scenario: record.scenario.clone(),
                    system: record.system.clone(),
                    rounds: vec![record.clone()],
                }),
            }
        }
        // Systems take turns at being first: side by side they are easier to compare.
        let mut scenarios: Vec<String> = Vec::new();
        for cell in &cells {
            if !scenarios.contains(&cell.scenario) {
                scenarios.push(cell.scenario.clone());
            }
        }
        cells.sort_by_key(|cell| scenarios.iter().position(|name| *name == cell.scenario));
        Self { cells }
    }

    pub(super) fn cell(&self, scenario: &str, system: &str) -> Option<&Cell> {
        let mut cells = self.cells.iter();
        cells.find(|cell| cell.scenario == scenario && cell.system == system)
    }

    /// The median over rounds of one cell's value divided by another's in the same round.
    pub(super) fn ratio(
        &self,
        (scenario, system): (&str, &str),
        (other_scenario, other_system): (&str, &str),
        value: impl Fn(&Record) -> Option<f64>,
    ) -> Option<f64> {
        let above = self.cell(scenario, system)?;
        let below = self.cell(other_scenario, other_system)?;
        let ratios = above.rounds.iter().filter_map(|record| {
            let mut others = below.rounds.iter();
            let other = others.find(|other| other.round == record.round)?;
            Some(value(record)? / value(other)?)
        });
        median(ratios)
    }
}

impl Cell {
    /// Whether its Triton's capacity is set by time.
    pub(super) fn is_paced(&self) -> bool {
        self.scenario.starts_with("paced-")
    }

    /// The median over rounds.
    pub(super) fn median(&self, value: impl Fn(&Record) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(value))
    }

    /// Over all rounds together.
    pub(super) fn late_share(&self) -> f64 {
        let late = |record: &Record| record.late_share * record.asked as f64;
        let asked: u64 = self.rounds.iter().map(|record| record.asked).sum();
        self.rounds.iter().map(late).sum::<f64>() / asked.max(1) as f64
    }

    /// Over all rounds together.
    pub(super) fn sum(&self, count: impl Fn(&Record) -> u64) -> u64 {
        self.rounds.iter().map(count).sum()
    }

    /// The share of right answers that each tier gave, best first, over all rounds together.
    pub(super) fn shares(&self) -> [f64; 3] {
        let counts = [
            self.sum(|record| record.tiers.primary),
            self.sum(|record| record.tiers.secondary),
            self.sum(|record| record.tiers.rules),
        ];
        let all = counts.iter().sum::<u64>().max(1);
        counts.map(|count| count as f64 / all as f64)
    }
}

/// Of an even number, the mean of the two in the middle; `None` of none.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) {
        (values[middle - 1] + upper) / 2.0
    } else {
        upper
    })
}

#[cfg(test)]
mod tests {
    use super::{super::record::tests::record, *};

    #[test]
    fn medians_are_the_middle() {
        let of = |values: &[f64]| median(values.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some(3.0));
        assert_eq!(of(&[5.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(of(&[4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn a_ratio_is_of_the_same_round() {
        let mut records = Vec::new();
        for (round, (gavel, pipe)) in [(100.0, 50.0), (400.0, 100.0), (90.0, 30.0)]
            .into_iter()
            .enumerate()
        {
            for (system, throughput) in [("gavel", gavel), ("bare-pipe", pipe)] {
                records.push(Record {
                    round,
                    throughput,
                    ..record("closed-32", system)
                });
            }
        }
        records.rotate_left(1); // the order does not matter
        let summary = Summary::of(&records);
        let ratio =
            |a, b| summary.ratio(("closed-32", a), ("closed-32", b), |r| Some(r.throughput));
        assert_eq!(ratio("gavel", "bare-pipe"), Some(3.0));
        assert_eq!(ratio("gavel", "direct"), None);
    }

    #[test]
    fn late_answers_are_a_share_of_all_that_were_asked() {
        let few = Record {
            asked: 10,
            late_share: 0.5,
            ..record("open-500", "gavel")
        };
        let many = Record {
            asked: 90,
            late_share: 0.0,
            ..few.clone()
        };
        let summary = Summary::of(&[few, many]);
        let late = summary.cell("open-500", "gavel").unwrap().late_share();
        assert!((late - 0.05).abs() < 1e-12);
    }
}
