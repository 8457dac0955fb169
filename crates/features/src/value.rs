//! The values that features take: five types and lists of them, and how each is read as a number.
//!
//! What is not here: where values come from (`row`, `load`) and where they go (`tensor`).

use std::fmt;
use std::sync::Arc;

/// The most elements that a list feature may have.
pub(crate) const MAX_LIST_LENGTH: u16 = 4096;

/// The type of a feature, a request input or an entity's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    Bool,
    Int64,
    Float32,
    Float64,
    String,
    /// A list of exactly `length` elements, 1 to 4096. Only a view's feature is one.
    List {
        of: Scalar,
        length: u16,
    },
}

/// The type of one element: every [`Dtype`] that is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    Bool,
    Int64,
    Float32,
    Float64,
    String,
}

impl Scalar {
    pub(crate) const ALL: [Scalar; 5] = [
        Scalar::Bool,
        Scalar::Int64,
        Scalar::Float32,
        Scalar::Float64,
        Scalar::String,
    ];

    /// The name used in `features.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Scalar::Bool => "bool",
            Scalar::Int64 => "int64",
            Scalar::Float32 => "float32",
            Scalar::Float64 => "float64",
            Scalar::String => "string",
        }
    }
}

impl From<Scalar> for Dtype {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Bool => Dtype::Bool,
            Scalar::Int64 => Dtype::Int64,
            Scalar::Float32 => Dtype::Float32,
            Scalar::Float64 => Dtype::Float64,
            Scalar::String => Dtype::String,
        }
    }
}

impl Dtype {
    /// The type of a list's elements; a scalar's own.
    pub fn element(self) -> Scalar {
        match self {
            Dtype::Bool => Scalar::Bool,
            Dtype::Int64 => Scalar::Int64,
            Dtype::Float32 => Scalar::Float32,
            Dtype::Float64 => Scalar::Float64,
            Dtype::String => Scalar::String,
            Dtype::List { of, .. } => of,
        }
    }

    /// How many elements of a tensor a value of this type fills: a list's length, or 1.
    pub fn width(self) -> usize {
        match self {
            Dtype::List { length, .. } => usize::from(length),
            _ => 1,
        }
    }

    pub fn is_list(self) -> bool {
        matches!(self, Dtype::List { .. })
    }

    /// Whether a value of this type is one number: neither a string nor a list.
    pub fn is_numeric(self) -> bool {
        self != Dtype::String && !self.is_list()
    }

    /// What a feature of this type holds when nothing better is known.
    pub(crate) fn zero(self) -> Value {
        match self {
            Dtype::Bool => Value::Bool(false),
            Dtype::Int64 => Value::Int64(0),
            Dtype::Float32 => Value::Float32(0.0),
            Dtype::Float64 => Value::Float64(0.0),
            Dtype::String => Value::String(Arc::from("")),
            Dtype::List { of, .. } => self.filled(Dtype::from(of).zero()),
        }
    }

    /// A list of this type of which every element is `element`; `element` itself if this is no list.
    pub(crate) fn filled(self, element: Value) -> Value {
        match self {
            Dtype::List { length, .. } => {
                Value::List(std::iter::repeat_n(element, usize::from(length)).collect())
            }
            _ => element,
        }
    }
}

/// As in `features.toml`: `int64`, or `int64[5]` for a list.
impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.element().name())?;
        match self {
            Dtype::List { length, .. } => write!(f, "[{length}]"),
            _ => Ok(()),
        }
    }
}

/// One value of one feature. Cheap to clone: text and lists are shared.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    String(Arc<str>),
    /// Elements of one type, none of them a list.
    List(Arc<[Value]>),
}

impl Value {
    /// Whether the value is of this type; a list has the type's length too.
    pub fn is_of(&self, dtype: Dtype) -> bool {
        match (self, dtype) {
            (Value::Bool(_), Dtype::Bool)
            | (Value::Int64(_), Dtype::Int64)
            | (Value::Float32(_), Dtype::Float32)
            | (Value::Float64(_), Dtype::Float64)
            | (Value::String(_), Dtype::String) => true,
            (Value::List(elements), Dtype::List { of, .. }) => {
                elements.len() == dtype.width()
                    && elements.iter().all(|element| element.is_of(of.into()))
            }
            _ => false,
        }
    }

    /// The value as a number: a bool is 0 or 1; `None` for a string and for a list.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Bool(value) => Some(f64::from(u8::from(*value))),
            Value::Int64(value) => Some(*value as f64),
            Value::Float32(value) => Some(f64::from(*value)),
            Value::Float64(value) => Some(*value),
            Value::String(_) | Value::List(_) => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; of a scalar, itself alone.
    pub fn elements(&self) -> &[Value] {
        match self {
            Value::List(elements) => elements,
            scalar => std::slice::from_ref(scalar),
        }
    }

    /// False for NaN and the infinities, and for a list that holds one. Such a value never enters
    /// a [`FeatureRow`]: one NaN among a model's inputs makes its score NaN, and a score that
    /// compares with nothing would decide at random.
    ///
    /// [`FeatureRow`]: crate::FeatureRow
    pub fn is_finite(&self) -> bool {
        match self {
            Value::Float32(value) => value.is_finite(),
            Value::Float64(value) => value.is_finite(),
            Value::List(elements) => elements.iter().all(Value::is_finite),
            Value::Bool(_) | Value::Int64(_) | Value::String(_) => true,
        }
    }
}
