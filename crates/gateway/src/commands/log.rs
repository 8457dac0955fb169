//! `gavel log …`: the log of decisions, looked at.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use gateway::{
    config::Config,
    decision_log::{self, Reading, Unread},
    diagnostic::{Report, count},
    serve::Failure,
};

use super::select::Select;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The segments: their records, times and sizes, and what of them cannot be read.
    Ls,
    /// The newest records, or those with an id.
    Show {
        #[command(flatten)]
        select: Select,
        /// With this identifier.
        #[arg(long)]
        id: Option<String>,
        /// How many of the newest.
        #[arg(long, default_value_t = 1)]
        last: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Writes records as a flat table for pandas, DuckDB or Spark.
    Export {
        #[command(flatten)]
        select: Select,
        /// The file: its name ends in .parquet, .csv or .jsonl; `-` is the standard output.
        #[arg(long)]
        out: PathBuf,
        /// The format, for a name that says none: parquet, csv or jsonl.
        #[arg(long)]
        format: Option<tables::Format>,
    },
}

/// Runs one of them. Where the settings are wrong, another log than the one that is meant might be read.
pub(crate) fn run(command: Command, config: &Config, report: &Report) -> Result<String, Failure> {
    if report.errors() > 0 {
        return Err(Failure("the settings cannot be read".into()));
    }
    match command {
        Command::Ls => list(config),
        Command::Show {
            select,
            id,
            last,
            json,
        } => show(config, select, id, last, json),
        Command::Export {
            select,
            out,
            format,
        } => export(config, select, &out, format),
    }
}

fn list(config: &Config) -> Result<String, Failure> {
    let mut lines = Vec::new();
    let (mut records, mut bytes) = (0, 0);
    let outlines = decision_log::outline(&config.decision_log.directory)?;
    for outline in &outlines {
        let segment = &outline.segment;
        let name = segment
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let times = outline.times_us.map_or_else(
            || "no records".to_owned(),
            |(first, last)| {
                format!(
                    "{} to {}",
                    decision_log::moment(first),
                    decision_log::moment(last)
                )
            },
        );
        lines.push(format!(
            "{name}  {:>9} records  {:>11} bytes  {times}",
            outline.records, segment.bytes
        ));
        lines.extend(outline.damaged.iter().map(|damaged| format!("  {damaged}")));
        records += outline.records;
        bytes += segment.bytes;
    }
    lines.push(format!(
        "{} in {}, {bytes} bytes",
        count(records as usize, "record"),
        count(outlines.len(), "segment")
    ));
    Ok(lines.join("\n"))
}

fn show(
    config: &Config,
    select: Select,
    id: Option<String>,
    last: usize,
    json: bool,
) -> Result<String, Failure> {
    let mut filter = select.filter();
    let last = if id.is_some() { usize::MAX } else { last };
    filter.id = id;
    let (newest, reading) = decision_log::newest(&config.decision_log.directory, &filter, last)?;
    say_damage(&reading);
    if newest.is_empty() {
        return Err(Failure(
            "no record of the decision log is such a one".into(),
        ));
    }
    let shown = newest.iter().map(|record| match json {
        true => decision_log::json(record),
        false => decision_log::text(record),
    });
    let between = if json { "\n" } else { "\n\n" };
    Ok(shown.collect::<Vec<_>>().join(between))
}

fn export(
    config: &Config,
    select: Select,
    out: &Path,
    format: Option<tables::Format>,
) -> Result<String, Failure> {
    let log = &config.decision_log.directory;
    let reading = decision_log::export(log, &select.filter(), out, format)?;
    say_damage(&reading);
    let mut written = format!("{} written", count(reading.records as usize, "record"));
    if let Some(unread) = Unread::of(&reading.damaged) {
        written += &format!(" ({unread})");
    }
    // The standard output is the table's.
    if out == Path::new("-") {
        let _ = writeln!(std::io::stderr(), "{written}");
        return Ok(String::new());
    }
    Ok(format!("{written} to {}", out.display()))
}

/// What could not be read, on standard error.
pub(super) fn say_damage(reading: &Reading) {
    for damaged in &reading.damaged {
        let _ = writeln!(std::io::stderr(), "gavel: {damaged}");
    }
}
