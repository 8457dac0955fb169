//! The writer: columns with types given up front, then rows, then [`Writer::finish`].
//!
//! A file appears under its name when it is whole: until then it is `NAME.partial` beside it, which is
//! removed when writing is given up.

mod output;
mod parquet;
mod text;

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::cell::Cell;
use crate::error::TableError;
use crate::format::Format;
use output::Output;

/// A column to write. Any cell of it may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: Arc<str>,
    pub holds: Scalar,
    /// Lists of that, instead of one.
    pub list: bool,
}

/// The type of a column's values. CSV and JSON lines have no types: there it says how a cell is
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    Bool,
    Int64,
    Float32,
    Float64,
    /// UTF-8. Anything else goes in as the text that CSV would have, lists and structs as JSON.
    Text,
    Bytes,
    /// Microseconds since the Unix epoch, UTC.
    Timestamp,
}

/// Writes a table row by row.
#[derive(Debug)]
pub struct Writer {
    file: String,
    columns: Arc<[Column]>,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Csv(text::TextRows),
    Json(text::TextRows),
    Parquet(Box<parquet::ParquetTable>),
}

impl Writer {
    /// Begins a file, replacing one of that name in the end; `-` is the standard output. `format` is
    /// for a name that says none.
    ///
    /// # Errors
    /// No format, or a file that cannot be made.
    pub fn create(
        file: &Path,
        format: Option<Format>,
        columns: Vec<Column>,
    ) -> Result<Writer, TableError> {
        let format = match format {
            Some(format) => format,
            None => Format::of(file)?,
        };
        let name = match file == Path::new("-") {
            true => "the standard output".to_owned(),
            false => file.display().to_string(),
        };
        let failed = |source| TableError::Write {
            file: name.clone(),
            source,
        };
        let columns: Arc<[Column]> = columns.into();
        let output = Output::create(file).map_err(failed)?;
        let sink = match format {
            Format::Csv => Sink::Csv(text::TextRows::csv(output, &columns).map_err(failed)?),
            Format::JsonLines => Sink::Json(text::TextRows::json(output)),
            Format::Parquet => Sink::Parquet(Box::new(
                parquet::ParquetTable::new(output, Arc::clone(&columns)).map_err(failed)?,
            )),
        };
        Ok(Writer {
            file: name,
            columns,
            sink,
        })
    }

    /// Writes a row: a cell a column, in their order; what is left out at the end is null.
    ///
    /// # Errors
    /// [`TableError::Cell`] for a cell that its column cannot hold, before anything of the row is
    /// written; else what the file system says.
    pub fn write(&mut self, cells: &[Cell]) -> Result<(), TableError> {
        let mut fitted = Vec::with_capacity(self.columns.len());
        for (i, column) in self.columns.iter().enumerate() {
            let cell = cells.get(i).unwrap_or(&Cell::Null);
            let fits = match (&self.sink, cell) {
                // Text that nobody has typed goes back into CSV as it came.
                (Sink::Csv(_), Cell::Untyped(_)) => Some(cell.clone()),
                _ => column.fit(cell),
            };
            fitted.push(fits.ok_or_else(|| self.misfit(column, cell))?);
        }
        let written = match &mut self.sink {
            Sink::Csv(rows) => rows.write_csv(&self.columns, &fitted),
            Sink::Json(rows) => rows.write_json(&self.columns, &fitted),
            Sink::Parquet(table) => table.write(&fitted),
        };
        written.map_err(|source| self.failed(source))
    }

    /// Writes what is still in memory and gives the file its name.
    ///
    /// # Errors
    /// What the file system says, such as that the disk is full.
    pub fn finish(self) -> Result<(), TableError> {
        let finished = match self.sink {
            Sink::Csv(rows) | Sink::Json(rows) => rows.finish(),
            Sink::Parquet(table) => table.finish(),
        };
        finished.map_err(|source| TableError::Write {
            file: self.file,
            source,
        })
    }

    fn failed(&self, source: io::Error) -> TableError {
        TableError::Write {
            file: self.file.clone(),
            source,
        }
    }

    fn misfit(&self, column: &Column, cell: &Cell) -> TableError {
        let list = if column.list { "lists of " } else { "" };
        TableError::Cell {
            file: self.file.clone(),
            column: column.name.to_string(),
            holds: format!("{list}{}", column.holds.name()),
            cell: cell.to_json().chars().take(80).collect(),
        }
    }
}

impl Column {
    /// The cell as this column holds it; `None` if it can't.
    fn fit(&self, cell: &Cell) -> Option<Cell> {
        match (self.list, cell) {
            (_, Cell::Null) => Some(Cell::Null),
            (true, Cell::List(cells)) => {
                let cells = cells.iter().map(|cell| self.holds.fit(cell));
                Some(Cell::List(cells.collect::<Option<_>>()?))
            }
            (true, Cell::Untyped(text)) => match Cell::from_json(text) {
                Ok(Cell::List(cells)) => self.fit(&Cell::List(cells)),
                _ => None,
            },
            (true, _) => None,
            (false, _) => self.holds.fit(cell),
        }
    }
}

impl Scalar {
    fn name(self) -> &'static str {
        match self {
            Scalar::Bool => "bool",
            Scalar::Int64 => "int64",
            Scalar::Float32 => "float32",
            Scalar::Float64 => "float64",
            Scalar::Text => "text",
            Scalar::Bytes => "bytes",
            Scalar::Timestamp => "times",
        }
    }

    fn fit(self, cell: &Cell) -> Option<Cell> {
        let fitted = match (self, cell) {
            (_, Cell::Null)
            | (Scalar::Bool, Cell::Bool(_))
            | (Scalar::Int64, Cell::Int(_))
            | (Scalar::Float32 | Scalar::Float64, Cell::Float(_))
            | (Scalar::Text, Cell::Text(_))
            | (Scalar::Bytes, Cell::Bytes(_))
            | (Scalar::Timestamp, Cell::Timestamp(_)) => cell.clone(),
            (Scalar::Float32 | Scalar::Float64, Cell::Int(value)) => Cell::Float(*value as f64),
            (Scalar::Text, _) => Cell::Text(cell.to_text().into_owned()),
            (Scalar::Bool, Cell::Untyped(text)) => match text.as_str() {
                "true" | "True" => Cell::Bool(true),
                "false" | "False" => Cell::Bool(false),
                _ => return None,
            },
            (Scalar::Int64, Cell::Untyped(text)) => Cell::Int(text.parse().ok()?),
            (Scalar::Float32 | Scalar::Float64, Cell::Untyped(text)) => {
                Cell::Float(text.parse().ok()?)
            }
            (Scalar::Timestamp, Cell::Untyped(text) | Cell::Text(text)) => {
                Cell::Timestamp(crate::time::parse(text)?)
            }
            _ => return None,
        };
        Some(fitted)
    }
}
