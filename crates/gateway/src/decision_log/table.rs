//! The log as one flat table, for pandas, DuckDB and Spark: a row a decision, a column a value.
//!
//! Which columns there are is known only when all records have been seen, so the log is read twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::Path,
    sync::Arc,
};

use decision_log::{Field, Record, Schema, Value};
use tables::{Cell, Column, Format, Scalar, Writer};

use super::read::{Filter, Reading, read};
use crate::serve::Failure;

/// Writes the records that are asked for to `file`; `-` is the standard output.
///
/// # Errors
/// The log cannot be read, the file cannot be written, or a feature has one type in some records and
/// another in others.
pub fn export(
    log: &Path,
    filter: &Filter,
    file: &Path,
    format: Option<Format>,
) -> Result<Reading, Failure> {
    let mut columns = Columns::default();
    read(log, filter, |record| {
        columns.see(&record)?;
        Ok(ControlFlow::Continue(()))
    })?;
    let table = |error: tables::TableError| Failure(error.to_string());
    let (columns, places) = columns.finish();
    let width = columns.len();
    let mut writer = Writer::create(file, format, columns).map_err(table)?;
    let reading = read(log, filter, |record| {
        let mut row = vec![Cell::Null; width];
        fill(&record, |name, cell| {
            if let Some(place) = places.get(name) {
                row[*place] = cell;
            }
        });
        writer.write(&row).map_err(table)?;
        Ok(ControlFlow::Continue(()))
    })?;
    writer.finish().map_err(table)?;
    Ok(reading)
}

/// Every column that any record has, in the order of the groups.
#[derive(Debug, Default)]
struct Columns {
    schemas: Vec<Arc<Schema>>,
    /// By group and, in it, as they were first seen.
    typed: BTreeMap<(Group, usize), Column>,
    places: BTreeMap<String, (Group, usize)>,
    stages: BTreeSet<String>,
    tensors: BTreeSet<String>,
}

/// Columns that belong together, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Which,
    Entities,
    Inputs,
    Answer,
    Scores,
    Circumstances,
    Features,
    Statuses,
    EventTimes,
    Timings,
    Tensors,
}

const WHICH: [(&str, Scalar, bool); 4] = [
    ("time", Scalar::Timestamp, false),
    ("as_of", Scalar::Timestamp, false),
    ("decision", Scalar::Text, false),
    ("id", Scalar::Text, false),
];
const ANSWER: [(&str, Scalar, bool); 6] = [
    ("tier", Scalar::Text, false),
    ("model", Scalar::Text, false),
    ("model_version", Scalar::Text, false),
    ("arm", Scalar::Text, false),
    ("action", Scalar::Text, false),
    ("reasons", Scalar::Text, true),
];
const CIRCUMSTANCES: [(&str, Scalar, bool); 5] = [
    ("degraded", Scalar::Bool, false),
    ("skipped", Scalar::Text, true),
    ("late", Scalar::Bool, false),
    ("in_sample", Scalar::Bool, false),
    ("budget_us", Scalar::Int64, false),
];

impl Columns {
    fn see(&mut self, record: &Record) -> Result<(), Failure> {
        for (stage, _) in &record.timings_us {
            if !self.stages.contains(&**stage) {
                self.stages.insert(stage.to_string());
            }
        }
        for tensor in &record.tensors {
            if !self.tensors.contains(&*tensor.name) {
                self.tensors.insert(tensor.name.to_string());
            }
        }
        let schema = &record.schema;
        if self.schemas.iter().any(|known| known == schema) {
            return Ok(());
        }
        self.schemas.push(Arc::clone(schema));
        self.fields(Group::Entities, "entities.", &schema.entities)?;
        self.fields(Group::Inputs, "inputs.", &schema.inputs)?;
        self.fields(Group::Features, "features.", &schema.columns)?;
        for field in &schema.columns {
            self.one(
                Group::Statuses,
                format!("status.{}", field.name),
                Scalar::Text,
                false,
            )?;
        }
        for view in &schema.views {
            self.one(
                Group::EventTimes,
                format!("event_time.{view}"),
                Scalar::Timestamp,
                false,
            )?;
        }
        for score in &schema.scores {
            self.one(
                Group::Scores,
                format!("scores.{score}"),
                Scalar::Float64,
                false,
            )?;
        }
        Ok(())
    }

