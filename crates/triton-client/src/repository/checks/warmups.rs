//! Warm-up requests: Triton sends them before a model counts as ready, and a wrong one keeps it
//! from ever being so.

use super::{super::nearest::did_you_mean, Lint, Model};
use crate::{Warmup, WarmupData};

pub(super) fn check(model: &Model, lint: &mut Lint<'_>) {
    let variant = lint.variant;
    for (index, warmup) in variant.config.warmups.iter().enumerate() {
        let key = format!("model_warmup[{index}]");
        sample(model, &key, warmup, lint);
    }
}

fn sample(model: &Model, key: &str, warmup: &Warmup, lint: &mut Lint<'_>) {
    let variant = lint.variant;
    let config = &variant.config;
    let max = u32::try_from(config.max_batch_size).unwrap_or(0);
    if warmup.batch_size > max.max(1) {
        lint.error_with_hint(
            &format!("{key}.batch_size"),
            format!(
                "warm-up '{}' has {} rows, and max_batch_size is {max}",
                warmup.name, warmup.batch_size
            ),
            "Triton 2.51 does not refuse it: it mostly dies of it (SIGSEGV)",
        );
    }
    if config.inputs.is_empty() {
        return;
    }
    let missing: Vec<&str> = config
        .inputs
        .iter()
        .filter(|input| !input.optional && !warmup.inputs.contains_key(&input.name))
        .map(|input| input.name.as_str())
        .collect();
    for (name, given) in &warmup.inputs {
        let key = format!("{key}.inputs[\"{name}\"]");
        let Some(input) = config.inputs.iter().find(|input| input.name == *name) else {
            lint.error_with_hint(
                &key,
                format!("'{name}' is no input of this model"),
                did_you_mean(name, missing.iter().copied())
                    .unwrap_or_else(|| format!("it lacks: {}", missing.join(", "))),
            );
            continue;
        };
        if given.dtype != input.dtype && given.dtype.is_some() && input.dtype.is_some() {
            lint.error(
                &format!("{key}.value.data_type"),
                format!(
                    "warm-up '{}' and input '{name}' differ in data_type",
                    warmup.name
                ),
            );
        }
        let fits = given.dims.len() == input.dims.len()
            && given
                .dims
                .iter()
                .zip(&input.dims)
                .all(|(given, dim)| *dim == -1 || given == dim);
        if !fits || given.dims.iter().any(|dim| *dim < 1) {
            lint.error(
                &format!("{key}.value.dims"),
                format!(
                    "warm-up '{}' has dims {:?}, and input '{name}' has {:?}; a sample's \
                     dimensions are all fixed",
                    warmup.name, given.dims, input.dims
                ),
            );
        }
        match &given.data {
            None => lint.error_with_hint(
                &key,
                format!("warm-up '{}' has no data for input '{name}'", warmup.name),
                "zero_data: true",
            ),
            Some(WarmupData::File(file)) if !model.dir.join("warmup").join(file).exists() => lint
                .error(
                    &format!("{key}.value.input_data_file"),
                    format!("there is no file '{file}' in the model's folder `warmup`"),
                ),
            Some(_) => {}
        }
    }
    // A misnamed input is both unknown and missing: said once.
    let unknown = warmup.inputs.len() + missing.len() > config.inputs.len();
    if !missing.is_empty() && !unknown {
        lint.error(
            key,
            format!(
                "warm-up '{}' lacks input {}",
                warmup.name,
                missing.join(", ")
            ),
        );
    }
}
