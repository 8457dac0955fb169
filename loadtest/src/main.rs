//! The `loadtest` binary: flags to a run, a benchmark or the chaos suite.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, rc::Rc, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand};
use loadtest::{
    bench::{self, Effort, Groups, Load, Others, Plan, Programs, Single},
    chaos,
    load::from_file,
    os::{ProcessGroup, go_first},
    questions::repository_root,
    report::Record,
    wire::{Format, Tier},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::{self, LocalSet},
};

/// Load on Gavel, and what it costs. Development only.
#[derive(Debug, Parser)]
#[command(name = "loadtest", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put load on a server that runs already; prints one record as JSON.
    Run(Run),
    /// Start real servers, run Gavel, the bare pipe and direct calls side by side, write the report.
    Bench(Bench),
    /// Run our loader and others in turn on the same servers, and write whether they agree.
    Agree(Agree),
    /// Break real parts under a steady load, one after the other, and judge every answer.
    Chaos(chaos::Options),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("load").required(true).args(["closed", "open", "arrivals"]))]
struct Run {
    /// The public port of a Gavel, or a bare pipe. Its store must hold what is asked about, which is
    /// examples/payments.jsonl without --questions.
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// Other questions than the examples: a line of JSON each. Their score's name is fraud.
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,
    /// The tier that answers; what another answers is not checked.
    #[arg(long, value_enum, default_value_t = Tier::Primary)]
    tier: Tier,
    /// A Gavel without Triton, by whose answers those of the secondary tier are checked.
    #[arg(long)]
    secondary: Option<SocketAddr>,
    /// How to ask.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// With gRPC, connections that callers share.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// A closed loop of so many callers.
    #[arg(long, value_name = "CALLERS")]
    closed: Option<usize>,
    /// An open loop: a Poisson process of so many questions a second.
    #[arg(long, value_name = "PER_SECOND")]
    open: Option<f64>,
    /// An open loop that follows a file: microseconds from the start, one offset a line.
    #[arg(long, value_name = "FILE")]
    arrivals: Option<PathBuf>,
    /// Arrivals and questions follow from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Sent with every question; an answer after it is late.
    #[arg(long, default_value = "50ms", value_parser = humantime::parse_duration)]
    budget: Duration,
    /// Not counted.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    /// Counted.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    measured: Duration,
    /// The gateway's process, or the leader of its process group: to count CPU time and memory.
    #[arg(long, value_name = "PID")]
    gateway: Option<u32>,
    /// Likewise of Triton.
    #[arg(long, value_name = "PID")]
    triton: Option<u32>,
    /// Likewise of the store.
    #[arg(long, value_name = "PID")]
    store: Option<u32>,
}

#[derive(Debug, Args)]
struct Bench {
    /// Under two minutes instead of twenty.
    #[arg(long)]
    quick: bool,
    /// Only scenarios whose name begins so, e.g. closed, open-4000, capacity, paced.
    #[arg(long, default_value = "")]
    only: String,
    /// Where the report goes.
    #[arg(long, default_value_os_t = repository_root().join("loadtest/report"))]
    report: PathBuf,
    /// Arrivals and questions follow from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder of the programs under test [default: where this one is].
    #[arg(long)]
    programs: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Agree {
    /// NVIDIA's loader.
    #[arg(long)]
    perf_analyzer: PathBuf,
    /// The loader for HTTP.
    #[arg(long)]
    wrk: PathBuf,
    /// Where agreement.md goes.
    #[arg(long, default_value_os_t = repository_root().join("loadtest/report"))]
    report: PathBuf,
    /// The folder of the programs under test [default: where this one is].
    #[arg(long)]
    programs: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // As many connections as the system lets us have.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| {
            let command = async {
                match cli.command {
                    Command::Run(run) => run_single(run).await,
                    Command::Chaos(options) => run_chaos(options).await,
                    Command::Bench(bench) => run_bench(bench).await,
                    Command::Agree(agree) => run_agree(agree).await,
                }
            };
            LocalSet::new().block_on(&runtime, async {
                // Before anything is started: what is started ends with us, however we end.
                let signals = Signals::listen().map_err(|error| error.to_string())?;
                tokio::select! {
                    biased;
                    name = signals.first() => {
                        chaos::stop();
                        Err(format!("{name}: ended before it was done, and so was what it started"))
                    }
                    outcome = command => outcome,
                }
            })
            // The runtime is dropped here, and waits for the thread of the chaos suite.
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Those that tell a program to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on they no longer end the process by themselves.
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The name of the first that comes.
    async fn first(mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// On a thread of its own: the suite is synchronous, and a signal must be heard meanwhile.
async fn run_chaos(options: chaos::Options) -> Result<(), String> {
    let suite = task::spawn_blocking(move || chaos::run(&options)).await;
    suite.unwrap_or_else(|error| Err(error.to_string()))
}

async fn run_single(run: Run) -> Result<(), String> {
    let (scenario, load) = match (run.closed, run.open, &run.arrivals) {
        (Some(callers), _, _) => (format!("closed-{callers}"), Load::Closed { callers }),
        (_, Some(rate), _) => (format!("open-{rate}"), Load::Open { rate }),
        (_, _, Some(file)) => {
            let arrivals = from_file(file).map_err(|error| error.to_string())?;
            ("arrivals".to_owned(), Load::Trace(Rc::from(arrivals)))
        }
        (None, None, None) => return Err("say --closed, --open or --arrivals".to_owned()),
    };
    go_first();
    let single = Single {
        address: run.address,
        questions: run.questions,
        tier: run.tier,
        secondary: run.secondary,
        format: run.format,
        connections: run.connections,
        load,
        seed: run.seed,
        budget: run.budget,
        warm_up: run.warm_up,
        measured: run.measured,
        groups: Groups {
            gateway: run.gateway.map(ProcessGroup),
            triton: run.triton.map(ProcessGroup),
            store: run.store.map(ProcessGroup),
        },
    };
    let measured = single.run().await.map_err(|error| error.to_string())?;
    let record = Record::new(&scenario, &run.address.to_string(), 0, run.open, &measured);
    eprintln!("{record}");
    println!("{}", serde_json::json!(record));
    Ok(())
}

async fn run_bench(bench: Bench) -> Result<(), String> {
    let effort = if bench.quick {
        Effort::Quick
    } else {
        Effort::Full
    };
    let settings = bench::Settings {
        programs: programs(bench.programs)?,
        plan: Plan::new(effort, &bench.only),
        seed: bench.seed,
        report: bench.report,
    };
    bench::run(&settings)
        .await
        .map_err(|error| error.to_string())
}

async fn run_agree(agree: Agree) -> Result<(), String> {
    let settings = bench::Settings {
        programs: programs(agree.programs)?,
        plan: Plan::new(Effort::Full, "closed"),
        seed: 1,
        report: agree.report,
    };
    let others = Others {
        perf_analyzer: agree.perf_analyzer,
        wrk: agree.wrk,
    };
    bench::agree(&settings, &others)
        .await
        .map_err(|error| error.to_string())
}

fn programs(folder: Option<PathBuf>) -> Result<Programs, String> {
    let folder = match folder {
        Some(folder) => folder,
        None => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            program.parent().unwrap_or(&program).to_owned()
        }
    };
    Ok(Programs {
        gavel: folder.join("gavel"),
        pipe: folder.join("bare-pipe"),
    })
}
