//! A benchmark from nothing to its records: servers, references, rounds.

use std::{fmt, io, panic::resume_unwind, path::PathBuf, rc::Rc, thread};

use super::{
    capacity::{CAPACITY_IS, capacity},
    measure::{Groups, Load, Measured, Measurement, measure},
    paced::PacedTriton,
    plan::{Offered, Plan, Scenario, System},
    reference::{self, LearnError, learn},
    servers::{Backends, From, Programs, Server, StartError},
};
use crate::{
    expected::Expected,
    os::{ProcessGroup, go_first},
    pipe::{FEATURES, Payment, Pipe, PipeError},
    questions::{self, Question, QuestionsError},
    report::{self, Machine, Record, RecordsError, ReportError, Writer},
    wire::{Format, Requests, ScheduledError, ScheduledTarget, Target, Tier},
};

/// HTTP/2 connections that all callers share.
const GRPC_CONNECTIONS: usize = 4;

/// What to run, and where the records go.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The programs under test.
    pub programs: Programs,
    /// Which loads.
    pub plan: Plan,
    /// Arrivals and questions follow from it.
    pub seed: u64,
    /// The folder of the report.
    pub report: PathBuf,
}

/// Why there is no benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A server does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The examples cannot be read.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
    /// A system gives no reference.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// No tensors for Triton.
    #[error("the tensors cannot be made: {0}")]
    Pipe(#[from] PipeError),
    /// The scheduler has nobody to ask.
    #[error(transparent)]
    Scheduled(#[from] ScheduledError),
    /// The operating system.
    #[error("measuring: {0}")]
    Io(#[from] io::Error),
    /// The records cannot be written.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The table or a chart cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The primary tier is too slow for any multiple of its capacity to mean something.
    #[error("at no rate did the primary tier answer 99 % of the questions in time")]
    NoCapacity,
    /// Two systems disagree before any load.
    #[error(
        "{system} scores question {question} {found:?}, Gavel's primary {expected:?}: they must be the same bits"
    )]
    Disagreement {
        /// Which.
        system: &'static str,
        /// The question's place.
        question: usize,
        /// The system's score.
        found: f64,
        /// Gavel's.
        expected: Option<f64>,
    },
}

/// Everything that runs while systems are measured.
pub(super) struct Bench {
    pub(super) backends: Backends,
    pub(super) gavel: Server,
    pipe: Server,
    paced: Option<(PacedTriton, Server)>,
    pub(super) questions: Vec<Question>,
    pub(super) tensors: Vec<[f32; FEATURES]>,
    scheduler: Rc<ScheduledTarget>,
    expected: Rc<Expected>,
}

/// Runs the plan, writes a record a measurement, and the report when all is measured. Must run inside a [`tokio::task::LocalSet`].
///
/// # Errors
/// As [`BenchError`] says; records that were written stay.
pub async fn run(settings: &Settings) -> Result<(), BenchError> {
    let plan = &settings.plan;
    let machine = Machine::look(&settings.programs.gavel, questions::repository_root());
    let bench = Bench::start(settings).await?;
    // After the servers, which would inherit it.
    let first = match go_first() {
        true => "ahead of the servers",
        false => "as the servers: its own waiting is in the latencies",
    };
    let machine = machine.with("the loader's priority", first.to_owned());
    let mut writer = Writer::create(&settings.report.join("bench.jsonl"))?;
    let capacities = bench.capacities(settings).await?;
    let mut machine = machine.with("plan", format!("{plan}, seed {}", settings.seed));
    for (name, capacity) in [
        ("capacity", capacities.shared),
        ("paced capacity", capacities.paced),
    ] {
        if let Some(capacity) = capacity {
            machine = machine.with(name, format!("{capacity:.0}/s, {CAPACITY_IS}"));
        }
    }
    let (mut records, all) = (Vec::new(), plan.measurements());
    for round in 0..plan.rounds {
        for scenario in &plan.scenarios {
            let systems = scenario.systems.len();
            for turn in 0..systems {
                let system = scenario.systems[(turn + round) % systems];
                let load = capacities.load_of(scenario);
                let measurement = Measurement {
                    measured: scenario.measured,
                    ..bench.measurement(settings, load, round)
                };
                let measured = bench.measure(scenario, system, &measurement).await?;
                let record = record(scenario, system, round, &measurement, &measured);
                say(format_args!("[{}/{all}] {record}", records.len() + 1));
                writer.write(&record)?;
                records.push(record);
            }
        }
    }
    report::write(&settings.report, &records, &machine)?;
    say(format_args!("wrote {}", settings.report.display()));
    Ok(())
}

