//! Rows as JSON lines, for loading a store from a file.
//!
//! ```json
//! {"view":"card","entity":{"card_id":"4022"},"event_time":"2019-08-31T10:00:00Z","values":{"txn_count_24h":3.0}}
//! ```
//! `event_time` is RFC 3339 in UTC and optional: now. A feature that `values` lacks is null. A list is
//! a JSON array; of one that is longer than its type, decisions see the first elements, and of a
//! shorter one the default's where it ends.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::catalog::{Catalog, Source, View};
use crate::row::Row;
use crate::suggest::did_you_mean;
use crate::value::{Dtype, MAX_LIST_LENGTH, Scalar, Value};

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
    let Some(view) = catalog.view(&line.view) else {
        let known = catalog.views.iter().map(|view| &*view.name);
        return Err(RowError::unknown("view", &line.view, known));
    };
    if matches!(view.source, Source::Windows(_)) {
        return Err(RowError::new(format!(
            "view `{}` is made from events: its rows come of those, by `gavel ingest`, and can't be loaded",
            view.name
        )));
    }
    if let Source::Hash(_) = view.source {
        return Err(RowError::new(format!(
            "view `{}` is read from Redis hashes, which others write, and can't be loaded",
            view.name
        )));
    }
    let event_time = match &line.event_time {
        None => SystemTime::now(),
        Some(text) => humantime::parse_rfc3339(text).map_err(|error| {
            RowError::new(format!(
                "event_time {text:?} is not a time such as 2019-08-31T10:00:00Z: {error}"
            ))
        })?,
    };
    let entity = entity(view, line.entity)?;
    let values = values(view, line.values)?;
    Ok(Row {
        view: Arc::clone(view),
        entity,
        event_time,
        values,
    })
}

fn entity(view: &View, mut given: Map<String, Json>) -> Result<Vec<Value>, RowError> {
    let mut entity = Vec::with_capacity(view.entities.len());
    for (name, dtype) in &view.entities {
        let Some(json) = given.remove(&**name) else {
            return Err(RowError::new(format!(
                "a row of view `{}` needs the entity `{name}`",
                view.name
            )));
        };
        let key = value(name, *dtype, &json)?;
        if let Value::String(text) = &key
            && !(1..=MAX_KEY_CHARS).contains(&text.chars().count())
        {
            return Err(RowError::new(format!(
                "the entity `{name}` is {} characters long, but a request can name 1 to {MAX_KEY_CHARS}",
                text.chars().count()
            )));
        }
        entity.push(key);
    }
    match given.keys().next() {
        None => Ok(entity),
        Some(name) => {
            let known = view.entities.iter().map(|(name, _)| &**name);
            Err(RowError::unknown(
                &format!("entity of view `{}`", view.name),
                name,
                known,
            ))
        }
    }
}

fn values(view: &View, given: Map<String, Json>) -> Result<Vec<Option<Value>>, RowError> {
    let mut values = vec![None; view.features.len()];
    for (name, json) in given {
        let Some(place) = view.feature(&name) else {
            let known = view.features.iter().map(|feature| &*feature.name);
            let what = format!("feature of view `{}`", view.name);
            return Err(RowError::unknown(&what, &name, known));
        };
        if !json.is_null() {
            values[place] = Some(value(&name, view.features[place].dtype, &json)?);
        }
    }
    Ok(values)
}

pub(crate) fn value(name: &str, dtype: Dtype, json: &Json) -> Result<Value, RowError> {
    let value = match (dtype, json) {
        (Dtype::Bool, Json::Bool(value)) => Some(Value::Bool(*value)),
        (Dtype::Int64, Json::Number(number)) => number.as_i64().map(Value::Int64),
        (Dtype::Float32, Json::Number(number)) => {
            number.as_f64().map(|value| Value::Float32(value as f32))
        }
        (Dtype::Float64, Json::Number(number)) => number.as_f64().map(Value::Float64),
        (Dtype::String, Json::String(text)) => Some(Value::String(Arc::from(text.as_str()))),
        (Dtype::List { of, .. }, Json::Array(elements)) => return list(name, of, elements),
        _ => None,
    };
    value.filter(Value::is_finite).ok_or_else(|| {
        let shown: String = json.to_string().chars().take(80).collect();
        RowError::new(format!("`{name}` is {dtype}, and {shown} is not one"))
    })
}

fn list(name: &str, of: Scalar, elements: &[Json]) -> Result<Value, RowError> {
    if elements.len() > usize::from(MAX_LIST_LENGTH) {
        return Err(RowError::new(format!(
            "`{name}` has {} elements, and a list holds at most {MAX_LIST_LENGTH}",
            elements.len()
        )));
    }
    let elements = elements.iter().enumerate();
    let elements = elements.map(|(i, json)| value(&format!("{name}[{i}]"), of.into(), json));
    Ok(Value::List(elements.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests;
