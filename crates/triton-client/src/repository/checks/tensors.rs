//! Inputs and outputs: names, types, shapes.

use std::collections::BTreeSet;

use super::Lint;
use crate::TensorSpec;

pub(super) fn check(lint: &mut Lint<'_>) {
    let config = &lint.variant.config;
    if config.max_batch_size < 0 {
        lint.error(
            "max_batch_size",
            format!(
                "max_batch_size is {}; it is 0 for none, or the largest batch",
                config.max_batch_size
            ),
        );
    }
    side("input", &config.inputs, lint);
    side("output", &config.outputs, lint);
}

fn side(field: &str, tensors: &[TensorSpec], lint: &mut Lint<'_>) {
    if tensors.is_empty() && lint.variant.was_read(field) {
        let message = format!("there is no `{field}`");
        if lint.variant.config.is_ensemble() {
            lint.error(field, message);
        } else {
            lint.warning(
                field,
                format!("{message}; Triton asks the model's file, and Gavel cannot check it"),
                format!("{field} [ {{ name: \"…\" data_type: TYPE_FP32 dims: [ … ] }} ]"),
            );
        }
    }
    let mut names = BTreeSet::new();
    for (index, tensor) in tensors.iter().enumerate() {
        let key = format!("{field}[{index}]");
        let what = if tensor.name.is_empty() {
            lint.error(&format!("{key}.name"), format!("this {field} has no name"));
            format!("{field} {index}")
        } else {
            format!("{field} '{}'", tensor.name)
        };
        if !tensor.name.is_empty() && !names.insert(&tensor.name) {
            lint.error(
                &format!("{key}.name"),
                format!("{what} is there twice, and a request can name it once"),
            );
        }
        if tensor.dtype.is_none() {
            lint.error(
                &format!("{key}.data_type"),
                format!("{what} has no data_type"),
            );
        }
        shape(&key, &what, tensor, lint);
    }
}

fn shape(key: &str, what: &str, tensor: &TensorSpec, lint: &mut Lint<'_>) {
    let dims = format!("{key}.dims");
    if tensor.dims.is_empty() {
        let hint = if lint.variant.config.max_batch_size > 0 {
            "dims: [ 1 ] is one value a row; the batch dimension is not in dims"
        } else {
            "dims: [ 1 ] is one value"
        };
        lint.error_with_hint(&dims, format!("{what} has no dims"), hint);
    }
    for (index, dim) in tensor.dims.iter().enumerate() {
        if *dim < -1 || *dim == 0 {
            lint.error(
                &format!("{dims}[{index}]"),
                format!("{what} has a dimension of {dim}; it is 1 or more, or -1 for any size"),
            );
        }
    }
    if let Some(reshape) = &tensor.reshape {
        let fixed = |dims: &[i64]| dims.iter().all(|dim| *dim > 0);
        let elements = |dims: &[i64]| dims.iter().try_fold(1_i64, |n, dim| n.checked_mul(*dim));
        if fixed(&tensor.dims) && fixed(reshape) && elements(&tensor.dims) != elements(reshape) {
            lint.error(
                &format!("{key}.reshape"),
                format!(
                    "{what} has dims {:?}, and reshape {reshape:?} has another number of elements",
                    tensor.dims
                ),
            );
        }
    }
}
