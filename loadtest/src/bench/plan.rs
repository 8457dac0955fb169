//! Which systems are put under which loads, how long and how often.

use std::{fmt, time::Duration};

/// How thorough a benchmark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Under two minutes: enough to see what a change did.
    Quick,
    /// Twenty minutes: what is committed.
    Full,
}

/// What is put under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    /// Over HTTP/1.1 with JSON, as the pipe.
    Gavel,
    /// Over HTTP/1.1 with protobuf.
    GavelProtobuf,
    /// Over gRPC.
    GavelGrpc,
    Pipe,
    /// gRPC to Triton, a row a call, the tensor made before.
    Direct,
    /// The scheduler alone, in this process: no HTTP, no store, the tensor made before.
    Scheduler,
}

impl System {
    pub(super) const ALL: [System; 6] = [
        System::Gavel,
        System::Pipe,
        System::Direct,
        System::Scheduler,
        System::GavelProtobuf,
        System::GavelGrpc,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            System::Gavel => "gavel",
            System::GavelProtobuf => "gavel-protobuf",
            System::GavelGrpc => "gavel-grpc",
            System::Pipe => "bare-pipe",
            System::Direct => "direct",
            System::Scheduler => "scheduler",
        }
    }
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Offered {
    Callers(usize),
    PerSecond(f64),
    /// So many times what Gavel's primary tier can do, which shares this machine's CPU.
    TimesCapacity(f64),
    /// So many times what it can do with a Triton whose capacity is set by time.
    TimesPaced(f64),
}

#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) offered: Offered,
    pub(super) systems: &'static [System],
    pub(super) measured: Duration,
}

impl Scenario {
    /// Whether it is asked of the Gavel whose Triton's capacity is set by time.
    pub(super) fn is_paced(&self) -> bool {
        matches!(self.offered, Offered::TimesPaced(_))
    }
}

/// A whole benchmark.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) scenarios: Vec<Scenario>,
    pub(super) rounds: usize,
    pub(super) warm_up: Duration,
    /// Of a scenario that is not paced, and of every step to the capacity.
    pub(super) measured: Duration,
    paced_measured: Duration,
    /// How often the range of the capacity is halved.
    pub(super) halvings: usize,
    /// Sent with every question; an answer after it is late.
    pub(super) budget: Duration,
}

const SIDE_BY_SIDE: &[System] = &[System::Gavel, System::Pipe, System::Direct];
const AND_SCHEDULER: &[System] = &[
    System::Gavel,
    System::Pipe,
    System::Direct,
    System::Scheduler,
];
const EVERY: &[System] = &System::ALL;
const GAVEL: &[System] = &[System::Gavel];

impl Plan {
    /// The plan of that effort, of the scenarios whose name begins with `only`.
    pub fn new(effort: Effort, only: &str) -> Self {
        let full = effort == Effort::Full;
        let measured = Duration::from_millis(if full { 4_000 } else { 750 });
        let paced_measured = Duration::from_secs(if full { 8 } else { 2 });
        let mut scenarios = Vec::new();
        let mut add = |offered, systems| {
            let name = match offered {
                Offered::Callers(callers) => format!("closed-{callers}"),
                Offered::PerSecond(rate) => format!("open-{rate}"),
                Offered::TimesCapacity(times) => format!("capacity-{times}x"),
                Offered::TimesPaced(times) => format!("paced-{times}x"),
            };
            if name.starts_with(only) {
                scenarios.push(Scenario {
                    name,
                    offered,
                    systems,
                    measured: match offered {
                        Offered::TimesPaced(_) => paced_measured,
                        _ => measured,
                    },
                });
            }
        };
        for callers in [1, 8, 32, 256] {
            let systems = match (callers, effort) {
                (32, Effort::Full) => EVERY,
                (32, Effort::Quick) => AND_SCHEDULER,
                _ => SIDE_BY_SIDE,
            };
            add(Offered::Callers(callers), systems);
        }
        let rates: &[f64] = match full {
            true => &[500.0, 2_000.0, 4_000.0],
            false => &[4_000.0],
        };
        for &rate in rates {
            add(Offered::PerSecond(rate), SIDE_BY_SIDE);
        }
        let with_targets = [1.0, 2.0, 5.0];
        // Those between are for the charts.
        let multiples: &[f64] = match full {
            true => &[0.5, 1.0, 1.5, 2.0, 3.0, 5.0],
            false => &with_targets,
        };
        for &times in multiples {
            let systems = match full && with_targets.contains(&times) {
                true => SIDE_BY_SIDE,
                false => GAVEL,
            };
            add(Offered::TimesCapacity(times), systems);
        }
        for &times in multiples {
            add(Offered::TimesPaced(times), GAVEL);
        }
        Self {
            scenarios,
            rounds: if full { 5 } else { 2 },
            warm_up: Duration::from_millis(if full { 800 } else { 250 }),
            measured,
            paced_measured,
            halvings: if full { 5 } else { 2 },
            budget: Duration::from_millis(50),
        }
    }

    pub(super) fn needs_capacity(&self) -> bool {
        let mut offered = self.scenarios.iter().map(|scenario| scenario.offered);
        offered.any(|offered| matches!(offered, Offered::TimesCapacity(_)))
    }

    pub(super) fn is_paced(&self) -> bool {
        self.scenarios.iter().any(Scenario::is_paced)
    }

    pub(super) fn measurements(&self) -> usize {
        self.rounds * self.cells().count()
    }

    /// Which load each system is put under in a round, by their names.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.scenarios.iter().flat_map(|scenario| {
            let systems = scenario.systems.iter();
            systems.map(|system| (&*scenario.name, system.name()))
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds of {:?} (paced: {:?}) after {:?} of warm-up, budget {:?}",
            self.rounds, self.measured, self.paced_measured, self.warm_up, self.budget
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_searches_are_left_out_where_no_scenario_needs_them() {
        assert!(!Plan::new(Effort::Full, "closed").needs_capacity());
        let plan = Plan::new(Effort::Quick, "capacity-5x");
        assert!(plan.needs_capacity() && !plan.is_paced());
        let plan = Plan::new(Effort::Quick, "paced");
        assert!(plan.is_paced() && !plan.needs_capacity());
    }
}
