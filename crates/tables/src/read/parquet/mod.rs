//! Parquet: row groups one behind the other, a batch of rows at a time in memory.
//!
//! ```text
//! metadata ── schema ──► Shape of each column ┐
//! row group ── one Leaf per column chunk ─────┴─ BATCH rows ──► Row …
//!                    └ unreadable: one error for the rest of the group, then the next group
//! ```
//! The Parquet library reports most of what is wrong with a file, and panics on some of it. Each call
//! of it is therefore made inside [`guarded`], which turns a panic into an error; what the call was
//! working on is then thrown away. The panic's message still goes to the standard error.

mod leaf;
mod schema;

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{Progress, Row};
use crate::cell::Cell;
use crate::error::{Position, RowError};
use leaf::{Leaf, LeafCell};
use schema::{Schema, Shape};

/// Rows decoded at once.
const BATCH: usize = 256;

pub(super) struct ParquetRows {
    file: SerializedFileReader<File>,
    schema: Schema,
    /// Of the group that is being read, from 0.
    group: usize,
    open: Option<Group>,
    ready: VecDeque<Result<Row, RowError>>,
    done: u64,
    total: u64,
}

/// A row group that is being read.
struct Group {
    leaves: Vec<Leaf>,
    /// Rows that have been decoded.
    row: u64,
    rows: u64,
}

impl ParquetRows {
    /// The error is a sentence about the file.
    pub(super) fn open(file: File) -> Result<ParquetRows, String> {
        let file = guarded(|| SerializedFileReader::new(file))?;
        let metadata = file.metadata();
        let schema = guarded(|| Ok(Schema::of(metadata.file_metadata().schema_descr())))?;
        for group in metadata.row_groups() {
            for leaf in &schema.leaves {
                let codec = group.columns().get(leaf.column).map(|c| c.compression());
                match codec {
                    Some(
                        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_),
                    ) => {}
                    Some(other) => {
                        return Err(format!(
                            "it is compressed with {other}: write it with Snappy, Zstandard or uncompressed"
                        ));
                    }
                    None => return Err("a row group lacks a column".to_owned()),
                }
            }
        }
        let groups = metadata.row_groups().iter();
        let rows = groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        let total = rows.fold(0, u64::saturating_add);
        Ok(ParquetRows {
            schema,
            group: 0,
            open: None,
            ready: VecDeque::with_capacity(BATCH),
            done: 0,
            total,
            file,
        })
    }

    pub(super) fn columns(&self) -> &[Arc<str>] {
        &self.schema.names
    }

    pub(super) fn unread(&self) -> &[(Arc<str>, String)] {
        &self.schema.unread
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            done: self.done,
            total: Some(self.total),
        }
    }

    pub(super) fn read(&mut self) -> Option<Result<Row, RowError>> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                self.done += row.as_ref().map_or_else(|error| error.rows, |_| 1);
                return Some(row);
            }
            if let Some(mut group) = self.open.take() {
                self.batch(&mut group);
                match group.row < group.rows {
                    true => self.open = Some(group),
                    false => self.group += 1,
                }
            } else if self.group < self.file.num_row_groups() {
                self.open = Some(self.open_group());
            } else {
                return None;
            }
        }
    }

    /// A group that cannot be opened is one of which nothing can be read.
    fn open_group(&mut self) -> Group {
        let rows = self.file.metadata().row_group(self.group).num_rows();
        let mut group = Group {
            leaves: Vec::new(),
            row: 0,
            rows: u64::try_from(rows).unwrap_or(0),
        };
        let (file, number) = (&self.file, self.group);
        let opened = guarded(|| {
            let reader = file.get_row_group(number)?;
            let leaves = self.schema.leaves.iter();
            leaves.map(|leaf| Leaf::open(&*reader, leaf)).collect()
        });
        match opened {
            Ok(leaves) => group.leaves = leaves,
            Err(why) => self.give_up(&mut group, &why),
        }
        group
    }

    /// Decodes the next rows of a group into `ready`.
    fn batch(&mut self, group: &mut Group) {
        let left = group.rows - group.row;
        let wanted = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
        if wanted == 0 {
            return;
        }
        let mut columns = Vec::with_capacity(group.leaves.len());
        for leaf in &mut group.leaves {
            match guarded(|| leaf.read(wanted)) {
                Ok(cells) if cells.len() == wanted => columns.push(cells.into_iter()),
                Ok(cells) => {
                    let why = format!(
                        "a column ends {} rows early",
                        wanted - cells.len().min(wanted)
                    );
                    return self.give_up(group, &why);
                }
                Err(why) => return self.give_up(group, &why),
            }
        }
        for _ in 0..wanted {
            group.row += 1;
            let position = Position::Row {
                group: self.group as u64 + 1,
                row: group.row,
            };
            let mut fields = Vec::with_capacity(self.schema.names.len());
            let mut wrong = None;
            for (name, shape) in self.schema.names.iter().zip(&self.schema.shapes) {
                match assemble(shape, &mut columns).cell {
                    Ok(cell) => fields.push((Arc::clone(name), cell)),
                    Err(why) => _ = wrong.get_or_insert(format!("the column `{name}`: {why}")),
                }
            }
            self.ready.push_back(match wrong {
                None => Ok(Row {
                    position,
                    fields,
                    line: None,
                }),
                Some(why) => Err(RowError {
                    position,
                    rows: 1,
                    why,
                    raw: String::new(),
                }),
            });
        }
    }

    /// One error for all rows of the group that are left.
    fn give_up(&mut self, group: &mut Group, why: &str) {
        let rows = group.rows - group.row;
        let position = Position::Row {
            group: self.group as u64 + 1,
            row: group.row + 1,
        };
        let why = match rows {
            1 => format!("the row cannot be read: {why}"),
            _ => format!("from here on {rows} rows of the row group cannot be read: {why}"),
        };
        if rows > 0 {
            self.ready.push_back(Err(RowError {
                position,
                rows,
                why,
                raw: String::new(),
            }));
        }
        group.row = group.rows;
    }
}

/// Puts together one column's cell of the current row. Leaves are met in their order.
fn assemble(shape: &Shape, leaves: &mut [std::vec::IntoIter<LeafCell>]) -> LeafCell {
    match shape {
        Shape::Leaf(place) => leaves[*place].next().unwrap_or_else(LeafCell::absent),
        Shape::Struct { level, fields } => {
            let (mut depth, mut cells, mut wrong) = (None, Vec::new(), None);
            for (name, shape) in fields {
                let field = assemble(shape, leaves);
                depth = depth.or(Some(field.level));
                match field.cell {
                    Ok(cell) => cells.push((name.clone(), cell)),
                    Err(why) => _ = wrong.get_or_insert(why),
                }
            }
            let depth = depth.unwrap_or(0);
            let cell = match wrong {
                _ if depth < *level => Ok(Cell::Null),
                Some(why) => Err(why),
                None => Ok(Cell::Struct(cells)),
            };
            LeafCell { level: depth, cell }
        }
    }
}

/// Runs a call of the Parquet library; its panic becomes an error like any other.
fn guarded<T>(call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("its bytes make no sense to the Parquet library".to_owned()),
    }
}

impl fmt::Debug for ParquetRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetRows")
            .field("columns", &self.schema.names)
            .field("group", &self.group)
            .field("done", &self.done)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
