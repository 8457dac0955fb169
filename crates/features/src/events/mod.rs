//! Event types: what an event of `features.toml` carries, and how one is read.
//!
//! ```text
//! JSON bytes ── json ──► raw values by field ┐
//! rows of a table ── flat ──► the same ───────┤
//! protobuf fields (the caller decodes) ──────┴─ types, time, entity ──► Event ──► windows::State
//! ```
//! Reading keeps only the fields that the type names. An event that can't be counted is an
//! [`EventError`], whose kind is a metric's label and whose text goes with the event into the dead
//! letters. A field that is absent or null is null for that event: aggregates of it skip it.
//!
//! What is not here: where events come from, and what becomes of them (`windows`).

mod error;
mod flat;
mod json;
mod raw;
mod time;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

pub use error::{EventError, EventErrorKind};
pub(crate) use json::Paths;
pub(crate) use time::TimeUnit;

use crate::load::MAX_KEY_CHARS;
use crate::row::micros_since_epoch;
use crate::value::{Dtype, Value};
use crate::windows::{WindowView, hash};
use raw::Raw;

/// The longest event that is read, in bytes of JSON.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// A kind of events, as `[events.NAME]` defines it.
#[derive(Debug, PartialEq)]
pub struct EventType {
    pub(crate) name: Arc<str>,
    /// In the order of their names.
    pub(crate) fields: Vec<Field>,
    /// Where each field, then the time, then the id is in JSON.
    pub(crate) paths: Paths,
    pub(crate) has_id: bool,
    pub(crate) unit: TimeUnit,
    /// Views made from these events.
    pub(crate) views: Vec<WindowView>,
}

/// A field of an event that features or entities use.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: Arc<str>,
    pub(crate) kind: FieldType,
}

/// The type of an event's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    Bool,
    Int64,
    Float64,
    String,
}

impl FieldType {
    pub(crate) const ALL: [FieldType; 4] = [
        FieldType::Bool,
        FieldType::Int64,
        FieldType::Float64,
        FieldType::String,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            FieldType::Bool => "bool",
            FieldType::Int64 => "int64",
            FieldType::Float64 => "float64",
            FieldType::String => "string",
        }
    }

    pub(crate) fn dtype(self) -> Dtype {
        match self {
            FieldType::Bool => Dtype::Bool,
            FieldType::Int64 => Dtype::Int64,
            FieldType::Float64 => Dtype::Float64,
            FieldType::String => Dtype::String,
        }
    }
}

/// One event that can be counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Hash of its id, if it has one.
    pub(crate) id: Option<u64>,
    pub(crate) time_us: i64,
    /// One per field of its type; `None` for null.
    pub(crate) values: Box<[Option<Value>]>,
}

impl Event {
    /// When it happened, in microseconds since the Unix epoch.
    pub fn time_us(&self) -> i64 {
        self.time_us
    }
}

impl EventType {
    /// Its name in `features.toml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The views that are made from these events.
    pub fn views(&self) -> &[WindowView] {
        &self.views
    }

    /// The value of a field of an event of this type; `None` for null and for a name that is none.
    pub fn value<'e>(&self, event: &'e Event, field: &str) -> Option<&'e Value> {
        event.values.get(self.field(field)?)?.as_ref()
    }

    /// Reads an event from a JSON object. `now` is what a time in the future is told by.
    ///
    /// # Errors
    /// The first thing that keeps it from being counted; see [`EventErrorKind`].
    pub fn parse_json(&self, bytes: &[u8], now: SystemTime) -> Result<Event, EventError> {
        if bytes.len() > MAX_EVENT_BYTES {
            let length = bytes.len();
            return Err(EventError::new(
                EventErrorKind::EventTooLong,
                format!("the event has {length} bytes, more than {MAX_EVENT_BYTES}"),
            ));
        }
        let mut slots = vec![Raw::Null; self.fields.len() + 2];
        self.paths.read(bytes, &mut slots)?;
        let id = slots.pop().unwrap_or(Raw::Null);
        let time = slots.pop().unwrap_or(Raw::Null);
        let time_us = self.unit.micros(&time)?;
        self.event(id, time_us, &slots, now)
    }

    /// Makes an event of values that were read by somebody else: by the names of its fields, in
    /// any order; other names are ignored, and a field that is not there is null. `time_us` is in
    /// microseconds since the Unix epoch.
    ///
    /// # Errors
    /// The first thing that keeps it from being counted; see [`EventErrorKind`].
    pub fn from_fields<'f>(
        &self,
        id: Option<&'f str>,
        time_us: i64,
        fields: impl IntoIterator<Item = (&'f str, Value)>,
        now: SystemTime,
    ) -> Result<Event, EventError> {
        let mut slots = vec![Raw::Null; self.fields.len()];
        for (name, value) in fields {
            if let Some(place) = self.field(name) {
                slots[place] = Raw::from(value);
            }
        }
        let id = id.filter(|_| self.has_id);
        let id = id.map_or(Raw::Null, |id| Raw::Text(Cow::Borrowed(id)));
        self.event(id, time_us, &slots, now)
    }

    fn event(
        &self,
        id: Raw<'_>,
        time_us: i64,
        slots: &[Raw<'_>],
        now: SystemTime,
    ) -> Result<Event, EventError> {
        time::check(time_us, micros_since_epoch(now))?;
        let id = id.typed("id", FieldType::String)?;
        let id = id.as_ref().and_then(Value::as_str).map(hash::text);
        let values = self.fields.iter().zip(slots);
        let values = values.map(|(field, raw)| raw.typed(&field.name, field.kind));
        let event = Event {
            id,
            time_us,
            values: values.collect::<Result<_, _>>()?,
        };
        self.check_entities(&event)?;
        Ok(event)
    }

    /// An event that is about no entity would be counted nowhere; one about an entity that no
    /// request can name would never be seen again.
    fn check_entities(&self, event: &Event) -> Result<(), EventError> {
        let mut about_any = self.views.is_empty();
        for view in &self.views {
            let mut whole = true;
            for place in view.key_fields() {
                match event.values.get(*place) {
                    Some(Some(Value::String(text))) => {
                        let chars = text.chars().count();
                        if !(1..=MAX_KEY_CHARS).contains(&chars) {
                            let name = &self.fields[*place].name;
                            return Err(EventError::new(
                                EventErrorKind::EntityLength,
                                format!(
                                    "the entity `{name}` is {chars} characters long, but a request can name 1 to {MAX_KEY_CHARS}"
                                ),
                            ));
                        }
                    }
                    Some(Some(_)) => {}
                    Some(None) | None => whole = false,
                }
            }
            about_any |= whole;
        }
        if about_any {
            return Ok(());
        }
        let needed: Vec<String> = self.views.iter().map(WindowView::describe_key).collect();
        Err(EventError::new(
            EventErrorKind::NoEntity,
            format!(
                "the event is about no entity: it needs {}",
                needed.join(", or ")
            ),
        ))
    }

    /// The slots of the time and of the id among the [`Paths`].
    pub(crate) fn time_and_id(&self) -> [usize; 2] {
        [self.fields.len(), self.fields.len() + 1]
    }

    pub(crate) fn field(&self, name: &str) -> Option<usize> {
        self.fields
            .binary_search_by(|field| (*field.name).cmp(name))
            .ok()
    }
}

#[cfg(test)]
mod tests;
