//! The `loadtest` binary: flags to a run, a benchmark or a report.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use loadtest::{
    bench::{self, Effort, Plan, Programs},
    questions::repository_root,
};
use tokio::task::LocalSet;

/// Load on Gavel, and what it costs. Development only.
#[derive(Debug, Parser)]
#[command(name = "loadtest", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start real servers, run Gavel, the bare pipe and direct calls side by side, write the report.
    Bench(Bench),
}

#[derive(Debug, Args)]
struct Bench {
    /// Under two minutes instead of a quarter of an hour.
    #[arg(long)]
    quick: bool,
    /// Only scenarios whose name begins so, e.g. closed, open-4000, capacity.
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
            LocalSet::new().block_on(&runtime, async {
                match cli.command {
                    Command::Bench(bench) => run_bench(bench).await,
                }
            })
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_bench(bench: Bench) -> Result<(), String> {
    let programs = match bench.programs {
        Some(folder) => folder,
        None => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            program.parent().unwrap_or(&program).to_owned()
        }
    };
    let effort = if bench.quick {
        Effort::Quick
    } else {
        Effort::Full
    };
    let settings = bench::Settings {
        programs: Programs {
            gavel: programs.join("gavel"),
            pipe: programs.join("bare-pipe"),
        },
        plan: Plan::new(effort, &bench.only),
        seed: bench.seed,
        records: bench.report.join("bench.jsonl"),
    };
    bench::run(&settings)
        .await
        .map_err(|error| error.to_string())
}
