//! What can be wrong with a table, and with one row of it.

use std::fmt;
use std::io;

use crate::format::Format;

/// Why a table cannot be read or written, or not any further. `Display` is a full sentence.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error(
        "the format of {file} is not known: its name ends neither in .csv, .jsonl, .ndjson nor .parquet; name it with --format"
    )]
    UnknownFormat { file: String },
    #[error("cannot read {file}: {source}")]
    Read { file: String, source: io::Error },
    /// What should be the table's beginning or its directory is something else.
    #[error("{file} is not {format} that can be read: {why}")]
    Malformed {
        file: String,
        format: Format,
        why: String,
    },
    #[error("cannot write {file}: {source}")]
    Write { file: String, source: io::Error },
    /// A cell that its column cannot hold.
    #[error("the column `{column}` of {file} holds {holds}, and {cell} is not one")]
    Cell {
        file: String,
        column: String,
        holds: String,
        cell: String,
    },
}

/// Where in its file a row is, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The line on which it begins.
    Line(u64),
    /// A row of a Parquet file.
    Row { group: u64, row: u64 },
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Line(line) => write!(f, "line {line}"),
            Position::Row { group, row } => write!(f, "row {row} of row group {group}"),
        }
    }
}

/// Why a row, or a run of rows, could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct RowError {
    /// Of the first row.
    pub position: Position,
    /// How many rows this is about: in Parquet the rest of a row group may be unreadable.
    pub rows: u64,
    /// A full sentence.
    pub why: String,
    /// What there is of its text, which is nothing in Parquet. Bytes that are not UTF-8 are replaced.
    pub raw: String,
}