impl Bench {
    pub(super) async fn start(settings: &Settings) -> Result<Self, BenchError> {
        let mut questions = questions::read(questions::repository_root())?;
        for question in &mut questions {
            question.budget_ms = Some(settings.plan.budget.as_secs_f64() * 1e3);
        }
        say(format_args!("starting Triton and Redis"));
        // Side by side: each takes seconds to load its models.
        let (backends, paced) = thread::scope(|scope| {
            let paced = settings.plan.is_paced();
            let paced = paced.then(|| scope.spawn(PacedTriton::start));
            let backends = Backends::start(settings.programs.clone());
            let joined =
                paced.map(|paced| paced.join().unwrap_or_else(|panic| resume_unwind(panic)));
            (backends, joined.transpose())
        });
        let (backends, paced) = (backends?, paced?);
        let mut expected = Expected::new(questions.len());
        say(format_args!(
            "learning the right answers to {} questions",
            questions.len()
        ));
        for (from, tier) in [
            (From::Secondary, Tier::Secondary),
            (From::Rules, Tier::Rules),
        ] {
            let gavel = backends.gavel(from).await?;
            learn(&mut expected, &questions, gavel.address, tier).await?;
        }
        let gavel = backends.gavel(From::Primary).await?;
        learn(&mut expected, &questions, gavel.address, Tier::Primary).await?;
        let pipe = backends.pipe().await?;
        let paced = match paced {
            Some(triton) => {
                let gavel = triton.gavel(&backends).await?;
                Some((triton, gavel))
            }
            None => None,
        };
        let tensors = tensors(&backends, &questions).await?;
        let scheduler = ScheduledTarget::connect(&backends.triton.grpc_url, &tensors).await?;
        let bench = Self {
            backends,
            gavel,
            pipe,
            paced,
            questions,
            tensors,
            scheduler: Rc::new(scheduler),
            expected: Rc::new(expected),
        };
        bench.compare_bits().await?;
        Ok(bench)
    }

    /// Every system's score of each question is the primary's, to the bit.
    async fn compare_bits(&self) -> Result<(), BenchError> {
        for system in System::ALL {
            self.compare(system.name(), &self.target(system)?).await?;
        }
        match &self.paced {
            Some((_, gavel)) => {
                self.compare("the paced gavel", &self.paced_target(gavel))
                    .await
            }
            None => Ok(()),
        }
    }

    async fn compare(&self, system: &'static str, target: &Target) -> Result<(), BenchError> {
        let answers = reference::ask_each(target, self.questions.len(), Tier::Primary).await?;
        for (question, answer) in answers.into_iter().enumerate() {
            let expected = self.expected.score(question, Tier::Primary);
            if expected.map(f64::to_bits) != Some(answer.score.to_bits()) {
                return Err(BenchError::Disagreement {
                    system,
                    question,
                    found: answer.score,
                    expected,
                });
            }
        }
        Ok(())
    }

    async fn capacities(&self, settings: &Settings) -> Result<Capacities, BenchError> {
        let measurement = self.measurement(settings, Load::Closed { callers: 1 }, 0);
        let of = async |target: &Target| {
            let capacity = capacity(target, &measurement, settings.plan.halvings).await?;
            capacity.ok_or(BenchError::NoCapacity)
        };
        let shared = match settings.plan.needs_capacity() {
            true => Some(of(&self.target(System::Gavel)?).await?),
            false => None,
        };
        let paced = match &self.paced {
            Some((_, gavel)) => Some(of(&self.paced_target(gavel)).await?),
            None => None,
        };
        Ok(Capacities { shared, paced })
    }

