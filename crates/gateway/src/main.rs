//! The `gavel` binary: flags, environment and file become a [`Config`]; a subcommand runs.

mod commands;
mod settings;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use gateway::diagnostic::Report;

use settings::Settings;

/// Decisions inside a latency budget, in front of NVIDIA Triton.
///
/// Flags win over the environment, the environment over gavel.toml, gavel.toml over the defaults.
#[derive(Debug, Parser)]
#[command(name = "gavel", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve decisions: HTTP and gRPC on one port, metrics and probes on another.
    Serve,
    /// Check gavel.toml, decisions, features, rules and the model repository, without serving.
    Check,
    /// Make features from events: Kafka topics, or files.
    Ingest(commands::ingest::Arguments),
    /// The online store.
    #[command(subcommand)]
    Features(commands::features::Command),
    /// The log of decisions: which segments there are, single records, tables for other tools.
    #[command(subcommand)]
    Log(commands::log::Command),
    /// The log through the same models: the same bits, or which row differs; and what-ifs.
    ///
    /// Ends with 0 if all is the same (or within --max-changed), with 1 if not, with 2 if some could not
    /// be replayed or read, or --max-changed is given and the what-if is about none of them.
    Replay(commands::replay::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut report = Report::default();
    let store_url = cli.settings.store().map(str::to_owned);
    let config = cli.settings.resolve(&mut report);
    let (mut ended, mut failed) = (ExitCode::SUCCESS, ExitCode::FAILURE);
    let outcome = match cli.command {
        Command::Serve => commands::serve::run(config, &mut report),
        Command::Check => commands::check::run(&config, &mut report),
        Command::Ingest(arguments) => commands::ingest::run(arguments, &config, &mut report),
        Command::Features(command) => {
            commands::features::run(command, &config, store_url.as_deref(), &mut report)
        }
        Command::Log(command) => commands::log::run(command, &config, &report),
        Command::Replay(command) => {
            failed = commands::replay::NOT_REPLAYED.into();
            let outcome = commands::replay::run(command, &config, &mut report);
            outcome.map(|(said, status)| {
                ended = status.into();
                said
            })
        }
    };
    // Problems first, then what they amount to. Whoever reads may have gone: that is no failure.
    let mut stderr = std::io::stderr();
    if !report.diagnostics().is_empty() {
        let _ = writeln!(stderr, "{}\n", report.render(stderr.is_terminal()));
    }
    match outcome {
        Ok(said) => {
            // A table on the standard output is followed by nothing.
            if !said.is_empty() {
                let _ = writeln!(std::io::stdout(), "{said}");
            }
            ended
        }
        Err(failure) => {
            let _ = writeln!(stderr, "gavel: {failure}");
            failed
        }
    }
}
