//! From a row of features to the bytes of a tensor.
//!
//! Bytes are as Triton's raw tensor contents want them: little endian, rows one after another. A
//! BYTES element is its length as u32 and then the bytes themselves. A list fills as many elements
//! as its type says.

use crate::feature_row::FeatureRow;
use crate::plan::{ColumnId, Plan, PlanError};
use crate::value::{Dtype, Scalar, Value};

/// Element type of a tensor that features are written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TensorDtype {
    /// From bool.
    Bool,
    /// From bool and int64; out of range becomes the nearest that fits.
    Int32,
    /// From bool and int64.
    Int64,
    /// From every number; out of range becomes the nearest finite value.
    Fp32,
    /// From every number.
    Fp64,
    /// From string.
    Bytes,
}

impl TensorDtype {
    /// The name in Triton's tensor metadata.
    pub fn name(self) -> &'static str {
        match self {
            TensorDtype::Bool => "BOOL",
            TensorDtype::Int32 => "INT32",
            TensorDtype::Int64 => "INT64",
            TensorDtype::Fp32 => "FP32",
            TensorDtype::Fp64 => "FP64",
            TensorDtype::Bytes => "BYTES",
        }
    }

    /// Whether a feature of this type, or a list of such, may be written into such a tensor.
    pub fn accepts(self, feature: Dtype) -> bool {
        let element = feature.element();
        match self {
            TensorDtype::Bool => element == Scalar::Bool,
            TensorDtype::Int32 | TensorDtype::Int64 => {
                matches!(element, Scalar::Bool | Scalar::Int64)
            }
            TensorDtype::Fp32 | TensorDtype::Fp64 => element != Scalar::String,
            TensorDtype::Bytes => element == Scalar::String,
        }
    }
}

/// Which features make up a tensor's row, in order. Shape of the tensor: `[rows, width]`.
#[derive(Clone, Debug)]
pub struct TensorLayout {
    dtype: TensorDtype,
    columns: Vec<ColumnId>,
    width: usize,
}

impl Plan {
    /// Lays out a tensor whose row is `features`, in that order. A feature may occur twice.
    ///
    /// # Errors
    /// One [`PlanError`] for each feature that the plan does not assemble, or whose type does not
    /// go into `dtype`.
    pub fn tensor(
        &self,
        dtype: TensorDtype,
        features: &[&str],
    ) -> Result<TensorLayout, Vec<PlanError>> {
        let mut columns = Vec::with_capacity(features.len());
        let mut errors = Vec::new();
        for feature in features {
            let Some(column) = self.column(feature) else {
                let message = format!("feature `{feature}` is not among those assembled");
                errors.push(PlanError::new(feature, message, self.suggest(feature)));
                continue;
            };
            let found = self.dtype(column);
            if dtype.accepts(found) {
                columns.push(column);
            } else {
                let tensor = dtype.name();
                let message = format!(
                    "feature `{feature}` is {found}, which does not go into a tensor of {tensor}"
                );
                let hint = (found == Dtype::String)
                    .then(|| "derive a number from it with `index` or `hash_bucket`".to_owned());
                errors.push(PlanError::new(feature, message, hint));
            }
        }
        if errors.is_empty() {
            let widths = columns.iter().map(|column| self.dtype(*column).width());
            let width = widths.sum();
            Ok(TensorLayout {
                dtype,
                columns,
                width,
            })
        } else {
            Err(errors)
        }
    }
}

impl TensorLayout {
    /// Elements in a row: one a feature, and as many a list as it is long.
    pub fn width(&self) -> usize {
        self.width
    }

    pub fn dtype(&self) -> TensorDtype {
        self.dtype
    }

    /// Appends one row. `row` must come from the plan that this layout was made by.
    pub fn write(&self, row: &FeatureRow, out: &mut Vec<u8>) {
        let columns = self.columns.iter();
        let values = columns.flat_map(|column| row.value(*column).elements());
        match self.dtype {
            TensorDtype::Bool => out.extend(values.map(|value| u8::from(integer(value) != 0))),
            TensorDtype::Int32 => {
                let clamped = values.map(|value| saturating_i32(integer(value)));
                clamped.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }
            TensorDtype::Int64 => {
                values.for_each(|value| out.extend_from_slice(&integer(value).to_le_bytes()));
            }
            TensorDtype::Fp32 => {
                let narrowed = values.map(|value| saturating_f32(number(value)));
                narrowed.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }
            TensorDtype::Fp64 => {
                values.for_each(|value| out.extend_from_slice(&number(value).to_le_bytes()));
            }
            TensorDtype::Bytes => values.for_each(|value| {
                let text = value.as_str().unwrap_or_default();
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }),
        }
    }
}

// A layout holds only columns whose type goes into its tensor: the fallbacks below are not reached.

fn integer(value: &Value) -> i64 {
    match value {
        Value::Bool(value) => i64::from(*value),
        Value::Int64(value) => *value,
        Value::Float32(_) | Value::Float64(_) | Value::String(_) | Value::List(_) => 0,
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn saturating_i32(value: i64) -> i32 {
    value.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

fn saturating_f32(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests;
