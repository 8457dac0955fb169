//! The three formats, and which one a file has.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::TableError;

/// How a table is written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a header. An empty field is null.
    Csv,
    /// One JSON object a line.
    JsonLines,
    Parquet,
}

impl Format {
    /// The format that the file's name says.
    ///
    /// # Errors
    /// [`TableError::UnknownFormat`] for any other name, such as `-`.
    pub fn of(file: &Path) -> Result<Format, TableError> {
        let extension = file.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Ok(Format::Csv),
            Some("jsonl" | "ndjson") => Ok(Format::JsonLines),
            Some("parquet") => Ok(Format::Parquet),
            _ => Err(TableError::UnknownFormat {
                file: file.display().to_string(),
            }),
        }
    }
}

impl FromStr for Format {
    type Err = String;

    /// `csv`, `jsonl` (or `ndjson`), `parquet`.
    fn from_str(name: &str) -> Result<Format, String> {
        match name {
            "csv" => Ok(Format::Csv),
            "jsonl" | "ndjson" => Ok(Format::JsonLines),
            "parquet" => Ok(Format::Parquet),
            _ => Err(format!(
                "{name:?} is not a format: csv, jsonl, ndjson or parquet"
            )),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Csv => "CSV",
            Format::JsonLines => "JSON lines",
            Format::Parquet => "Parquet",
        })
    }
}
