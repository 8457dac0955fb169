//! `gavel features load` and `put`: rows from files or from a command line into the online store.
//!
//! ```text
//! file ── tables::Reader ── row ── features::load ──► Row ── Store::put, newer wins ──► written, older
//!              └ not readable ─────────┴ no row of the view ──► rejects ──────────────► rejected
//! ```
//! Every row that is read is written, older than what is stored, or rejected: none is lost.

mod cells;
mod rejects;

use std::path::{Path, PathBuf};

use features::{
    Catalog, Row, Store,
    load::{FlatView, parse_line},
};
use tables::{Format, Position, Reader, TableError};

pub(crate) use self::cells::given;
pub use self::rejects::Rejects;
use crate::{diagnostic::count, progress::Meter, serve::Failure};

/// Rows written in one call of the store.
const BATCH_ROWS: usize = 500;
/// Rejected rows of a file that are shown one by one.
const SHOWN: u64 = 20;

/// What came of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows of the files.
    pub read: u64,
    /// Rows now in the store.
    pub written: u64,
    /// Rows that are not, because a newer one of their entity is.
    pub older: u64,
    /// Rows that could not be read, or are no rows of their view.
    pub rejected: u64,
}

impl Loaded {
    /// `7 rows read: 4 written to the redis store, 1 older than what it holds, 2 rejected`
    pub fn say(&self, store: &str) -> String {
        let mut said = format!(
            "{} read: {} written to the {store} store",
            rows(self.read),
            self.written
        );
        if self.older > 0 {
            said += &format!(", {} older than what it holds", self.older);
        }
        if self.rejected > 0 {
            said += &format!(", {} rejected", self.rejected);
        }
        said
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn rows(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "row")
}

/// How files are to be read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Of a name that says none, or the wrong one.
    pub format: Option<Format>,
    /// The view that flat rows are of; without it, rows are nested and name their view.
    pub view: Option<String>,
    /// Where rejected rows go, instead of beside each file.
    pub rejects: Option<PathBuf>,
}

/// Loads files, one after the other.
///
/// # Errors
/// A file that cannot be read any further or has other columns than the view, a store that does not
/// write, and rejects that cannot be kept. What has been written until then stays written, and may be
/// loaded again.
pub async fn load(
    files: &[PathBuf],
    reading: &Reading,
    catalog: &Catalog,
    store: &Store,
) -> Result<(Loaded, Vec<PathBuf>), Failure> {
    let view = match &reading.view {
        Some(name) => {
            Some(FlatView::of(catalog, name).map_err(|error| Failure(error.to_string()))?)
        }
        None => None,
    };
    let mut loaded = Loaded::default();
    let mut kept = Vec::new();
    let mut shared = reading.rejects.as_deref().map(Rejects::into);
    for file in files {
        let mut beside = Rejects::beside(file);
        let rejects = shared.as_mut().unwrap_or(&mut beside);
        let mut load = Load {
            file,
            view: view.as_ref(),
            catalog,
            store,
            loaded: &mut loaded,
            batch: Vec::with_capacity(BATCH_ROWS),
            rejects,
            shown: 0,
            last: None,
        };
        let outcome = load.file(reading.format).await;
        kept.extend(beside.finish()?);
        outcome?;
    }
    if let Some(shared) = shared {
        kept.extend(shared.finish()?);
    }
    Ok((loaded, kept))
}

/// One file being loaded.
struct Load<'l> {
    file: &'l Path,
    view: Option<&'l FlatView>,
    catalog: &'l Catalog,
    store: &'l Store,
    loaded: &'l mut Loaded,
    batch: Vec<Row>,
    rejects: &'l mut Rejects,
    /// Rejected rows that were shown.
    shown: u64,
    /// Of the last row that is written.
    last: Option<Position>,
}

