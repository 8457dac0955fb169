//! The spine: whose features are wanted at which moment, and what else is to stand beside them.

use std::{collections::HashMap, path::Path, sync::Arc};

use features::{Dtype, Given, RequestRow, Value};
use tables::{Cell, Reader, Row, time};

use super::{in_file, sight::Sight};
use crate::{
    load::{given, place, table},
    serve::Failure,
};

/// Rows that are shown when they are no requests.
const SHOWN: usize = 20;
/// 2100-01-01, in Unix seconds: a later number is taken for one of milliseconds.
const LAST_SECOND: f64 = 4_102_444_800.0;

#[derive(Debug)]
pub(super) struct Spine {
    /// Its columns; of JSON lines, in the order in which they first come.
    pub(super) names: Vec<Arc<str>>,
    pub(super) rows: Vec<SpineRow>,
}

#[derive(Debug)]
pub(super) struct SpineRow {
    /// A cell a column; those that are left out at the end are null.
    pub(super) cells: Vec<Cell>,
    pub(super) request: RequestRow,
    /// Microseconds since the Unix epoch.
    pub(super) moment_us: i64,
}

impl Spine {
    /// Reads it. A row that is no request makes the whole an error, because a training set that lacks
    /// rows would not say so.
    pub(super) fn read(file: &Path, time: &str, sight: &Sight) -> Result<Spine, Failure> {
        let mut reader = Reader::open(file, None).map_err(table)?;
        if let Some((name, why)) = reader.unread().first() {
            let why = format!("the column `{name}` cannot be read: {why}; drop it, or cast it");
            return Err(in_file(file, why));
        }
        let mut spine = Spine {
            names: reader.columns().map(<[_]>::to_vec).unwrap_or_default(),
            rows: Vec::new(),
        };
        let fixed = reader.columns().is_some();
        if fixed {
            spine.check(time, sight).map_err(|why| in_file(file, why))?;
        }
        let mut places: HashMap<Arc<str>, usize> = spine.names.iter().cloned().zip(0..).collect();
        let mut wrong = Vec::new();
        while let Some(read) = reader.read().map_err(table)? {
            let row = match read {
                Ok(row) => row,
                Err(error) => {
                    wrong.push(format!("{}: {error}", place(file, error.position)));
                    continue;
                }
            };
            let typed = request(&row, sight).and_then(|request| Ok((request, moment(&row, time)?)));
            match typed {
                Ok((request, moment_us)) => {
                    let mut cells = vec![Cell::Null; spine.names.len()];
                    for (name, cell) in row.fields {
                        let place = *places.entry(name).or_insert_with_key(|name| {
                            spine.names.push(Arc::clone(name));
                            cells.push(Cell::Null);
                            spine.names.len() - 1
                        });
                        cells[place] = cell;
                    }
                    spine.rows.push(SpineRow {
                        cells,
                        request,
                        moment_us,
                    });
                }
                Err(why) => wrong.push(format!("{}: {why}", place(file, row.position))),
            }
            if wrong.len() > SHOWN {
                break;
            }
        }
        if wrong.is_empty() {
            return Ok(spine);
        }
        let more = wrong.len() > SHOWN;
        wrong.truncate(SHOWN);
        let more = if more { "\n… and more" } else { "" };
        Err(Failure(format!(
            "rows of the spine are no requests, so nothing is written:\n{}{more}",
            wrong.join("\n")
        )))
    }

    /// Whether the columns that every row needs are there.
    fn check(&self, time: &str, sight: &Sight) -> Result<(), String> {
        let has = |name: &str| self.names.iter().any(|known| **known == *name);
        if !has(time) {
            return Err(format!(
                "there is no column `{time}` with the moments; --time names another"
            ));
        }
        for entity in &sight.schema.entities {
            if !has(&entity.name) {
                return Err(format!(
                    "there is no column of the entity `{}`",
                    entity.name
                ));
            }
        }
        for input in &sight.schema.inputs {
            if input.required && !has(&input.name) {
                return Err(format!(
                    "there is no column `{}`, which every request has",
                    input.name
                ));
            }
        }
        Ok(())
    }
}

/// What a caller would have sent. An input that is null is one that was not sent.
fn request(row: &Row, sight: &Sight) -> Result<RequestRow, String> {
    let schema = &sight.schema;
    let entities = schema.entities.iter().map(|field| {
        let name = &field.name;
        match row.get(name) {
            None | Some(Cell::Null) => Err(format!("the entity `{name}` is missing")),
            // Ids are often numbers where tables come from, as in events.
            Some(Cell::Int(id)) if field.dtype == Dtype::String => {
                Ok(Value::String(id.to_string().into()))
            }
            Some(cell) => given(cell).value(name, field.dtype),
        }
    });
    let inputs =
        schema.inputs.iter().map(
            |field| match row.get(&field.name).map_or(Given::Null, given) {
                Given::Null => Ok(None),
                given => given.value(&field.name, field.dtype).map(Some),
            },
        );
    Ok(RequestRow {
        entities: entities.collect::<Result<_, _>>()?,
        inputs: inputs.collect::<Result<_, _>>()?,
    })
}

/// A time, text of one, or a number of Unix seconds.
fn moment(row: &Row, column: &str) -> Result<i64, String> {
    let cell = row.get(column).unwrap_or(&Cell::Null);
    let seconds = match cell {
        Cell::Timestamp(micros) => return Ok(*micros),
        Cell::Int(seconds) => Some(*seconds as f64),
        Cell::Float(seconds) => Some(*seconds),
        Cell::Text(text) | Cell::Untyped(text) => match time::parse(text) {
            Some(micros) => return Ok(micros),
            None if matches!(cell, Cell::Untyped(_)) => text.parse().ok(),
            None => None,
        },
        _ => None,
    };
    let seconds = seconds.filter(|seconds| seconds.abs() < LAST_SECOND);
    let micros = seconds.map(|seconds| (seconds * 1e6).round() as i64);
    micros.ok_or_else(|| {
        format!(
            "`{column}` is a time such as 2019-08-31T10:00:00Z, or a number of Unix seconds before 2100, and {} is neither",
            given(cell)
        )
    })
}
