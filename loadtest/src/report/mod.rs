//! What was found: a record a measurement, a table for people, charts.
//!
//! ```text
//! records (bench.jsonl) ──► summary: medians over rounds ──► table, targets (bench.md)
//!                                                       └──► charts (SVG)
//! ```

mod charts;
mod machine;
mod record;
mod summary;
mod table;
mod targets;

use std::{fs, io, path::Path};

pub use machine::Machine;
pub use record::{Record, RecordsError, Writer};

use summary::Summary;

/// The report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file.
    #[error("the report: {0}")]
    Io(#[from] io::Error),
    /// A chart.
    #[error("the chart {0}")]
    Chart(String),
}

/// Writes `bench.md` and the charts into a folder.
///
/// # Errors
/// As [`ReportError`] says.
pub fn write(folder: &Path, records: &[Record], machine: &Machine) -> Result<(), ReportError> {
    let summary = Summary::of(records);
    fs::create_dir_all(folder)?;
    fs::write(folder.join("bench.md"), table::render(&summary, machine))?;
    for (name, svg) in charts::draw(&summary).map_err(ReportError::Chart)? {
        fs::write(folder.join(name), svg)?;
    }
    Ok(())
}
