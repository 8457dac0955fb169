//! What a decision's request carries: the shape, and one request in that shape.

use crate::value::{Dtype, Value};

/// The entities and inputs of a decision, as its TOML declares them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestSchema {
    pub entities: Vec<EntityField>,
    pub inputs: Vec<InputField>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct EntityField {
    pub name: String,
    /// `String` or `Int64`.
    pub dtype: Dtype,
}

#[derive(Clone, Debug, PartialEq)]
pub struct InputField {
    pub name: String,
    pub dtype: Dtype,
    /// The ingress refuses a request without it.
    pub required: bool,
    /// Used when an optional input is absent; of type `dtype`, and finite. The feature is missing
    /// all the same, as a view's feature is whose default is used.
    pub default: Option<Value>,
}

/// One request, typed, in the order of its [`RequestSchema`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestRow {
    pub entities: Vec<Value>,
    pub inputs: Vec<Option<Value>>,
}
