//! What is kept of one decision. Plain values: nothing here knows how they are written.

use std::sync::Arc;

/// The names behind a record's values. Records of one decision share it until its features change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The decision.
    pub decision: Arc<str>,
    /// Entities that a caller sends, in the order of [`Record::entities`].
    pub entities: Vec<Field>,
    /// Inputs that a caller sends, in the order of [`Record::inputs`].
    pub inputs: Vec<Field>,
    /// Columns of the feature row, in the order of [`Record::columns`].
    pub columns: Vec<Field>,
    /// Views that are read, in the order of [`Record::views`].
    pub views: Vec<Arc<str>>,
    /// Scores, in the order of [`Record::scores`].
    pub scores: Vec<Arc<str>>,
}

/// A name and the type of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As decisions and models name it.
    pub name: Arc<str>,
    /// As `features.toml` spells it: `float32`, `int64[5]`, …
    pub dtype: Arc<str>,
}

/// One decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What its values are called.
    pub schema: Arc<Schema>,
    /// When the request came, in microseconds since the Unix epoch.
    pub received_us: i64,
    /// The moment at which features were measured, likewise.
    pub as_of_us: i64,
    /// The caller's own identifier.
    pub id: Arc<str>,
    /// Keys, one an entity.
    pub entities: Vec<Value>,
    /// Inputs; `None` for one that did not come.
    pub inputs: Vec<Option<Value>>,
    /// The time that the decision had, in microseconds.
    pub budget_us: u64,
    /// Features, one a column.
    pub columns: Vec<Cell>,
    /// Stored rows, one a view.
    pub views: Vec<ViewRow>,
    /// What the model that answered was given; none when rules did.
    pub tensors: Vec<Tensor>,
    /// Who answered.
    pub tier: Arc<str>,
    /// With what.
    pub model: Arc<str>,
    /// Which version of it.
    pub version: Arc<str>,
    /// The experiment's arm.
    pub arm: Arc<str>,
    /// One a score name.
    pub scores: Vec<f64>,
    /// What was decided.
    pub action: Arc<str>,
    /// Why.
    pub reasons: Vec<Arc<str>>,
    /// Better tiers that did not answer.
    pub skipped: Vec<Skip>,
    /// Stages and how long each took, in microseconds.
    pub timings_us: Vec<(Arc<str>, u64)>,
    /// Whether the answer left after its deadline.
    pub late: bool,
    /// Whether its entity is in the sample. Degraded and late decisions are kept even if it is not.
    pub in_sample: bool,
}

/// A feature's value and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What models and rules saw.
    pub value: Value,
    /// Where it is from.
    pub status: Status,
}

/// Where a feature's value is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The request, the store, or derived from such.
    Present,
    /// The store had a null: it is the default.
    Null,
    /// There was none: it is the default.
    Missing,
    /// The store; older than the view's ttl.
    Stale,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int64(i64),
    /// A number in 32 bits.
    Float32(f32),
    /// A number in 64 bits.
    Float64(f64),
    /// Text.
    Text(Arc<str>),
    /// Values of one type.
    List(Arc<[Value]>),
}

/// What became of one view's stored row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewRow {
    /// Whether there was one that could be used.
    pub found: bool,
    /// Its event time, in microseconds since the Unix epoch, where it has one.
    pub event_time_us: Option<i64>,
}

/// An input of a model, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The input's name.
    pub name: Arc<str>,
    /// Type of its elements, as Triton names it: `FP32`, `BYTES`, …
    pub dtype: Arc<str>,
    /// Row-major, little-endian; an element of `BYTES` as its length in 32 bits and its bytes.
    pub data: Arc<[u8]>,
}

/// A tier that did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Which.
    pub tier: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
}

impl Status {
    /// The name that callers and tables see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Null => "null",
            Self::Missing => "missing",
            Self::Stale => "stale",
        }
    }

    /// Whether the value is a default.
    pub fn is_default(self) -> bool {
        matches!(self, Self::Null | Self::Missing)
    }
}

impl Value {
    /// Whether both are of the same type and have the same bits: NaN is the same as itself, and 0.0
    /// is not -0.0.
    pub fn same_bits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int64(a), Self::Int64(b)) => a == b,
            (Self::Float32(a), Self::Float32(b)) => a.to_bits() == b.to_bits(),
            (Self::Float64(a), Self::Float64(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same_bits(b))
            }
            _ => false,
        }
    }
}
