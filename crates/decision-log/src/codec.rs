//! Schemas and records as bytes, and back.
//!
//! ```text
//!  schema:  decision | fields of entities, inputs, columns | views | scores
//!  record:  times | id | entities | inputs | budget | columns | views | tensors | who answered | …
//!  value:   type u8 (a column's status in its upper half) | the value
//! ```
//! Lists begin with their length, except those whose length the schema knows.

use std::sync::Arc;

use crate::{
    bytes::{Malformed, Take, put_bytes, put_i64, put_u64},
    record::{Cell, Field, Record, Schema, Skip, Status, Tensor, Value, ViewRow},
};

const ABSENT: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT64: u8 = 3;
const FLOAT32: u8 = 4;
const FLOAT64: u8 = 5;
const TEXT: u8 = 6;
const LIST: u8 = 7;
/// A list in a list is nothing that a feature can be.
const MAX_DEPTH: usize = 2;

const LATE: u8 = 1;
const IN_SAMPLE: u8 = 2;

pub(crate) fn put_schema(out: &mut Vec<u8>, schema: &Schema) {
    put_text(out, &schema.decision);
    for fields in [&schema.entities, &schema.inputs, &schema.columns] {
        put_u64(out, fields.len() as u64);
        for field in fields {
            put_text(out, &field.name);
            put_text(out, &field.dtype);
        }
    }
    put_texts(out, &schema.views);
    put_texts(out, &schema.scores);
}

pub(crate) fn take_schema(take: &mut Take<'_>) -> Result<Schema, Malformed> {
    Ok(Schema {
        decision: text(take)?,
        entities: take.list(field)?,
        inputs: take.list(field)?,
        columns: take.list(field)?,
        views: take.list(text)?,
        scores: take.list(text)?,
    })
}

fn field(take: &mut Take<'_>) -> Result<Field, Malformed> {
    Ok(Field {
        name: text(take)?,
        dtype: text(take)?,
    })
}

/// Appends a record, without its schema. A value that the schema has no name for is not written, and
/// a name without a value is written as absent: lengths are the schema's.
pub(crate) fn put_record(out: &mut Vec<u8>, record: &Record) {
    let schema = &*record.schema;
    put_i64(out, record.received_us);
    put_i64(out, record.as_of_us.wrapping_sub(record.received_us));
    put_text(out, &record.id);
    for i in 0..schema.entities.len() {
        put_optional(out, record.entities.get(i));
    }
    for i in 0..schema.inputs.len() {
        put_optional(out, record.inputs.get(i).and_then(Option::as_ref));
    }
    put_u64(out, record.budget_us);
    for i in 0..schema.columns.len() {
        match record.columns.get(i) {
            Some(cell) => put_value(out, cell_flags(cell), &cell.value),
            None => out.push(ABSENT),
        }
    }
    for i in 0..schema.views.len() {
        let row = record.views.get(i).copied().unwrap_or_default();
        out.push(u8::from(row.found) | u8::from(row.event_time_us.is_some()) << 1);
        if let Some(time) = row.event_time_us {
            put_i64(out, time.wrapping_sub(record.received_us));
        }
    }
    put_u64(out, record.tensors.len() as u64);
    for tensor in &record.tensors {
        put_text(out, &tensor.name);
        put_text(out, &tensor.dtype);
        put_bytes(out, &tensor.data);
    }
    for name in [&record.tier, &record.model, &record.version, &record.arm] {
        put_text(out, name);
    }
    for i in 0..schema.scores.len() {
        let score = record.scores.get(i).copied().unwrap_or(f64::NAN);
        out.extend_from_slice(&score.to_bits().to_le_bytes());
    }
    put_text(out, &record.action);
    put_texts(out, &record.reasons);
    put_u64(out, record.skipped.len() as u64);
    for skip in &record.skipped {
        put_text(out, &skip.tier);
        put_text(out, &skip.reason);
    }
    put_u64(out, record.timings_us.len() as u64);
    for (stage, took) in &record.timings_us {
        put_text(out, stage);
        put_u64(out, *took);
    }
    let late = if record.late { LATE } else { 0 };
    let in_sample = if record.in_sample { IN_SAMPLE } else { 0 };
    out.push(late | in_sample);
}

