//! Events as rows of tables: a column for each path, such as `payment.amount`.

use std::borrow::Cow;
use std::time::SystemTime;

use super::error::EventError;
use super::raw::Raw;
use super::{Event, EventType, FieldType, TimeUnit};
use crate::given::Given;

impl EventType {
    /// Reads an event from a row of a table. Columns are named by the dotted paths that JSON would
    /// have; others are ignored. Text that nobody has typed is read as its field's type, and a
    /// [`Given::Time`] is the event's time whatever its unit. `now` is what a time in the future is
    /// told by.
    ///
    /// # Errors
    /// The first thing that keeps it from being counted; see [`EventErrorKind`](super::EventErrorKind).
    pub fn from_row<'f>(
        &self,
        row: impl IntoIterator<Item = (&'f str, Given<'f>)>,
        now: SystemTime,
    ) -> Result<Event, EventError> {
        let [time_slot, id_slot] = self.time_and_id();
        let mut slots = vec![Raw::Null; self.fields.len() + 2];
        let mut moment = None;
        for (path, given) in row {
            for slot in self.paths.slots(path) {
                let slot = *slot;
                if let (Given::Time(micros), true) = (&given, slot == time_slot) {
                    moment = Some(*micros);
                    continue;
                }
                let kind = match self.fields.get(slot) {
                    Some(field) => field.kind,
                    None if slot == time_slot && self.unit != TimeUnit::Rfc3339 => {
                        FieldType::Float64
                    }
                    None => FieldType::String,
                };
                slots[slot] = raw(&given, kind);
            }
        }
        let time_us = match moment {
            Some(micros) => micros,
            None => self.unit.micros(&slots[time_slot])?,
        };
        let id = std::mem::replace(&mut slots[id_slot], Raw::Null);
        self.event(id, time_us, &slots, now)
    }

    /// Whether the event's time is somewhere inside the group of this name.
    pub fn is_time_in(&self, path: &str) -> bool {
        self.paths.within(path, self.fields.len())
    }

    /// Whether something of the event is read from its `type`, which then says nothing of its kind.
    pub fn reads_type(&self) -> bool {
        !self.paths.slots("type").is_empty()
    }

    /// Whether the event's time is in a column of this name.
    pub fn is_time(&self, path: &str) -> bool {
        self.paths.slots(path).contains(&self.fields.len())
    }
}

/// What JSON would have had.
fn raw<'g>(given: &Given<'g>, kind: FieldType) -> Raw<'g> {
    match given {
        Given::Null => Raw::Null,
        Given::Bool(value) => Raw::Bool(*value),
        Given::Int(value) => Raw::Integer(*value),
        Given::Float(value) => Raw::Float(*value),
        Given::Text(text) => Raw::Text(text.clone()),
        Given::Untyped(text) => untyped(text, kind),
        Given::Time(_) => Raw::Other("a time"),
        Given::List(_) => Raw::Other("a list"),
        Given::Other(what) => Raw::Other(what),
    }
}

/// Text of the type that is wanted; as text, which is refused, where it can't be read so.
fn untyped<'g>(text: &Cow<'g, str>, kind: FieldType) -> Raw<'g> {
    let read = match kind {
        FieldType::String => None,
        FieldType::Bool => match &**text {
            "true" | "True" => Some(Raw::Bool(true)),
            "false" | "False" => Some(Raw::Bool(false)),
            _ => None,
        },
        FieldType::Int64 => text.parse().ok().map(Raw::Integer),
        // A whole number is exact as one: a time in microseconds, say.
        FieldType::Float64 => match text.parse() {
            Ok(whole) => Some(Raw::Integer(whole)),
            Err(_) => text.parse().ok().map(Raw::Float),
        },
    };
    read.unwrap_or_else(|| Raw::Text(text.clone()))
}
