//! Stored rows: the packed bytes of one view of one entity, and the typed row that a loader makes.
//!
//! ```text
//! version:u8 = 1 | fingerprint:u64 | event time:i64 | null bitmap: ⌈n/8⌉ bytes | values
//! ```
//! Little endian throughout. The event time is in microseconds since the Unix epoch. Bit `i % 8` of
//! byte `i / 8` of the bitmap is set when feature `i` is null, and a null has no bytes among the
//! values. Features come in the order of their names. A bool takes 1 byte, an int64 8, a float32 4,
//! a float64 8, a string its length as u32 and its UTF-8, a list how many elements it has as u32
//! and then those.
//!
//! The fingerprint is of the view's name, its entities' names and types, and its features' names and
//! types. A row that was written under other definitions has another one, and reads as missing:
//! never as shifted values, nor as somebody else's.
//! A list's length is not part of its type there: rows hold lists as they were loaded, and a reader
//! takes as many elements as its own definitions say.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::catalog::{Catalog, Feature, View};
use crate::value::{Dtype, Scalar, Value};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 8 + 8;

/// One row to write: made by [`load::parse_line`](crate::load::parse_line).
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub(crate) view: Arc<View>,
    /// One value per entity of the view, of its type.
    pub(crate) entity: Vec<Value>,
    pub(crate) event_time: SystemTime,
    /// One per feature of the view, of its type; `None` is null.
    pub(crate) values: Vec<Option<Value>>,
}

impl Row {
    /// Name of the view that the row belongs to.
    pub fn view(&self) -> &str {
        &self.view.name
    }

    /// When what the row says was true.
    pub fn event_time(&self) -> SystemTime {
        self.event_time
    }

    /// The row as it is stored, less its key. Public for the fuzz targets.
    #[doc(hidden)]
    pub fn encode(&self) -> Vec<u8> {
        let bitmap_bytes = self.values.len().div_ceil(8);
        let mut out = Vec::with_capacity(HEADER_BYTES + bitmap_bytes + 8 * self.values.len());
        out.push(VERSION);
        out.extend_from_slice(&self.view.fingerprint.to_le_bytes());
        out.extend_from_slice(&micros_since_epoch(self.event_time).to_le_bytes());
        out.resize(HEADER_BYTES + bitmap_bytes, 0);
        for (i, value) in self.values.iter().enumerate() {
            match value {
                None => out[HEADER_BYTES + i / 8] |= 1 << (i % 8),
                Some(value) => write(&mut out, value),
            }
        }
        out
    }

    /// A stored row of one of the catalog's views, with no entity, which its key holds; `None` if
    /// the bytes are no such row. Public for the fuzz targets: assembly reads fields in place.
    #[doc(hidden)]
    pub fn decode(catalog: &Catalog, view: &str, bytes: &[u8]) -> Option<Row> {
        let view = catalog.view(view)?;
        let mut values = Vec::with_capacity(view.features.len());
        let event_time = decode(view, bytes, |_, field| {
            values.push(field.map(Field::to_value));
        });
        let event_time = event_time.ok()?;
        let since_epoch = Duration::from_micros(event_time.unsigned_abs());
        let event_time = match event_time {
            0.. => UNIX_EPOCH.checked_add(since_epoch),
            _ => UNIX_EPOCH.checked_sub(since_epoch),
        };
        Some(Row {
            view: Arc::clone(view),
            entity: Vec::new(),
            event_time: event_time?,
            values,
        })
    }
}

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Int64(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::Float32(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::Float64(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::String(text) => {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Value::List(elements) => {
            out.extend_from_slice(&(elements.len() as u32).to_le_bytes());
            elements.iter().for_each(|element| write(out, element));
        }
    }
}

/// Why stored bytes are not a row of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Written under other definitions of the view.
    OtherFingerprint,
    Corrupt,
}

/// Reads a row of `view` and hands each value to `each(feature, value)`, `None` for null.
///
/// Nothing is handed over unless the whole row is sound. Returns the event time in microseconds
/// since the Unix epoch.
pub(crate) fn decode(
    view: &View,
    bytes: &[u8],
    mut each: impl FnMut(usize, Option<Field<'_>>),
) -> Result<i64, Unreadable> {
    let (event_time, bitmap, values) = header(view, bytes)?;
    // Twice over a few dozen bytes costs less than undoing a half-read row.
    walk(view, bitmap, values, |_, _| {}).ok_or(Unreadable::Corrupt)?;
    walk(view, bitmap, values, &mut each).ok_or(Unreadable::Corrupt)?;
    Ok(event_time)
}

/// A value as it lies in the row: text and lists are borrowed, so that skipping one costs nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'r> {
    Bool(bool),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    String(&'r str),
    List(Elements<'r>),
}

/// The elements of a list as they lie in the row, each of them sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Elements<'r> {
    of: Scalar,
    left: u32,
    bytes: &'r [u8],
}

impl<'r> Elements<'r> {
    /// Takes a list off the front of `rest`; `None` when one of its elements is not there whole.
    fn take(of: Scalar, rest: &mut &'r [u8]) -> Option<Self> {
        let count = u32::from_le_bytes(take(rest)?);
        let bytes = *rest;
        for _ in 0..count {
            scalar(of, rest)?;
        }
        let length = bytes.len() - rest.len();
        Some(Elements {
            of,
            left: count,
            bytes: &bytes[..length],
        })
    }
}

impl Iterator for Elements<'_> {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        scalar(self.of, &mut self.bytes).map(Field::to_value)
    }
}

