//! wrk, whose script asks Gavel the questions that our loader asks.

use std::{fs, io, net::SocketAddr, path::Path};

use serde::Deserialize;

use super::{AgreeError, Found, MEASURED, to_the_end};
use crate::questions::Question;

pub(super) const NAME: &str = "wrk";

const SCRIPT: &str = include_str!("wrk.lua");
const SCRIPT_FILE: &str = "wrk.lua";
const QUESTIONS: &str = "questions.jsonl";

/// Our script's last line.
#[derive(Debug, Deserialize)]
struct Said {
    seconds: f64,
    answers: f64,
    p50_us: f64,
    p99_us: f64,
    errors: u64,
}

pub(super) fn write_questions(folder: &Path, questions: &[Question]) -> io::Result<()> {
    let mut bodies = Vec::new();
    for question in questions {
        bodies.append(&mut question.to_json());
        bodies.push(b'\n');
    }
    fs::write(folder.join(SCRIPT_FILE), SCRIPT)?;
    fs::write(folder.join(QUESTIONS), bodies)
}

pub(super) async fn run(
    program: &Path,
    address: SocketAddr,
    callers: usize,
    folder: &Path,
) -> Result<Found, AgreeError> {
    let seconds = MEASURED.as_secs();
    let (said, cpu) = to_the_end(NAME, program, |command| {
        // One thread, as our loader has.
        command
            .args(["-t1", &format!("-c{callers}"), &format!("-d{seconds}s")])
            .arg("-s")
            .arg(folder.join(SCRIPT_FILE))
            .arg(format!("http://{address}/v1/decide"))
            .arg("--")
            .arg(folder.join(QUESTIONS));
    })
    .await?;
    let failed = |why| AgreeError::Other { loader: NAME, why };
    let last = said.lines().next_back().unwrap_or_default();
    let found: Said =
        serde_json::from_str(last).map_err(|error| failed(format!("{error}: {said}")))?;
    if found.errors > 0 {
        return Err(failed(format!("{} questions failed", found.errors)));
    }
    Ok(Found {
        per_second: found.answers / found.seconds,
        p50_us: found.p50_us,
        p99_us: found.p99_us,
        loader_cpu_us: 1e6 * cpu.as_secs_f64() / found.answers,
    })
}
