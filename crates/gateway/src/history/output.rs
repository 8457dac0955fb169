//! The training set: the spine's columns as they were, then a column a feature.

use std::sync::Arc;

use features::{Dtype, FeatureRow, Value};
use tables::{Cell, Column, Scalar, Writer};

use super::{
    Files, in_file,
    sight::{Sight, Wanted},
    spine::{Spine, SpineRow},
};
use crate::{load::table, serve::Failure};

#[derive(Debug)]
pub(super) struct Output<'s> {
    writer: Writer,
    wanted: &'s [Wanted],
    /// Columns of the spine.
    carried: usize,
    status: bool,
}

impl<'s> Output<'s> {
    pub(super) fn create(
        files: &Files,
        sight: &'s Sight,
        spine: &Spine,
    ) -> Result<Output<'s>, Failure> {
        let carried = spine.names.iter().enumerate();
        let mut columns: Vec<Column> = carried
            .map(|(i, name)| {
                let cells = spine.rows.iter().filter_map(|row| row.cells.get(i));
                // An id of digits is text where the decision says so.
                let held = match sight.is_text(name) {
                    true => (Scalar::Text, false),
                    false => inferred(cells),
                };
                column(Arc::clone(name), held)
            })
            .collect();
        for wanted in &sight.columns {
            columns.push(column(wanted.name.as_str().into(), held(wanted.dtype)));
            if files.status {
                let name = format!("{}.status", wanted.name);
                columns.push(column(name.into(), (Scalar::Text, false)));
            }
        }
        for (i, column) in columns.iter().enumerate() {
            if columns[..i]
                .iter()
                .any(|earlier| earlier.name == column.name)
            {
                let why = format!(
                    "it has a column `{}`, and so has the training set: rename it",
                    column.name
                );
                return Err(in_file(&files.spine, why));
            }
        }
        Ok(Output {
            writer: Writer::create(&files.out, None, columns).map_err(table)?,
            wanted: &sight.columns,
            carried: spine.names.len(),
            status: files.status,
        })
    }

    /// What stands beside a row of the spine. What had no value holds its default, as decisions see it.
    pub(super) fn cells(&self, row: &SpineRow, seen: &FeatureRow) -> Vec<Cell> {
        let mut cells = row.cells.clone();
        cells.resize(self.carried, Cell::Null);
        for wanted in self.wanted {
            cells.push(cell(seen.value(wanted.column)));
            if self.status {
                cells.push(Cell::Text(seen.status(wanted.column).name().to_owned()));
            }
        }
        cells
    }

    pub(super) fn write(&mut self, cells: &[Cell]) -> Result<(), Failure> {
        self.writer.write(cells).map_err(table)
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        self.writer.finish().map_err(table)
    }
}

fn column(name: Arc<str>, (holds, list): (Scalar, bool)) -> Column {
    Column { name, holds, list }
}

fn held(dtype: Dtype) -> (Scalar, bool) {
    let scalar = match dtype.element() {
        features::Scalar::Bool => Scalar::Bool,
        features::Scalar::Int64 => Scalar::Int64,
        features::Scalar::Float32 => Scalar::Float32,
        features::Scalar::Float64 => Scalar::Float64,
        features::Scalar::String => Scalar::Text,
    };
    (scalar, dtype.is_list())
}

pub(super) fn cell(value: &Value) -> Cell {
    match value {
        Value::Bool(value) => Cell::Bool(*value),
        Value::Int64(value) => Cell::Int(*value),
        Value::Float32(value) => Cell::Float(f64::from(*value)),
        Value::Float64(value) => Cell::Float(*value),
        Value::String(text) => Cell::Text(text.to_string()),
        Value::List(elements) => Cell::List(elements.iter().map(cell).collect()),
    }
}

/// The type of a column that is carried through: the narrowest that holds all its cells. Text of CSV
/// is a number only where nothing of it is lost: `007` and numbers of 20 digits stay text.
fn inferred<'c>(cells: impl Iterator<Item = &'c Cell>) -> (Scalar, bool) {
    let mut held: Option<(Scalar, bool)> = None;
    for cell in cells {
        let Some(one) = type_of(cell) else {
            continue;
        };
        held = Some(match held {
            None => one,
            Some(known) => both(known, one),
        });
        if held == Some((Scalar::Text, false)) {
            break;
        }
    }
    held.unwrap_or((Scalar::Text, false))
}

/// `None` for null.
fn type_of(cell: &Cell) -> Option<(Scalar, bool)> {
    let scalar = match cell {
        Cell::Null => return None,
        Cell::Bool(_) => Scalar::Bool,
        Cell::Int(_) => Scalar::Int64,
        Cell::Float(_) => Scalar::Float64,
        Cell::Timestamp(_) => Scalar::Timestamp,
        Cell::Bytes(_) => Scalar::Bytes,
        Cell::Text(_) | Cell::Struct(_) => Scalar::Text,
        Cell::Untyped(text) => untyped(text),
        Cell::List(elements) => {
            let (of, nested) = inferred(elements.iter());
            return Some(match nested {
                true => (Scalar::Text, false),
                false => (of, true),
            });
        }
    };
    Some((scalar, false))
}

fn both(one: (Scalar, bool), other: (Scalar, bool)) -> (Scalar, bool) {
    match (one, other) {
        _ if one == other => one,
        ((Scalar::Int64, a), (Scalar::Float64, b)) | ((Scalar::Float64, a), (Scalar::Int64, b))
            if a == b =>
        {
            (Scalar::Float64, a)
        }
        _ => (Scalar::Text, false),
    }
}

fn untyped(text: &str) -> Scalar {
    if matches!(text, "true" | "false" | "True" | "False") {
        return Scalar::Bool;
    }
    if text
        .parse::<i64>()
        .is_ok_and(|value| value.to_string() == text)
    {
        return Scalar::Int64;
    }
    let digits = text.trim_start_matches(['-', '+']);
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(_) if !padded && !whole => Scalar::Float64,
        _ => Scalar::Text,
    }
}
