//! Which systems are put under which loads, how long and how often.

use std::{fmt, time::Duration};

/// How thorough a benchmark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Under two minutes: enough to see what a change did.
    Quick,
    /// A quarter of an hour: what is committed.
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
}

impl System {
    pub(super) const ALL: [System; 5] = [
        System::Gavel,
        System::Pipe,
        System::Direct,
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
        }
    }
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Offered {
    Callers(usize),
    PerSecond(f64),
    /// So many times what Gavel's primary tier can do.
    TimesCapacity(f64),
}

#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) offered: Offered,
    pub(super) systems: &'static [System],
}

/// A whole benchmark.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) scenarios: Vec<Scenario>,
    pub(super) rounds: usize,
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
    /// Sent with every question; an answer after it is late.
    pub(super) budget: Duration,
}

const SIDE_BY_SIDE: &[System] = &[System::Gavel, System::Pipe, System::Direct];
const EVERY: &[System] = &System::ALL;
const GAVEL: &[System] = &[System::Gavel];

impl Plan {
    /// The plan of that effort, of the scenarios whose name begins with `only`.
    pub fn new(effort: Effort, only: &str) -> Self {
        let full = effort == Effort::Full;
        let mut scenarios = Vec::new();
        let mut add = |offered, systems| {
            let name = match offered {
                Offered::Callers(callers) => format!("closed-{callers}"),
                Offered::PerSecond(rate) => format!("open-{rate}"),
                Offered::TimesCapacity(times) => format!("capacity-{times}x"),
            };
            if name.starts_with(only) {
                scenarios.push(Scenario {
                    name,
                    offered,
                    systems,
                });
            }
        };
        for callers in [1, 8, 32, 256] {
            let systems = if full && callers == 32 {
                EVERY
            } else {
                SIDE_BY_SIDE
            };
            add(Offered::Callers(callers), systems);
        }
        for rate in [500.0, 2_000.0, 4_000.0] {
            add(Offered::PerSecond(rate), SIDE_BY_SIDE);
        }
        for times in [0.5, 1.0, 1.5, 2.0, 3.0, 5.0] {
            let of_the_issue = [1.0, 2.0, 5.0].contains(&times);
            if full || of_the_issue {
                add(
                    Offered::TimesCapacity(times),
                    if full && of_the_issue {
                        SIDE_BY_SIDE
                    } else {
                        GAVEL
                    },
                );
            }
        }
        Self {
            scenarios,
            rounds: if full { 5 } else { 2 },
            warm_up: Duration::from_millis(if full { 800 } else { 300 }),
            measured: Duration::from_millis(if full { 4_000 } else { 1_000 }),
            budget: Duration::from_millis(50),
        }
    }

    pub(super) fn needs_capacity(&self) -> bool {
        let mut offered = self.scenarios.iter().map(|scenario| scenario.offered);
        offered.any(|offered| matches!(offered, Offered::TimesCapacity(_)))
    }

    pub(super) fn measurements(&self) -> usize {
        let of_a_round = self.scenarios.iter().map(|scenario| scenario.systems.len());
        self.rounds * of_a_round.sum::<usize>()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds of {:?} after {:?} of warm-up, budget {:?}",
            self.rounds, self.measured, self.warm_up, self.budget
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issue_s_scenarios_are_in_both_plans() {
        for effort in [Effort::Quick, Effort::Full] {
            let plan = Plan::new(effort, "");
            let names: Vec<_> = plan.scenarios.iter().map(|s| s.name.as_str()).collect();
            for name in [
                "closed-1",
                "closed-8",
                "closed-32",
                "closed-256",
                "open-500",
                "open-2000",
                "open-4000",
                "capacity-1x",
                "capacity-2x",
                "capacity-5x",
            ] {
                assert!(names.contains(&name), "{name} in {names:?}");
            }
        }
        assert!(!Plan::new(Effort::Full, "closed").needs_capacity());
        assert!(Plan::new(Effort::Quick, "capacity-5x").needs_capacity());
    }
}
