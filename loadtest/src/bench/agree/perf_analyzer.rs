//! NVIDIA's perf_analyzer, asynchronous over gRPC, and the file of what it measured.

use std::{fs, io, path::Path};

use serde_json::json;

use super::{AgreeError, Found, MEASURED, to_the_end};
use crate::pipe::{FEATURES, INPUT, MODEL};

pub(super) const NAME: &str = "perf_analyzer";

const ROWS: &str = "rows.json";
const MEASUREMENTS: &str = "perf_analyzer.csv";
/// It takes three windows before it calls itself done, however far apart they are.
const WINDOWS: u32 = 3;
const ANY_SPREAD_PERCENT: &str = "1000000";

/// The rows that our loader sends, as its input file.
pub(super) fn write_rows(folder: &Path, rows: &[[f32; FEATURES]]) -> io::Result<()> {
    let rows = rows
        .iter()
        .map(|row| json!({ INPUT: { "content": row.as_slice(), "shape": [FEATURES] } }));
    let file = json!({ "data": rows.collect::<Vec<_>>() });
    fs::write(folder.join(ROWS), file.to_string())
}

pub(super) async fn run(
    program: &Path,
    url: &str,
    callers: usize,
    folder: &Path,
) -> Result<Found, AgreeError> {
    let measurements = folder.join(MEASUREMENTS);
    let window_ms = (MEASURED / WINDOWS).as_millis().to_string();
    let (said, cpu) = to_the_end(NAME, program, |command| {
        command
            .args(["-m", MODEL, "-i", "grpc", "-b", "1", "--async"])
            .args(["-u", url.trim_start_matches("http://")])
            .args(["--concurrency-range", &format!("{callers}:{callers}:1")])
            .args(["-p", &window_ms, "-r", &WINDOWS.to_string()])
            .args(["-s", ANY_SPREAD_PERCENT])
            .arg("--input-data")
            .arg(folder.join(ROWS))
            .arg("-f")
            .arg(&measurements);
    })
    .await?;
    let csv = fs::read_to_string(&measurements)?;
    found(&csv, &said, cpu.as_secs_f64()).ok_or_else(|| AgreeError::Other {
        loader: NAME,
        why: format!("its measurements cannot be read:\n{csv}\n{said}"),
    })
}

/// A line of names and one of values; how many it asked is only in what it prints.
fn found(csv: &str, said: &str, cpu_s: f64) -> Option<Found> {
    let (names, values) = csv.trim().split_once('\n')?;
    let value = |name: &str| {
        let place = names.split(',').position(|found| found.trim() == name)?;
        values.split(',').nth(place)?.trim().parse::<f64>().ok()
    };
    let (_, count) = said.split_once("Request count: ")?;
    let requests: f64 = count.lines().next()?.trim().parse().ok()?;
    Some(Found {
        per_second: value("Inferences/Second")?,
        p50_us: value("p50 latency")?,
        p99_us: value("p99 latency")?,
        loader_cpu_us: 1e6 * cpu_s / requests,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_writes_is_read_by_name() {
        let csv = "Concurrency,Inferences/Second,Client Send,p50 latency,p90 latency,p95 latency,p99 latency\n\
                   8,2675.18,3,2738,3715,4146,5439\n";
        let said =
            "Request concurrency: 8\n  Client: \n    Request count: 10000\n    Throughput: 2\n";
        let expected = Found {
            per_second: 2675.18,
            p50_us: 2738.0,
            p99_us: 5439.0,
            loader_cpu_us: 50.0,
        };
        assert_eq!(found(csv, said, 0.5), Some(expected));
        assert_eq!(found(csv, "", 0.5), None);
        assert_eq!(found("Concurrency\n8\n", said, 0.5), None);
    }
}