    async fn measure(
        &self,
        scenario: &Scenario,
        system: System,
        measurement: &Measurement,
    ) -> Result<Measured, BenchError> {
        if scenario.is_paced()
            && let Some((paced, gavel)) = &self.paced
        {
            let groups = Groups {
                gateway: Some(gavel.group()),
                triton: Some(ProcessGroup(paced.triton.pid())),
                store: Some(ProcessGroup(self.backends.redis.pid())),
            };
            return Ok(measure(&self.paced_target(gavel), groups, measurement).await?);
        }
        let groups = Groups {
            gateway: match system {
                System::Direct | System::Scheduler => None,
                System::Pipe => Some(self.pipe.group()),
                _ => Some(self.gavel.group()),
            },
            triton: Some(ProcessGroup(self.backends.triton.pid())),
            store: match system {
                System::Direct | System::Scheduler => None,
                _ => Some(ProcessGroup(self.backends.redis.pid())),
            },
        };
        Ok(measure(&self.target(system)?, groups, measurement).await?)
    }

    pub(super) fn measurement(&self, settings: &Settings, load: Load, round: usize) -> Measurement {
        Measurement {
            load,
            questions: self.questions.len(),
            seed: settings.seed.wrapping_add(round as u64),
            budget: settings.plan.budget,
            warm_up: settings.plan.warm_up,
            measured: settings.plan.measured,
            expected: Rc::clone(&self.expected),
        }
    }

    /// As it is asked by the system "gavel".
    fn paced_target(&self, gavel: &Server) -> Target {
        let requests = Requests::to_gavel(&self.questions, Format::Json);
        Target::new(gavel.address, requests, GRPC_CONNECTIONS)
    }

    pub(super) fn target(&self, system: System) -> Result<Target, BenchError> {
        let gavel = |format| {
            let requests = Requests::to_gavel(&self.questions, format);
            Target::new(self.gavel.address, requests, GRPC_CONNECTIONS)
        };
        Ok(match system {
            System::Gavel => gavel(Format::Json),
            System::GavelProtobuf => gavel(Format::Protobuf),
            System::GavelGrpc => gavel(Format::Grpc),
            System::Pipe => {
                let requests = Requests::to_gavel(&self.questions, Format::Json);
                Target::new(self.pipe.address, requests, GRPC_CONNECTIONS)
            }
            System::Scheduler => Target::Scheduled(Rc::clone(&self.scheduler)),
            System::Direct => {
                let url = &self.backends.triton.grpc_url;
                let address = url.trim_start_matches("http://").parse();
                let address = address.map_err(io::Error::other)?;
                Target::new(
                    address,
                    Requests::to_triton(&self.tensors),
                    GRPC_CONNECTIONS,
                )
            }
        })
    }
}

async fn tensors(
    backends: &Backends,
    questions: &[Question],
) -> Result<Vec<[f32; FEATURES]>, PipeError> {
    let pipe = Pipe::connect(&backends.redis.url(), &backends.triton.grpc_url).await?;
    let mut tensors = Vec::with_capacity(questions.len());
    for question in questions {
        let json = question.to_json();
        let payment: Payment<'_> = serde_json::from_slice(&json)?;
        tensors.push(pipe.features(&payment).await?);
    }
    Ok(tensors)
}

/// Questions a second that the primary tier can do; `None` where the plan does not ask.
struct Capacities {
    /// On this machine's CPU.
    shared: Option<f64>,
    paced: Option<f64>,
}

impl Capacities {
    fn load_of(&self, scenario: &Scenario) -> Load {
        let times = |times, capacity: Option<f64>| Load::Open {
            rate: times * capacity.unwrap_or_default(),
        };
        match scenario.offered {
            Offered::Callers(callers) => Load::Closed { callers },
            Offered::PerSecond(rate) => Load::Open { rate },
            Offered::TimesCapacity(multiple) => times(multiple, self.shared),
            Offered::TimesPaced(multiple) => times(multiple, self.paced),
        }
    }
}

fn record(
    scenario: &Scenario,
    system: System,
    round: usize,
    measurement: &Measurement,
    measured: &Measured,
) -> Record {
    let offered = match measurement.load {
        Load::Open { rate } => Some(rate),
        Load::Closed { .. } | Load::Trace(_) => None,
    };
    Record::new(&scenario.name, system.name(), round, offered, measured)
}

/// Progress, on standard error.
pub(super) fn say(line: fmt::Arguments<'_>) {
    eprintln!("bench: {line}");
}
