//! The values that features take: five types, and how each is read as a number.
//!
//! What is not here: where values come from (`row`, `load`) and where they go (`tensor`).

use std::fmt;
use std::sync::Arc;

/// The type of a feature, a request input or an entity's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    Bool,
    Int64,
    Float32,
    Float64,
    String,
}

impl Dtype {
    pub(crate) const ALL: [Dtype; 5] = [
        Dtype::Bool,
        Dtype::Int64,
        Dtype::Float32,
        Dtype::Float64,
        Dtype::String,
    ];

    /// The name used in `features.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::Bool => "bool",
            Dtype::Int64 => "int64",
            Dtype::Float32 => "float32",
            Dtype::Float64 => "float64",
            Dtype::String => "string",
        }
    }

    pub fn is_numeric(self) -> bool {
        self != Dtype::String
    }

    /// What a feature of this type holds when nothing better is known.
    pub(crate) fn zero(self) -> Value {
        match self {
            Dtype::Bool => Value::Bool(false),
            Dtype::Int64 => Value::Int64(0),
            Dtype::Float32 => Value::Float32(0.0),
            Dtype::Float64 => Value::Float64(0.0),
            Dtype::String => Value::String(Arc::from("")),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value of one feature.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    String(Arc<str>),
}

impl Value {
    pub fn dtype(&self) -> Dtype {
        match self {
            Value::Bool(_) => Dtype::Bool,
            Value::Int64(_) => Dtype::Int64,
            Value::Float32(_) => Dtype::Float32,
            Value::Float64(_) => Dtype::Float64,
            Value::String(_) => Dtype::String,
        }
    }

    /// The value as a number: a bool is 0 or 1; `None` for a string.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Bool(value) => Some(f64::from(u8::from(*value))),
            Value::Int64(value) => Some(*value as f64),
            Value::Float32(value) => Some(f64::from(*value)),
            Value::Float64(value) => Some(*value),
            Value::String(_) => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// False for NaN and the infinities. Such a value never enters a [`FeatureRow`]: one NaN
    /// among a model's inputs makes its score NaN, and a score that compares with nothing would
    /// decide at random.
    ///
    /// [`FeatureRow`]: crate::FeatureRow
    pub fn is_finite(&self) -> bool {
        match self {
            Value::Float32(value) => value.is_finite(),
            Value::Float64(value) => value.is_finite(),
            Value::Bool(_) | Value::Int64(_) | Value::String(_) => true,
        }
    }
}