impl Load<'_> {
    async fn file(&mut self, format: Option<Format>) -> Result<(), Failure> {
        let mut reader = self.open(format)?;
        let mut meter = Meter::new(
            format!("loading {}", self.file.display()),
            reader.progress().total,
        );
        let mut position = None;
        loop {
            let read = match reader.read() {
                Ok(Some(read)) => read,
                Ok(None) => break,
                Err(error) => {
                    // What was read before is written all the same.
                    self.put(position).await?;
                    return Err(table(error));
                }
            };
            match read {
                Ok(row) => {
                    self.loaded.read += 1;
                    position = Some(row.position);
                    match self.typed(&row) {
                        Ok(row) => self.batch.push(row),
                        Err(why) => {
                            self.show(&meter, row.position, 1, &why);
                            self.rejects.row(self.file, &row, &why)?;
                        }
                    }
                }
                Err(error) => {
                    self.loaded.read += error.rows;
                    self.show(&meter, error.position, error.rows, &error.why);
                    self.rejects.unread(self.file, &error)?;
                }
            }
            if self.batch.len() == BATCH_ROWS {
                self.put(position).await?;
            }
            meter.step(reader.progress().done, || {
                format!(
                    "{} written, {} older, {} rejected",
                    rows(self.loaded.written),
                    self.loaded.older,
                    self.loaded.rejected
                )
            });
        }
        self.put(position).await
    }

    /// Opens the file, whose columns are to fit the view where it names them once.
    fn open(&self, format: Option<Format>) -> Result<Reader, Failure> {
        let reader = Reader::open(self.file, format).map_err(table)?;
        let file = self.file.display();
        let Some(columns) = reader.columns() else {
            return Ok(reader);
        };
        let Some(view) = self.view else {
            return Err(Failure(format!(
                "the rows of {file} are flat: say which view they are of with --view"
            )));
        };
        let unread = reader.unread().iter();
        let columns = columns.iter().chain(unread.clone().map(|(name, _)| name));
        view.check(columns.map(|name| &**name))
            .map_err(|error| Failure(format!("{file}: {error}")))?;
        match reader.unread().first() {
            None => Ok(reader),
            Some((name, why)) => Err(Failure(format!(
                "{file}: the column `{name}` cannot be read: {why}"
            ))),
        }
    }

    fn typed(&self, row: &tables::Row) -> Result<Row, String> {
        let typed = match (self.view, &row.line) {
            (Some(view), _) => view.row(cells::fields(view, row)),
            (None, Some(line)) => parse_line(self.catalog, line),
            // Rows without a line are of formats that are not opened without a view.
            (None, None) => parse_line(self.catalog, &row.to_json()),
        };
        typed.map_err(|error| error.to_string())
    }

    fn show(&mut self, meter: &Meter, position: Position, rejected: u64, why: &str) {
        self.loaded.rejected += rejected;
        self.shown += 1;
        if self.shown <= SHOWN {
            meter.say(&format!("{}: {why}", place(self.file, position)));
        }
        if self.shown == SHOWN {
            meter.say("further rows that are rejected are only written aside");
        }
    }

    async fn put(&mut self, position: Option<Position>) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let put = self.store.put(self.catalog, &self.batch).await;
        let put = put.map_err(|error| {
            let written = match self.last {
                Some(last) => format!("up to {}", place(self.file, last)),
                None => format!("nothing of {}", self.file.display()),
            };
            Failure(format!(
                "the rows were not written: {error}; written is {written}; load it again, rows that are there replace themselves"
            ))
        })?;
        self.loaded.written += put.written as u64;
        self.loaded.older += put.older as u64;
        self.last = position;
        self.batch.clear();
        Ok(())
    }
}

/// Puts one flat row, as a command line has it: every value is untyped text. Says whether it was
/// written, or is older than what is stored.
///
/// # Errors
/// No row of that view, and what the store says.
pub async fn put(
    view: &str,
    fields: &[(String, String)],
    catalog: &Catalog,
    store: &Store,
) -> Result<bool, Failure> {
    let view = FlatView::of(catalog, view).map_err(|error| Failure(error.to_string()))?;
    let row = view.row(cells::untyped(&view, fields));
    let row = row.map_err(|error| Failure(error.to_string()))?;
    let put = store.put(catalog, &[row]).await;
    let put = put.map_err(|error| Failure(format!("the row was not written: {error}")))?;
    Ok(put.written == 1)
}

/// `rows.csv:7`, or `rows.parquet, row 7 of row group 2`.
pub(crate) fn place(file: &Path, position: Position) -> String {
    match position {
        Position::Line(line) => format!("{}:{line}", file.display()),
        Position::Row { .. } => format!("{}, {position}", file.display()),
    }
}

pub(crate) fn table(error: TableError) -> Failure {
    Failure(error.to_string())
}

#[cfg(test)]
mod tests;
