//! Every tensor of an ensemble has one type and one shape for all who write and read it.

use std::collections::BTreeMap;

use super::{Lint, World};
use crate::{ModelConfig, TensorSpec};

/// What one model says of a tensor.
struct View<'a> {
    /// Who says it, as in `model 'deep'`.
    who: String,
    /// Where the ensemble names it.
    key: String,
    spec: &'a TensorSpec,
    max_batch_size: i32,
}

pub(super) fn check(world: &World<'_>, lint: &mut Lint<'_>) {
    let mut tensors: BTreeMap<&str, Vec<View<'_>>> = BTreeMap::new();
    let config = &lint.variant.config;
    for (field, specs) in [("input", &config.inputs), ("output", &config.outputs)] {
        for (index, spec) in specs.iter().enumerate() {
            tensors.entry(&spec.name).or_default().push(View {
                who: "the ensemble".to_owned(),
                key: format!("{field}[{index}]"),
                spec,
                max_batch_size: config.max_batch_size,
            });
        }
    }
    for (index, step) in config.ensemble_steps.iter().enumerate() {
        let Some((_, variant)) = world.models.get(step.model.as_str()) else {
            continue;
        };
        let inner: &ModelConfig = &variant.config;
        for (map, field, specs) in [
            (&step.output_map, "output_map", &inner.outputs),
            (&step.input_map, "input_map", &inner.inputs),
        ] {
            for (name, tensor) in map {
                if let Some(spec) = specs.iter().find(|spec| spec.name == *name) {
                    tensors.entry(tensor).or_default().push(View {
                        who: format!("model '{}'", step.model),
                        key: format!("ensemble_scheduling.step[{index}].{field}[\"{name}\"]"),
                        spec,
                        max_batch_size: inner.max_batch_size,
                    });
                }
            }
        }
    }
    for (tensor, views) in tensors {
        let Some((first, others)) = views.split_first() else {
            continue;
        };
        for other in others {
            compare(tensor, first, other, lint);
        }
    }
}

fn compare(tensor: &str, first: &View<'_>, other: &View<'_>, lint: &mut Lint<'_>) {
    if let (Some(a), Some(b)) = (first.spec.dtype, other.spec.dtype)
        && a != b
    {
        lint.error(
            &other.key,
            format!(
                "tensor '{tensor}' is {a} for {} and {b} for {}",
                first.who, other.who
            ),
        );
    }
    // A model without a batch dimension may write it into its dims.
    let same = fits(&first.spec.dims, &other.spec.dims) || fits(&first.full(), &other.full());
    if !same && !first.spec.dims.is_empty() && !other.spec.dims.is_empty() {
        lint.error(
            &other.key,
            format!(
                "tensor '{tensor}' has dims {:?} for {} and {:?} for {}",
                first.spec.dims, first.who, other.spec.dims, other.who
            ),
        );
    }
}

impl View<'_> {
    /// The shape with the batch dimension in it.
    fn full(&self) -> Vec<i64> {
        let batch = (self.max_batch_size > 0).then_some(-1);
        batch
            .into_iter()
            .chain(self.spec.dims.iter().copied())
            .collect()
    }
}

fn fits(a: &[i64], b: &[i64]) -> bool {
    let same = |(a, b): (&i64, &i64)| a == b || *a == -1 || *b == -1;
    a.len() == b.len() && a.iter().zip(b).all(same)
}
