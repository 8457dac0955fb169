//! A value of an event before its field's type is known to fit.

use std::borrow::Cow;
use std::sync::Arc;

use super::FieldType;
use super::error::{EventError, EventErrorKind};
use crate::value::Value;

/// The longest text of one field, in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw<'d> {
    /// Null, or not there.
    Null,
    Bool(bool),
    Integer(i64),
    /// Above what an int64 holds.
    Large(u64),
    Float(f64),
    Text(Cow<'d, str>),
    /// What no field can be, in words.
    Other(&'static str),
}

impl Raw<'_> {
    /// The value as one of the field's type; `None` for null. A whole number is a float64 too, and
    /// a string: as its decimal digits, because ids are often sent as numbers.
    pub(crate) fn typed(&self, field: &str, kind: FieldType) -> Result<Option<Value>, EventError> {
        let value = match (kind, self) {
            (_, Raw::Null) => return Ok(None),
            (FieldType::Bool, Raw::Bool(value)) => Value::Bool(*value),
            (FieldType::Int64, Raw::Integer(value)) => Value::Int64(*value),
            (FieldType::Float64, Raw::Integer(value)) => Value::Float64(*value as f64),
            (FieldType::Float64, Raw::Large(value)) => Value::Float64(*value as f64),
            (FieldType::Float64, Raw::Float(value)) if !value.is_finite() => {
                let message = format!("`{field}` is {value}: a number must be finite");
                return Err(EventError::new(EventErrorKind::NotFinite, message));
            }
            // Zero has two signs, and bytes that depend on which one came first.
            (FieldType::Float64, Raw::Float(value)) => Value::Float64(value + 0.0),
            (FieldType::String, Raw::Integer(value)) => Value::String(value.to_string().into()),
            (FieldType::String, Raw::Large(value)) => Value::String(value.to_string().into()),
            (FieldType::String, Raw::Text(text)) if text.len() > MAX_TEXT_BYTES => {
                let length = text.len();
                let message =
                    format!("`{field}` has {length} bytes of text, more than {MAX_TEXT_BYTES}");
                return Err(EventError::new(EventErrorKind::TextTooLong, message));
            }
            (FieldType::String, Raw::Text(text)) => Value::String(Arc::from(&**text)),
            _ => {
                let (kind, shown) = (kind.name(), self.shown());
                let message = format!("`{field}` is {kind}, and {shown} is not one");
                return Err(EventError::new(EventErrorKind::WrongType, message));
            }
        };
        Ok(Some(value))
    }

    /// For messages: short, whatever the value.
    pub(crate) fn shown(&self) -> String {
        match self {
            Raw::Null => "null".to_owned(),
            Raw::Bool(value) => value.to_string(),
            Raw::Integer(value) => value.to_string(),
            Raw::Large(value) => value.to_string(),
            Raw::Float(value) => value.to_string(),
            Raw::Text(text) => {
                let mut short: String = text.chars().take(80).collect();
                if short.len() < text.len() {
                    short.push('…');
                }
                format!("{short:?}")
            }
            Raw::Other(what) => (*what).to_owned(),
        }
    }
}

impl From<Value> for Raw<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Bool(value) => Raw::Bool(value),
            Value::Int64(value) => Raw::Integer(value),
            Value::Float32(value) => Raw::Float(f64::from(value)),
            Value::Float64(value) => Raw::Float(value),
            Value::String(text) => Raw::Text(Cow::Owned((*text).to_owned())),
            Value::List(_) => Raw::Other("a list"),
        }
    }
}