    fn fields(&mut self, group: Group, prefix: &str, fields: &[Field]) -> Result<(), Failure> {
        for field in fields {
            let (of, list) = match field.dtype.split_once('[') {
                Some((of, _)) => (of, true),
                None => (&*field.dtype, false),
            };
            let holds = match of {
                "bool" => Scalar::Bool,
                "int64" => Scalar::Int64,
                "float32" => Scalar::Float32,
                "float64" => Scalar::Float64,
                _ => Scalar::Text,
            };
            self.one(group, format!("{prefix}{}", field.name), holds, list)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        group: Group,
        name: String,
        holds: Scalar,
        list: bool,
    ) -> Result<(), Failure> {
        if let Some(place) = self.places.get(&name) {
            let known = self.typed.get(place);
            return match known.is_none_or(|known| known.holds == holds && known.list == list) {
                true => Ok(()),
                false => Err(Failure(format!(
                    "`{name}` has one type in some decisions of the log and another in others: export them one by one, with --decision, --from and --to"
                ))),
            };
        }
        let place = (group, self.places.len());
        let column = Column {
            name: name.as_str().into(),
            holds,
            list,
        };
        self.typed.insert(place, column);
        self.places.insert(name, place);
        Ok(())
    }

    fn finish(mut self) -> (Vec<Column>, BTreeMap<String, usize>) {
        let plain = |(name, holds, list): (&str, Scalar, bool)| Column {
            name: name.into(),
            holds,
            list,
        };
        let places = self.places.len();
        for (group, columns) in [
            (Group::Which, &WHICH[..]),
            (Group::Answer, &ANSWER),
            (Group::Circumstances, &CIRCUMSTANCES),
        ] {
            for (i, column) in columns.iter().enumerate() {
                self.typed.insert((group, places + i), plain(*column));
            }
        }
        for (i, stage) in self.stages.iter().enumerate() {
            let column = plain((&format!("timings_us.{stage}"), Scalar::Int64, false));
            self.typed.insert((Group::Timings, i), column);
        }
        for (i, tensor) in self.tensors.iter().enumerate() {
            let column = plain((&format!("tensors.{tensor}"), Scalar::Bytes, false));
            self.typed.insert((Group::Tensors, i), column);
        }
        let columns: Vec<Column> = self.typed.into_values().collect();
        let named = columns.iter().enumerate();
        let places = named
            .map(|(place, column)| (column.name.to_string(), place))
            .collect();
        (columns, places)
    }
}

/// Gives each value of a record under its column's name.
fn fill(record: &Record, mut put: impl FnMut(&str, Cell)) {
    let schema = &*record.schema;
    let text = |text: &str| Cell::Text(text.to_owned());
    put("time", Cell::Timestamp(record.received_us));
    put("as_of", Cell::Timestamp(record.as_of_us));
    put("decision", text(&schema.decision));
    put("id", text(&record.id));
    for (field, value) in schema.entities.iter().zip(&record.entities) {
        put(&format!("entities.{}", field.name), cell(value));
    }
    for (field, value) in schema.inputs.iter().zip(&record.inputs) {
        let value = value.as_ref().map_or(Cell::Null, cell);
        put(&format!("inputs.{}", field.name), value);
    }
    put("tier", text(&record.tier));
    put("model", text(&record.model));
    put("model_version", text(&record.version));
    put("arm", text(&record.arm));
    put("action", text(&record.action));
    put(
        "reasons",
        Cell::List(record.reasons.iter().map(|reason| text(reason)).collect()),
    );
    for (name, score) in schema.scores.iter().zip(&record.scores) {
        put(&format!("scores.{name}"), Cell::Float(*score));
    }
    let skipped = record.skipped.iter();
    let skipped = skipped.map(|skip| Cell::Text(format!("{}:{}", skip.tier, skip.reason)));
    put("degraded", Cell::Bool(!record.skipped.is_empty()));
    put("skipped", Cell::List(skipped.collect()));
    put("late", Cell::Bool(record.late));
    put("in_sample", Cell::Bool(record.in_sample));
    put("budget_us", Cell::Int(whole(record.budget_us)));
    for (field, logged) in schema.columns.iter().zip(&record.columns) {
        put(&format!("features.{}", field.name), cell(&logged.value));
        put(
            &format!("status.{}", field.name),
            text(logged.status.name()),
        );
    }
    for (view, row) in schema.views.iter().zip(&record.views) {
        if let Some(us) = row.event_time_us {
            put(&format!("event_time.{view}"), Cell::Timestamp(us));
        }
    }
    for (stage, took) in &record.timings_us {
        put(&format!("timings_us.{stage}"), Cell::Int(whole(*took)));
    }
    for tensor in &record.tensors {
        put(
            &format!("tensors.{}", tensor.name),
            Cell::Bytes(tensor.data.to_vec()),
        );
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Bool(flag) => Cell::Bool(*flag),
        Value::Int64(number) => Cell::Int(*number),
        Value::Float32(number) => Cell::Float(f64::from(*number)),
        Value::Float64(number) => Cell::Float(*number),
        Value::Text(text) => Cell::Text(text.to_string()),
        Value::List(values) => Cell::List(values.iter().map(cell).collect()),
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
