//! Our loader beside others that we did not write, on the same servers under the same closed loops, in
//! turn: what they find must be what ours finds.
//!
//! ```text
//! direct  Triton over gRPC, a row a call      ours, perf_analyzer (NVIDIA's own)
//! gavel   Gavel over HTTP/1.1 with JSON       ours, wrk
//! ```
//! Unlike in a benchmark, ours does not go ahead of the servers: a loader of many busy threads that did
//! would starve them.

mod page;
mod perf_analyzer;
mod wrk;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use super::{
    measure::{Groups, Load, Measurement, measure},
    plan::System,
    run::{Bench, BenchError, Settings, say},
};
use crate::{os::ended_children_cpu, questions::repository_root, report::Machine};

const CALLERS: [usize; 3] = [1, 8, 32];
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(3);

/// The programs of the other loaders.
#[derive(Clone, Debug)]
pub struct Others {
    /// NVIDIA's, for Triton over gRPC.
    pub perf_analyzer: PathBuf,
    /// For HTTP/1.1.
    pub wrk: PathBuf,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum AgreeError {
    /// The servers, or our own loader.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A file.
    #[error("comparing: {0}")]
    Io(#[from] io::Error),
    /// The other loader cannot be run, failed, or said nothing that could be read.
    #[error("{loader}: {why}")]
    Other {
        /// Its name.
        loader: &'static str,
        /// Why, or what it said.
        why: String,
    },
}

/// What one loader found in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    /// The loader's own CPU time an answer.
    loader_cpu_us: f64,
}

/// One system under one load: the rounds of both loaders.
#[derive(Clone, Debug)]
struct Pair {
    system: System,
    callers: usize,
    other: &'static str,
    ours: Vec<Found>,
    theirs: Vec<Found>,
}

/// Starts the servers, runs both loaders in turn, and writes `agreement.md` into the report's folder.
/// Must run inside a [`tokio::task::LocalSet`].
///
/// # Errors
/// As [`AgreeError`] says.
pub async fn agree(settings: &Settings, others: &Others) -> Result<(), AgreeError> {
    let machine = Machine::look(&settings.programs.gavel, repository_root());
    let bench = Bench::start(settings).await?;
    let folder = tempfile::tempdir()?;
    let pairs = [System::Direct, System::Gavel].map(|system| {
        let other = match system {
            System::Direct => perf_analyzer::NAME,
            _ => wrk::NAME,
        };
        CALLERS.map(|callers| Pair {
            system,
            callers,
            other,
            ours: Vec::new(),
            theirs: Vec::new(),
        })
    });
    let mut pairs = pairs.concat();
    perf_analyzer::write_rows(folder.path(), &bench.tensors)?;
    wrk::write_questions(folder.path(), &bench.questions)?;
    for round in 0..ROUNDS {
        for pair in &mut pairs {
            for turn in 0..2 {
                let (callers, is_ours) = (pair.callers, (turn + round) % 2 == 0);
                let found = match (is_ours, pair.system) {
                    (true, system) => ours(&bench, settings, system, callers, round).await?,
                    (false, System::Direct) => {
                        let url = &bench.backends.triton.grpc_url;
                        perf_analyzer::run(&others.perf_analyzer, url, callers, folder.path())
                            .await?
                    }
                    (false, _) => {
                        wrk::run(&others.wrk, bench.gavel.address, callers, folder.path()).await?
                    }
                };
                let (loader, rounds) = match is_ours {
                    true => ("loadtest", &mut pair.ours),
                    false => (pair.other, &mut pair.theirs),
                };
                say(format_args!(
                    "round {} of {ROUNDS}: {:<7} {callers:>2} callers, {loader:<13} {:>6.0}/s  p50 {:>6.0} p99 {:>6.0} us",
                    round + 1,
                    pair.system.name(),
                    found.per_second,
                    found.p50_us,
                    found.p99_us,
                ));
                rounds.push(found);
            }
        }
    }
    let page = settings.report.join("agreement.md");
    fs::create_dir_all(&settings.report)?;
    fs::write(&page, page::render(&pairs, &machine))?;
    say(format_args!("wrote {}", page.display()));
    Ok(())
}

async fn ours(
    bench: &Bench,
    settings: &Settings,
    system: System,
    callers: usize,
    round: usize,
) -> Result<Found, AgreeError> {
    let measurement = Measurement {
        warm_up: WARM_UP,
        measured: MEASURED,
        ..bench.measurement(settings, Load::Closed { callers }, round)
    };
    let measured = measure(&bench.target(system)?, Groups::default(), &measurement).await?;
    Ok(Found {
        per_second: measured.tally.throughput(),
        p50_us: measured.tally.latency_us(0.5),
        p99_us: measured.tally.latency_us(0.99),
        loader_cpu_us: measured.loader_cpu_us,
    })
}

/// Runs another loader to its end: what it said, and the CPU time that it used. It is killed when
/// this is dropped.
async fn to_the_end(
    loader: &'static str,
    program: &Path,
    set: impl FnOnce(&mut Command),
) -> Result<(String, Duration), AgreeError> {
    let failed = |why| AgreeError::Other { loader, why };
    let mut command = Command::new(program);
    set(&mut command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let before = ended_children_cpu();
    let output = command.output().await;
    let output = output.map_err(|error| failed(format!("{}: {error}", program.display())))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok((said, ended_children_cpu().saturating_sub(before)));
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!(
        "{}: {said}{}",
        output.status,
        complaint.trim()
    )))
}
