//! Rows to load into a store: as JSON lines of any view, and as flat rows of one view.
//!
//! ```json
//! {"view":"card","entity":{"card_id":"4022"},"event_time":"2019-08-31T10:00:00Z","values":{"txn_count_24h":3.0}}
//! ```
//! `event_time` is RFC 3339 in UTC and optional: now. A feature that `values` lacks is null. A list is
//! a JSON array; of one that is longer than its type, decisions see the first elements, and of a
//! shorter one the default's where it ends.
//!
//! A flat row names entities, features and, optionally, `event_time` side by side; see [`FlatView`].

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::catalog::{Catalog, Source, View};
use crate::given::Given;
use crate::row::Row;
use crate::suggest::did_you_mean;
use crate::value::Value;

/// Why a line is not a row. `Display` is a full sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct RowError {
    message: String,
    hint: Option<String>,
}

impl RowError {
    fn new(message: impl Into<String>) -> Self {
        RowError {
            message: message.into(),
            hint: None,
        }
    }

    fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        RowError {
            message: format!("there is no {what} `{name}`"),
            hint: did_you_mean(name, known),
        }
    }
}

/// The longest text key that a request can name, in characters.
pub(crate) const MAX_KEY_CHARS: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    view: String,
    entity: Map<String, Json>,
    event_time: Option<String>,
    values: Map<String, Json>,
}

/// Parses one line of JSON into a row of one of the catalog's views.
///
/// # Errors
/// The first thing that does not fit: not JSON, an unknown view, entity or feature, a missing
/// entity, a value of the wrong type or one that its type can't hold.
pub fn parse_line(catalog: &Catalog, line: &str) -> Result<Row, RowError> {
    let line: Line =
        serde_json::from_str(line).map_err(|error| RowError::new(error.to_string()))?;
    let view = FlatView::of(catalog, &line.view)?.view;
    let event_time = match &line.event_time {
        None => SystemTime::now(),
        Some(text) => rfc3339(text)?,
    };
    let mut row = Building::new(&view, event_time);
    for (name, json) in &line.entity {
        let Some(place) = place(&view, name) else {
            let known = view.entities.iter().map(|(name, _)| &**name);
            let what = format!("entity of view `{}`", view.name);
            return Err(RowError::unknown(&what, name, known));
        };
        row.entity(place, &Given::from(json))?;
    }
    for (name, json) in &line.values {
        let Some(place) = view.feature(name) else {
            let known = view.features.iter().map(|feature| &*feature.name);
            let what = format!("feature of view `{}`", view.name);
            return Err(RowError::unknown(&what, name, known));
        };
        row.feature(place, &Given::from(json))?;
    }
    row.finish()
}

/// A view whose rows come flat: each column is an entity, a feature or `event_time`.
#[derive(Clone, Debug)]
pub struct FlatView {
    view: Arc<View>,
}

/// The column of a flat row with the time that its ttl is counted from.
pub const EVENT_TIME: &str = "event_time";

impl FlatView {
    /// The view of that name.
    ///
    /// # Errors
    /// There is none, or its rows are not written by hand.
    pub fn of(catalog: &Catalog, name: &str) -> Result<FlatView, RowError> {
        let Some(view) = catalog.view(name) else {
            let known = catalog.views.iter().map(|view| &*view.name);
            return Err(RowError::unknown("view", name, known));
        };
        match view.source {
            Source::Packed => Ok(FlatView {
                view: Arc::clone(view),
            }),
            Source::Windows(_) => Err(RowError::new(format!(
                "view `{name}` is made from events: its rows come of those, by `gavel ingest`, and can't be loaded"
            ))),
            Source::Hash(_) => Err(RowError::new(format!(
                "view `{name}` is read from Redis hashes, which others write, and can't be loaded"
            ))),
            Source::Feast(_) => Err(RowError::new(format!(
                "view `{name}` is Feast's: push its rows with Feast"
            ))),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.view.name
    }

    /// Whether a column of this name is the row's time, and no entity or feature.
    pub fn is_event_time(&self, column: &str) -> bool {
        column == EVENT_TIME
            && place(&self.view, column).is_none()
            && self.view.feature(column).is_none()
    }

    /// Makes a row of named values. A feature without one is null; without a time it is now. A time
    /// is one, RFC 3339 text, or a number of Unix seconds.
    ///
    /// # Errors
    /// The first thing that does not fit: a name that is none, a missing entity, a value of the wrong
    /// type or one that its type can't hold.
    pub fn row<'g>(
        &self,
        fields: impl IntoIterator<Item = (&'g str, Given<'g>)>,
    ) -> Result<Row, RowError> {
        let view = &self.view;
        let mut row = Building::new(view, SystemTime::now());
        for (name, given) in fields {
            if let Some(place) = place(view, name) {
                row.entity(place, &given)?;
            } else if let Some(place) = view.feature(name) {
                row.feature(place, &given)?;
            } else if name == EVENT_TIME {
                if !given.is_null() {
                    row.row.event_time = moment(&given)?;
                }
            } else {
                return Err(self.unknown(name));
            }
        }
        row.finish()
    }