pub(crate) fn take_record(take: &mut Take<'_>, schema: &Arc<Schema>) -> Result<Record, Malformed> {
    let received_us = take.i64()?;
    let as_of_us = take.i64()?.wrapping_add(received_us);
    let id = text(take)?;
    let entities = schema.entities.iter();
    let entities = entities.map(|_| optional(take)?.ok_or(Malformed));
    let entities = entities.collect::<Result<_, _>>()?;
    let inputs = schema.inputs.iter().map(|_| optional(take));
    let inputs = inputs.collect::<Result<_, _>>()?;
    let budget_us = take.u64()?;
    let columns = schema.columns.iter().map(|_| cell(take));
    let columns = columns.collect::<Result<_, _>>()?;
    let views = schema.views.iter().map(|_| view_row(take, received_us));
    let views = views.collect::<Result<_, _>>()?;
    let tensors = take.list(tensor)?;
    let (tier, model, version, arm) = (text(take)?, text(take)?, text(take)?, text(take)?);
    let scores = schema.scores.iter().map(|_| take.exactly());
    let scores = scores.map(|bytes| bytes.map(|bytes| f64::from_bits(u64::from_le_bytes(bytes))));
    let scores = scores.collect::<Result<_, _>>()?;
    let action = text(take)?;
    let reasons = take.list(text)?;
    let skipped = take.list(|take| {
        Ok(Skip {
            tier: text(take)?,
            reason: text(take)?,
        })
    })?;
    let timings_us = take.list(|take| Ok((text(take)?, take.u64()?)))?;
    let flags = take.u8()?;
    Ok(Record {
        schema: Arc::clone(schema),
        received_us,
        as_of_us,
        id,
        entities,
        inputs,
        budget_us,
        columns,
        views,
        tensors,
        tier,
        model,
        version,
        arm,
        scores,
        action,
        reasons,
        skipped,
        timings_us,
        late: flags & LATE != 0,
        in_sample: flags & IN_SAMPLE != 0,
    })
}

fn cell_flags(cell: &Cell) -> u8 {
    let status = match cell.status {
        Status::Present => 0,
        Status::Null => 1,
        Status::Missing => 2,
        Status::Stale => 3,
    };
    status << 4
}

fn cell(take: &mut Take<'_>) -> Result<Cell, Malformed> {
    let head = take.u8()?;
    let status = match head >> 4 {
        0 => Status::Present,
        1 => Status::Null,
        2 => Status::Missing,
        3 => Status::Stale,
        _ => return Err(Malformed),
    };
    Ok(Cell {
        value: value(take, head & 0x0f, MAX_DEPTH)?,
        status,
    })
}

fn put_optional(out: &mut Vec<u8>, value: Option<&Value>) {
    match value {
        Some(value) => put_value(out, 0, value),
        None => out.push(ABSENT),
    }
}

fn optional(take: &mut Take<'_>) -> Result<Option<Value>, Malformed> {
    match take.u8()? {
        ABSENT => Ok(None),
        kind => value(take, kind, MAX_DEPTH).map(Some),
    }
}

fn put_value(out: &mut Vec<u8>, flags: u8, value: &Value) {
    match value {
        Value::Bool(false) => out.push(flags | FALSE),
        Value::Bool(true) => out.push(flags | TRUE),
        Value::Int64(number) => {
            out.push(flags | INT64);
            put_i64(out, *number);
        }
        Value::Float32(number) => {
            out.push(flags | FLOAT32);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Value::Float64(number) => {
            out.push(flags | FLOAT64);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Value::Text(text) => {
            out.push(flags | TEXT);
            put_text(out, text);
        }
        Value::List(values) => {
            out.push(flags | LIST);
            put_u64(out, values.len() as u64);
            values.iter().for_each(|value| put_value(out, 0, value));
        }
    }
}

fn value(take: &mut Take<'_>, kind: u8, depth: usize) -> Result<Value, Malformed> {
    match kind {
        FALSE => Ok(Value::Bool(false)),
        TRUE => Ok(Value::Bool(true)),
        INT64 => take.i64().map(Value::Int64),
        FLOAT32 => {
            let bits = u32::from_le_bytes(take.exactly()?);
            Ok(Value::Float32(f32::from_bits(bits)))
        }
        FLOAT64 => {
            let bits = u64::from_le_bytes(take.exactly()?);
            Ok(Value::Float64(f64::from_bits(bits)))
        }
        TEXT => text(take).map(Value::Text),
        LIST if depth > 1 => {
            let values = take.list(|take| {
                let kind = take.u8()?;
                value(take, kind, depth - 1)
            });
            values.map(|values| Value::List(values.into()))
        }
        _ => Err(Malformed),
    }
}

fn view_row(take: &mut Take<'_>, received_us: i64) -> Result<ViewRow, Malformed> {
    let flags = take.u8()?;
    let event_time_us = match flags & 2 {
        0 => None,
        _ => Some(take.i64()?.wrapping_add(received_us)),
    };
    Ok(ViewRow {
        found: flags & 1 == 1,
        event_time_us,
    })
}

fn tensor(take: &mut Take<'_>) -> Result<Tensor, Malformed> {
    Ok(Tensor {
        name: text(take)?,
        dtype: text(take)?,
        data: take.bytes()?.into(),
    })
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn put_texts(out: &mut Vec<u8>, texts: &[Arc<str>]) {
    put_u64(out, texts.len() as u64);
    texts.iter().for_each(|text| put_text(out, text));
}

fn text(take: &mut Take<'_>) -> Result<Arc<str>, Malformed> {
    take.text().map(Arc::from)
}

#[cfg(test)]
pub(crate) mod tests;
