//! Chaos on real parts: Tritons, a Redis and the network in between are broken under a steady
//! open-loop load, and what became of every request is judged.
//!
//! ```text
//!  steady ──► fault ──► heal ──► recovery: until the last two seconds' answers are whole
//! ```
//! An answer is whole when it comes from the primary tier with every feature. Reading order:
//! [`run`], a scenario (`scenarios/`), [`stage`], [`tally`].
//!
//! Everything is synchronous here, so that a scenario reads as what is done to the parts; the load
//! runs on a thread of its own. It keeps books of its own too: of each request when it was sent and
//! how it ended, where a benchmark counts.

mod gateway;
mod http;
mod load;
mod oracle;
mod report;
mod scenarios;
mod stage;
mod tally;

use std::{
    io::Write,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use clap::Args;
use tokio::time::Instant;

use self::{report::Line, stage::World};
use crate::questions::repository_root;

/// The steady rate of the load.
const RATE_PER_S: u32 = 200;
/// What every request allows.
const BUDGET: Duration = Duration::from_millis(50);

/// What `loadtest chaos` takes.
#[derive(Debug, Args)]
pub struct Options {
    /// Only scenarios whose name contains this; may be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// The names of the scenarios, and nothing else.
    #[arg(long)]
    list: bool,
    /// The gateway's program [default: `gavel` beside this program].
    #[arg(long)]
    gavel: Option<PathBuf>,
    /// Where the report goes [default: loadtest/report/chaos.md; with --only, nowhere].
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Runs the scenarios, prints what came of each and then the table, and writes the report.
///
/// # Errors
/// If one did not pass, or the suite cannot be run.
pub fn run(options: &Options) -> Result<(), String> {
    let chosen: Vec<_> = scenarios::ALL
        .iter()
        .filter(|scenario| {
            options.only.is_empty() || options.only.iter().any(|part| scenario.name.contains(part))
        })
        .collect();
    if options.list {
        for scenario in chosen {
            println!("{:<24} {}", scenario.name, scenario.what);
        }
        return Ok(());
    }
    if chosen.is_empty() {
        return Err("no scenario has such a name: --list shows them".into());
    }
    let suite = Instant::now();
    let world = World::build(options.gavel.clone());
    let mut world = world.map_err(|why| format!("chaos cannot begin: {why}"))?;
    let mut lines = Vec::new();
    for (index, scenario) in chosen.iter().enumerate() {
        let place = format!("[{}/{}]", index + 1, chosen.len());
        progress(&format!("{place} {}: {}", scenario.name, scenario.what));
        let line = Line {
            scenario: scenario.name,
            what: scenario.what,
            outcome: (scenario.run)(&mut world),
        };
        progress(&line.told());
        lines.push(line);
        world.settle();
    }
    println!("\n{}", report::table(&lines));
    let passed = lines.iter().filter(|line| line.passed()).count();
    let took = suite.elapsed().as_secs_f64();
    println!("{passed} of {} passed in {took:.0} s", lines.len());
    let whole = options.only.is_empty();
    let kept = whole.then(|| repository_root().join("loadtest/report/chaos.md"));
    if let Some(page) = options.report.clone().or(kept) {
        write(&page, &report::markdown(&lines))
            .map_err(|why| format!("{} cannot be written: {why}", page.display()))?;
    }
    if passed < lines.len() {
        return Err(format!("{} scenarios failed", lines.len() - passed));
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

fn progress(text: &str) {
    println!("{text}");
    // A terminal that is gone is no reason to stop.
    let _ = std::io::stdout().flush();
}

static STOPPED: AtomicBool = AtomicBool::new(false);
const STOP_WITHIN: Duration = Duration::from_millis(50);

/// Ends the suite, which goes on on another thread: at its next pause it unwinds, so that every part
/// that it started is ended by its guard.
pub fn stop() {
    STOPPED.store(true, Ordering::Relaxed);
}

#[expect(
    clippy::disallowed_methods,
    reason = "scenarios are synchronous: they wait for processes in real time"
)]
fn pause(time: Duration) {
    let until = Instant::now() + time;
    loop {
        if STOPPED.load(Ordering::Relaxed) {
            resume_unwind(Box::new("stopped"));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(STOP_WITHIN));
    }
}
