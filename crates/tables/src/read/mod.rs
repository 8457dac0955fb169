//! The reader: rows of a file one at a time, whatever its format.

mod csv;
mod input;
mod json;
mod parquet;

use std::path::Path;
use std::sync::Arc;

use crate::cell::Cell;
use crate::error::{Position, RowError, TableError};
use crate::format::Format;
use input::Input;

/// The longest row of CSV or JSON lines, in bytes: a quote that is never closed would else take in the
/// whole file.
const MAX_ROW_BYTES: usize = 16 << 20;

/// One row: its cells by name, in the file's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub position: Position,
    pub fields: Vec<(Arc<str>, Cell)>,
    /// The line as it was, of JSON lines.
    pub line: Option<String>,
}

impl Row {
    /// The cell of a column; `None` when the row has no such column.
    pub fn get(&self, name: &str) -> Option<&Cell> {
        let mut fields = self.fields.iter();
        fields
            .find(|(known, _)| **known == *name)
            .map(|(_, cell)| cell)
    }

    /// The row as a JSON object: of JSON lines the line as it was, else see [`Cell::to_json`].
    pub fn to_json(&self) -> String {
        match &self.line {
            Some(line) => line.clone(),
            None => {
                let fields = self.fields.iter();
                let named = fields.map(|(name, cell)| (name.to_string(), cell.clone()));
                Cell::Struct(named.collect()).to_json()
            }
        }
    }
}

/// How far reading has come, in bytes of the file or, of Parquet, in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    /// Not known of a pipe.
    pub total: Option<u64>,
}

/// Reads a table row by row.
#[derive(Debug)]
pub struct Reader {
    file: String,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Csv(Box<csv::CsvRows>),
    Json(json::JsonRows),
    Parquet(Box<parquet::ParquetRows>),
}

impl Reader {
    /// Opens a file; `-` is the standard input. `format` is for a name that says none, or the wrong
    /// one.
    ///
    /// # Errors
    /// No format, no such file, a CSV file without a header or with a column named twice, and a
    /// Parquet file that is cut off, encrypted, compressed in another way than Snappy or Zstandard, or
    /// not a regular file.
    pub fn open(file: &Path, format: Option<Format>) -> Result<Reader, TableError> {
        let format = match format {
            Some(format) => format,
            None => Format::of(file)?,
        };
        let name = match file == Path::new("-") {
            true => "the standard input".to_owned(),
            false => file.display().to_string(),
        };
        let failed = |source| TableError::Read {
            file: name.clone(),
            source,
        };
        let malformed = |why| TableError::Malformed {
            file: name.clone(),
            format,
            why,
        };
        let rows = match format {
            Format::Csv => {
                let rows = csv::CsvRows::new(Input::open(file).map_err(failed)?);
                Rows::Csv(Box::new(rows.map_err(failed)?.map_err(malformed)?))
            }
            Format::JsonLines => {
                Rows::Json(json::JsonRows::new(Input::open(file).map_err(failed)?))
            }
            Format::Parquet if file == Path::new("-") => {
                let why = "Parquet is read from its end, which a pipe does not offer: name a file";
                return Err(malformed(why.to_owned()));
            }
            Format::Parquet => {
                let opened = std::fs::File::open(file).map_err(failed)?;
                if opened.metadata().map_err(failed)?.is_dir() {
                    let why = "it is a folder: name the files in it";
                    return Err(malformed(why.to_owned()));
                }
                Rows::Parquet(Box::new(
                    parquet::ParquetRows::open(opened).map_err(malformed)?,
                ))
            }
        };
        Ok(Reader { file: name, rows })
    }

    /// The columns of every row; `None` for JSON lines, where each row names its own.
    pub fn columns(&self) -> Option<&[Arc<str>]> {
        match &self.rows {
            Rows::Csv(rows) => Some(rows.columns()),
            Rows::Json(_) => None,
            Rows::Parquet(rows) => Some(rows.columns()),
        }
    }

    /// Columns that rows come without because their type is not read here, each with a sentence:
    /// maps, and lists of anything but scalars.
    pub fn unread(&self) -> &[(Arc<str>, String)] {
        match &self.rows {
            Rows::Csv(_) | Rows::Json(_) => &[],
            Rows::Parquet(rows) => rows.unread(),
        }
    }

    /// The next row, or what is wrong with it; `None` at the end.
    ///
    /// # Errors
    /// [`TableError::Read`] when the file cannot be read any further.
    pub fn read(&mut self) -> Result<Option<Result<Row, RowError>>, TableError> {
        let read = match &mut self.rows {
            Rows::Csv(rows) => rows.read(),
            Rows::Json(rows) => rows.read(),
            Rows::Parquet(rows) => Ok(rows.read()),
        };
        read.map_err(|source| TableError::Read {
            file: self.file.clone(),
            source,
        })
    }

    /// How far reading has come.
    pub fn progress(&self) -> Progress {
        match &self.rows {
            Rows::Csv(rows) => rows.progress(),
            Rows::Json(rows) => rows.progress(),
            Rows::Parquet(rows) => rows.progress(),
        }
    }
}

/// Text for an error, of any length and any bytes.
fn raw_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim_end_matches(['\r', '\n'])
        .to_owned()
}

fn too_long() -> String {
    let mebibytes = MAX_ROW_BYTES >> 20;
    format!("a row is at most {mebibytes} MiB long, and this one is longer")
}