    /// Whether rows with columns of these names can be rows of the view: for tables that name them
    /// once.
    ///
    /// # Errors
    /// A name that is none, or an entity without a column.
    pub fn check<'n>(
        &self,
        columns: impl Iterator<Item = &'n str> + Clone,
    ) -> Result<(), RowError> {
        let view = &self.view;
        for name in columns.clone() {
            if place(view, name).is_none() && view.feature(name).is_none() && name != EVENT_TIME {
                return Err(self.unknown(name));
            }
        }
        for (entity, _) in &view.entities {
            if !columns.clone().any(|name| *name == **entity) {
                return Err(needs(view, entity));
            }
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> RowError {
        let view = &self.view;
        let entities = view.entities.iter().map(|(name, _)| &**name);
        let features = view.features.iter().map(|feature| &*feature.name);
        let known = entities.chain(features).chain([EVENT_TIME]);
        RowError::unknown(
            &format!("entity or feature of view `{}`", view.name),
            name,
            known,
        )
    }
}

fn needs(view: &View, entity: &str) -> RowError {
    let view = &view.name;
    RowError::new(format!(
        "a row of view `{view}` needs the entity `{entity}`"
    ))
}

/// Place of an entity in a view's key.
fn place(view: &View, entity: &str) -> Option<usize> {
    view.entities.iter().position(|(name, _)| **name == *entity)
}

/// A row whose entities are not all there yet.
struct Building {
    row: Row,
    entity: Vec<Option<Value>>,
}

impl Building {
    fn new(view: &Arc<View>, event_time: SystemTime) -> Self {
        Building {
            entity: vec![None; view.entities.len()],
            row: Row {
                view: Arc::clone(view),
                entity: Vec::with_capacity(view.entities.len()),
                event_time,
                values: vec![None; view.features.len()],
            },
        }
    }

    fn entity(&mut self, place: usize, given: &Given<'_>) -> Result<(), RowError> {
        if given.is_null() {
            return Ok(());
        }
        let (name, dtype) = &self.row.view.entities[place];
        let key = given.value(name, *dtype).map_err(RowError::new)?;
        if let Value::String(text) = &key
            && !(1..=MAX_KEY_CHARS).contains(&text.chars().count())
        {
            return Err(RowError::new(format!(
                "the entity `{name}` is {} characters long, but a request can name 1 to {MAX_KEY_CHARS}",
                text.chars().count()
            )));
        }
        self.entity[place] = Some(key);
        Ok(())
    }

    fn feature(&mut self, place: usize, given: &Given<'_>) -> Result<(), RowError> {
        if !given.is_null() {
            let feature = &self.row.view.features[place];
            let value = given.value(&feature.name, feature.dtype);
            self.row.values[place] = Some(value.map_err(RowError::new)?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Row, RowError> {
        for (key, (name, _)) in self.entity.into_iter().zip(&self.row.view.entities) {
            let Some(key) = key else {
                return Err(needs(&self.row.view, name));
            };
            self.row.entity.push(key);
        }
        Ok(self.row)
    }
}

fn rfc3339(text: &str) -> Result<SystemTime, RowError> {
    humantime::parse_rfc3339(text).map_err(|error| {
        let shown: String = text.chars().take(80).collect();
        RowError::new(format!(
            "event_time {shown:?} is not a time such as 2019-08-31T10:00:00Z: {error}"
        ))
    })
}

/// 2100-01-01, in Unix seconds: a later number is taken for one of milliseconds.
const LAST_SECOND: f64 = 4_102_444_800.0;

fn moment(given: &Given<'_>) -> Result<SystemTime, RowError> {
    let micros = match given {
        Given::Time(micros) => Some(*micros),
        Given::Int(seconds) => unix_seconds(*seconds as f64),
        Given::Float(seconds) => unix_seconds(*seconds),
        Given::Text(text) => return rfc3339(text),
        Given::Untyped(text) => match text.parse() {
            Ok(seconds) => unix_seconds(seconds),
            Err(_) => return rfc3339(text),
        },
        _ => None,
    };
    let time = micros.and_then(|micros| {
        let since = Duration::from_micros(micros.unsigned_abs());
        match micros {
            0.. => UNIX_EPOCH.checked_add(since),
            _ => UNIX_EPOCH.checked_sub(since),
        }
    });
    time.ok_or_else(|| {
        RowError::new(format!(
            "event_time is a time, or a number of Unix seconds before 2100, and {given} is neither"
        ))
    })
}

/// Microseconds since the Unix epoch.
fn unix_seconds(seconds: f64) -> Option<i64> {
    (seconds.abs() < LAST_SECOND).then(|| (seconds * 1e6).round() as i64)
}

#[cfg(test)]
mod tests;