impl Field<'_> {
    /// The value as it is stored: a list has the length that it has there.
    pub(crate) fn to_value(self) -> Value {
        match self {
            Field::Bool(value) => Value::Bool(value),
            Field::Int64(value) => Value::Int64(value),
            Field::Float32(value) => Value::Float32(value),
            Field::Float64(value) => Value::Float64(value),
            Field::String(text) => Value::String(Arc::from(text)),
            Field::List(elements) => Value::List(elements.collect()),
        }
    }
}

fn header<'r>(view: &View, bytes: &'r [u8]) -> Result<(i64, &'r [u8], &'r [u8]), Unreadable> {
    let rest = &mut &*bytes;
    let [version] = take::<1>(rest).ok_or(Unreadable::Corrupt)?;
    if version != VERSION {
        return Err(Unreadable::Corrupt);
    }
    let fingerprint = u64::from_le_bytes(take::<8>(rest).ok_or(Unreadable::Corrupt)?);
    if fingerprint != view.fingerprint {
        return Err(Unreadable::OtherFingerprint);
    }
    let event_time = i64::from_le_bytes(take::<8>(rest).ok_or(Unreadable::Corrupt)?);
    let bitmap_bytes = view.features.len().div_ceil(8);
    let (bitmap, values) = rest
        .split_at_checked(bitmap_bytes)
        .ok_or(Unreadable::Corrupt)?;
    Ok((event_time, bitmap, values))
}

/// `None` when the bytes don't fit the view exactly.
fn walk<'r>(
    view: &View,
    bitmap: &[u8],
    mut rest: &'r [u8],
    mut each: impl FnMut(usize, Option<Field<'r>>),
) -> Option<()> {
    for (i, feature) in view.features.iter().enumerate() {
        if bitmap[i / 8] & (1 << (i % 8)) != 0 {
            each(i, None);
            continue;
        }
        let value = match feature.dtype {
            Dtype::List { of, .. } => Field::List(Elements::take(of, &mut rest)?),
            dtype => scalar(dtype.element(), &mut rest)?,
        };
        each(i, Some(value));
    }
    rest.is_empty().then_some(())
}

/// Takes one value that is no list off the front of `rest`.
fn scalar<'r>(of: Scalar, rest: &mut &'r [u8]) -> Option<Field<'r>> {
    Some(match of {
        Scalar::Bool => match take::<1>(rest)? {
            [0] => Field::Bool(false),
            [1] => Field::Bool(true),
            _ => return None,
        },
        Scalar::Int64 => Field::Int64(i64::from_le_bytes(take(rest)?)),
        Scalar::Float32 => Field::Float32(f32::from_le_bytes(take(rest)?)),
        Scalar::Float64 => Field::Float64(f64::from_le_bytes(take(rest)?)),
        Scalar::String => {
            let length = u32::from_le_bytes(take(rest)?) as usize;
            let (text, after) = rest.split_at_checked(length)?;
            *rest = after;
            Field::String(std::str::from_utf8(text).ok()?)
        }
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// FNV-1a, 64 bits, over the view's name, each entity's name and type, an empty name, and each
/// feature's name and type, all ended by a 0 byte. The type of a list is that of its elements,
/// followed by `[]`.
pub(crate) fn fingerprint(view: &str, entities: &[(Arc<str>, Dtype)], features: &[Feature]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |parts: [&str; 3]| {
        for byte in parts.into_iter().flat_map(str::bytes) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    add([view, "\0", ""]);
    for (name, dtype) in entities {
        add([name, "\0", ""]);
        add([dtype.element().name(), "\0", ""]);
    }
    add(["\0", "", ""]);
    for Feature { name, dtype, .. } in features {
        add([name, "\0", ""]);
        let list = if dtype.is_list() { "[]" } else { "" };
        add([dtype.element().name(), list, "\0"]);
    }
    hash
}

pub(crate) fn micros_since_epoch(time: SystemTime) -> i64 {
    let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => -micros(before.duration()),
    }
}

#[cfg(test)]
mod tests;
