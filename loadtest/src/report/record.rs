//! One measurement as a line of JSON.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    bench::{CpuUs, Measured},
    load::TierCounts,
};

/// One system under one load in one round. Latencies are counted from the intended send time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which load, e.g. `closed-32`, `open-4000`, `capacity-5x`, `paced-5x`.
    pub scenario: String,
    /// What was asked, e.g. `gavel`, `bare-pipe`, `direct`.
    pub system: String,
    /// Answers a second.
    pub throughput: f64,
    /// Microseconds that half of the answers did not pass.
    pub p50_us: f64,
    /// Likewise 99 %.
    pub p99_us: f64,
    /// Likewise 99.9 %.
    pub p999_us: f64,
    /// CPU time a decision.
    pub cpu_us: CpuUs,
    /// Right answers by tier.
    pub tiers: TierCounts,
    /// Share of the questions without an answer inside the budget.
    pub late_share: f64,
    /// Failed and unanswered questions.
    pub errors: u64,
    /// Answers that were not what the tier owes the question.
    pub wrong: u64,
    /// Answers by a tier whose scores are not known.
    pub unchecked: u64,
    /// Questions turned away with 429.
    pub refused: u64,
    /// Right answers that were given without what the store holds.
    pub without_store: u64,
    /// Questions counted.
    pub asked: u64,
    /// Questions a second that an open loop offered.
    pub offered: Option<f64>,
    /// The gateway's resident memory at the start.
    pub rss_start_bytes: Option<u64>,
    /// The most that was seen.
    pub rss_bytes: Option<u64>,
    /// CPU time a decision of the loader itself, which shares the machine.
    pub loader_cpu_us: f64,
    /// How late the loader itself was to send, 99 %.
    pub send_delay_p99_us: f64,
    /// Counted from 0.
    pub round: usize,
    /// How long it was measured.
    pub seconds: f64,
}

/// The file of records cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {error}")]
pub struct RecordsError {
    file: PathBuf,
    error: io::Error,
}

/// Writes a line at once, so that a run that is interrupted leaves what it found.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
}

impl Record {
    /// What a measurement says.
    pub fn new(
        scenario: &str,
        system: &str,
        round: usize,
        offered: Option<f64>,
        measured: &Measured,
    ) -> Self {
        let tally = &measured.tally;
        let cpu = measured.cpu_us;
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        Self {
            scenario: scenario.to_owned(),
            system: system.to_owned(),
            throughput: tenth(tally.throughput()),
            p50_us: tenth(tally.latency_us(0.5)),
            p99_us: tenth(tally.latency_us(0.99)),
            p999_us: tenth(tally.latency_us(0.999)),
            cpu_us: CpuUs {
                gateway: cpu.gateway.map(tenth),
                triton: cpu.triton.map(tenth),
                store: cpu.store.map(tenth),
            },
            tiers: tally.tiers,
            late_share: tally.late_share(),
            errors: tally.failed + tally.unanswered,
            wrong: tally.wrong,
            unchecked: tally.unchecked,
            refused: tally.refused,
            without_store: tally.without_store,
            asked: tally.asked,
            offered: offered.map(tenth),
            rss_start_bytes: measured.resident_bytes.map(|(start, _)| start),
            rss_bytes: measured.resident_bytes.map(|(_, most)| most),
            loader_cpu_us: tenth(measured.loader_cpu_us),
            send_delay_p99_us: tenth(tally.send_delay_us(0.99)),
            round,
            seconds: tally.seconds(),
        }
    }

    /// Right answers by the primary tier, a second.
    pub fn primary_per_second(&self) -> f64 {
        self.tiers.primary as f64 / self.seconds
    }

    /// CPU time a decision of all processes together; `None` where one was not looked at.
    pub fn system_cpu_us(&self) -> Option<f64> {
        let CpuUs {
            gateway,
            triton,
            store,
        } = self.cpu_us;
        Some(gateway? + triton? + store?)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = |value: Option<f64>| value.map_or("-".to_owned(), |us| format!("{us:.0}"));
        write!(
            f,
            "{:<13} {:<14} {:>7.0}/s  p50 {:>7.0} p99 {:>8.0} p99.9 {:>8.0} us  cpu us {}/{}/{} +{:.0}  \
             primary {} secondary {} rules {}  late {:.3} %  wrong {} refused {} errors {}",
            self.scenario,
            self.system,
            self.throughput,
            self.p50_us,
            self.p99_us,
            self.p999_us,
            cpu(self.cpu_us.gateway),
            cpu(self.cpu_us.triton),
            cpu(self.cpu_us.store),
            self.loader_cpu_us,
            self.tiers.primary,
            self.tiers.secondary,
            self.tiers.rules,
            100.0 * self.late_share,
            self.wrong,
            self.refused,
            self.errors,
        )
    }
}

impl Writer {
    /// A new file, in a folder that is made if it is missing.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(path: &Path) -> Result<Self, RecordsError> {
        let make = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            File::create(path)
        };
        let file = make().map_err(|error| failed(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&mut self, record: &Record) -> Result<(), RecordsError> {
        let line = serde_json::to_string(record).map_err(io::Error::from);
        let written = line.and_then(|line| writeln!(self.file, "{line}"));
        written.map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, error: io::Error) -> RecordsError {
    RecordsError {
        file: path.to_owned(),
        error,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A record with plausible numbers.
    pub(in crate::report) fn record(scenario: &str, system: &str) -> Record {
        Record {
            scenario: scenario.to_owned(),
            system: system.to_owned(),
            throughput: 1_000.0,
            p50_us: 300.0,
            p99_us: 900.0,
            p999_us: 2_000.0,
            cpu_us: CpuUs {
                gateway: Some(50.0),
                triton: Some(100.0),
                store: Some(5.0),
            },
            tiers: TierCounts {
                primary: 990,
                secondary: 9,
                rules: 1,
            },
            late_share: 0.001,
            errors: 0,
            wrong: 0,
            unchecked: 0,
            refused: 0,
            without_store: 0,
            asked: 1_000,
            offered: Some(1_000.0),
            rss_start_bytes: Some(20 << 20),
            rss_bytes: Some(30 << 20),
            loader_cpu_us: 9.0,
            send_delay_p99_us: 60.0,
            round: 0,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_line_is_written_at_once_and_has_the_agreed_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report/bench.jsonl");
        let mut writer = Writer::create(&path).unwrap();
        let first = record("closed-1", "gavel");
        let second = Record {
            cpu_us: CpuUs::default(),
            rss_bytes: None,
            ..record("closed-1", "direct")
        };
        writer.write(&first).unwrap();
        writer.write(&second).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let back: Vec<Record> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(back, [first, second]);
        let json: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        for key in [
            "scenario",
            "system",
            "throughput",
            "p50_us",
            "p99_us",
            "p999_us",
            "tiers",
            "late_share",
            "errors",
        ] {
            assert!(!json[key].is_null(), "{key}");
        }
        for key in ["gateway", "triton", "store"] {
            assert!(json["cpu_us"][key].is_number(), "{key}");
        }
        assert_eq!(json["tiers"]["primary"], 990);
    }
}
