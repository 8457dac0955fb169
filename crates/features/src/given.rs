//! A value as somebody gives it, before it is known to fit a feature's type: from JSON, a table or a
//! command line.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::value::{Dtype, MAX_LIST_LENGTH, Scalar, Value};

/// What sources of values tell apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Given<'g> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'g, str>),
    /// Text that stands for a value of whatever type is wanted, as in CSV and on command lines: a
    /// number as Rust reads it, `true`, `True`, `false`, `False`, or a list as JSON.
    Untyped(Cow<'g, str>),
    /// A moment, in microseconds since the Unix epoch. No feature is one; a row's time is.
    Time(i64),
    List(Vec<Given<'g>>),
    /// What no feature can be, in words: "an object".
    Other(&'static str),
}

impl<'g> From<&'g Json> for Given<'g> {
    fn from(json: &'g Json) -> Self {
        match json {
            Json::Null => Given::Null,
            Json::Bool(value) => Given::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Given::Int(number),
                (None, Some(number)) => Given::Float(number),
                (None, None) => Given::Other("a number out of range"),
            },
            Json::String(text) => Given::Text(Cow::Borrowed(text)),
            Json::Array(elements) => Given::List(elements.iter().map(Given::from).collect()),
            Json::Object(_) => Given::Other("an object"),
        }
    }
}

impl Given<'_> {
    pub(crate) fn is_null(&self) -> bool {
        *self == Given::Null
    }

    /// The value, of exactly this type but for a list's length. Whole numbers are floats too; floats
    /// are never whole numbers, and nothing is made of text that is typed as text.
    ///
    /// # Errors
    /// A sentence that begins with `name`.
    pub fn value(&self, name: &str, dtype: Dtype) -> Result<Value, String> {
        let value = match (dtype, self) {
            (Dtype::Bool, Given::Bool(value)) => Some(Value::Bool(*value)),
            (Dtype::Int64, Given::Int(value)) => Some(Value::Int64(*value)),
            (Dtype::Float32, Given::Int(value)) => Some(Value::Float32(*value as f64 as f32)),
            (Dtype::Float32, Given::Float(value)) => Some(Value::Float32(*value as f32)),
            (Dtype::Float64, Given::Int(value)) => Some(Value::Float64(*value as f64)),
            (Dtype::Float64, Given::Float(value)) => Some(Value::Float64(*value)),
            (Dtype::String, Given::Text(text)) => Some(Value::String(Arc::from(&**text))),
            (Dtype::List { of, .. }, Given::List(elements)) => return list(name, of, elements),
            (_, Given::Untyped(text)) => return untyped(name, dtype, text),
            _ => None,
        };
        value
            .filter(Value::is_finite)
            .ok_or_else(|| format!("`{name}` is {dtype}, and {self} is not one"))
    }
}

fn list(name: &str, of: Scalar, elements: &[Given<'_>]) -> Result<Value, String> {
    if elements.len() > usize::from(MAX_LIST_LENGTH) {
        return Err(format!(
            "`{name}` has {} elements, and a list holds at most {MAX_LIST_LENGTH}",
            elements.len()
        ));
    }
    let elements = elements.iter().enumerate();
    let elements = elements.map(|(i, given)| given.value(&format!("{name}[{i}]"), of.into()));
    Ok(Value::List(elements.collect::<Result<_, _>>()?))
}

fn untyped(name: &str, dtype: Dtype, text: &str) -> Result<Value, String> {
    let given = match dtype {
        Dtype::String => Some(Given::Text(Cow::Borrowed(text))),
        Dtype::Bool => match text {
            "true" | "True" => Some(Given::Bool(true)),
            "false" | "False" => Some(Given::Bool(false)),
            _ => None,
        },
        Dtype::Int64 => text.parse().ok().map(Given::Int),
        // A float32 by way of float64, as Python reads one.
        Dtype::Float32 | Dtype::Float64 => text.parse().ok().map(Given::Float),
        Dtype::List { of, .. } => {
            return match serde_json::from_str::<Json>(text) {
                Ok(Json::Array(elements)) => {
                    let elements: Vec<_> = elements.iter().map(Given::from).collect();
                    list(name, of, &elements)
                }
                _ => Err(format!(
                    "`{name}` is {dtype}, written as a JSON array such as [1,2], and {} is not one",
                    quoted(text)
                )),
            };
        }
    };
    match given {
        Some(given) => given.value(name, dtype),
        None => Err(format!(
            "`{name}` is {dtype}, and {} is not one",
            quoted(text)
        )),
    }
}

/// For messages: short, whatever the value.
impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Null => f.write_str("null"),
            Given::Bool(value) => write!(f, "{value}"),
            Given::Int(value) => write!(f, "{value}"),
            Given::Float(value) => write!(f, "{value:?}"),
            Given::Text(text) | Given::Untyped(text) => f.write_str(&quoted(text)),
            Given::Time(micros) => write!(f, "the time {micros} µs after 1970"),
            Given::List(elements) => write!(f, "a list of {}", elements.len()),
            Given::Other(what) => f.write_str(what),
        }
    }
}

fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untyped(dtype: Dtype, text: &str) -> Result<Value, String> {
        Given::Untyped(text.into()).value("x", dtype)
    }

    #[test]
    fn text_that_nobody_typed_is_what_is_wanted() {
        let list = |of| Dtype::List { of, length: 2 };
        for (dtype, text, value) in [
            (Dtype::String, "007", Value::String("007".into())),
            (Dtype::Int64, "-7", Value::Int64(-7)),
            (Dtype::Float32, "1e-3", Value::Float32(1e-3)),
            (Dtype::Float64, "3", Value::Float64(3.0)),
            (Dtype::Bool, "True", Value::Bool(true)),
            (
                list(Scalar::Int64),
                "[1, 2, 3]",
                Value::List([1, 2, 3].map(Value::Int64).into()),
            ),
        ] {
            assert_eq!(untyped(dtype, text), Ok(value), "{dtype} {text}");
        }
        for (dtype, text, said) in [
            (Dtype::Int64, "3.0", r#"`x` is int64, and "3.0" is not one"#),
            (Dtype::Int64, "", r#"`x` is int64, and "" is not one"#),
            (Dtype::Bool, "1", r#"`x` is bool, and "1" is not one"#),
            (
                Dtype::Float32,
                "1e39",
                r#"`x` is float32, and 1e39 is not one"#,
            ),
            (Dtype::Float64, "nan", "`x` is float64, and NaN is not one"),
            (
                list(Scalar::Int64),
                "1,2",
                r#"`x` is int64[2], written as a JSON array such as [1,2], and "1,2" is not one"#,
            ),
            (
                list(Scalar::Int64),
                "[1,null]",
                "`x[1]` is int64, and null is not one",
            ),
        ] {
            assert_eq!(untyped(dtype, text).unwrap_err(), said);
        }
    }

    #[test]
    fn typed_text_is_text() {
        let given = Given::Text("7".into());
        assert!(given.value("x", Dtype::Int64).is_err());
        assert!(Given::Time(0).value("x", Dtype::Int64).is_err());
        let long = Given::Text("é".repeat(1000).into());
        assert!(long.value("x", Dtype::Bool).unwrap_err().len() < 250);
    }
}
