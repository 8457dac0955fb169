//! Ensembles: the graph that their steps make, and whether it fits the models they run.
//!
//! A server reads the variant of its name where a model has one, and `config.pbtxt` where it has
//! not, so an ensemble is checked against the variants of its models under every name in use.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::nearest::did_you_mean, Finding, Lint, Model, Variant};
use crate::{EnsembleStep, TensorSpec, VersionPolicy};

mod graph;
mod tensors;

/// The models of a repository as one server sees them.
struct World<'a> {
    models: BTreeMap<&'a str, (&'a Model, &'a Variant)>,
}

/// Checks every ensemble in every variant.
pub(crate) fn ensembles(models: &[Model], findings: &mut Vec<Finding>) {
    let variants = models.iter().flat_map(|model| &model.variants);
    let mut names: BTreeSet<Option<&str>> = variants.map(|v| v.name.as_deref()).collect();
    names.insert(None);
    for name in names {
        let seen = |model| Some((model, Model::variant(model, name)?));
        let world = World {
            models: models
                .iter()
                .filter_map(seen)
                .map(|(model, variant)| (model.name.as_str(), (model, variant)))
                .collect(),
        };
        for (model, variant) in world.models.values() {
            if variant.config.is_ensemble() {
                let mut lint = Lint { variant, findings };
                ensemble(&world, model, &mut lint);
            }
        }
    }
}

fn ensemble(world: &World<'_>, model: &Model, lint: &mut Lint<'_>) {
    let steps = &lint.variant.config.ensemble_steps;
    if steps.is_empty() {
        if lint.variant.has("ensemble_scheduling") {
            lint.error(
                "ensemble_scheduling",
                "an ensemble needs at least one `step`",
            );
        }
        return;
    }
    graph::check(lint);
    for (index, step) in steps.iter().enumerate() {
        let key = format!("ensemble_scheduling.step[{index}]");
        if step.model.is_empty() {
            lint.error(&format!("{key}.model_name"), "the step names no model");
            continue;
        }
        let Some((inner, variant)) = world.models.get(step.model.as_str()) else {
            lint.error_with_hint(
                &format!("{key}.model_name"),
                format!("model '{}' is not in the repository", step.model),
                did_you_mean(&step.model, world.models.keys().copied())
                    .unwrap_or_else(|| "add it, or name another".to_owned()),
            );
            continue;
        };
        if depends(world, &step.model, &model.name, &mut BTreeSet::new()) {
            lint.error(
                &format!("{key}.model_name"),
                format!("'{}' runs '{}' again: a circle", step.model, model.name),
            );
            continue;
        }
        version(&key, step, inner, variant, lint);
        batch(&key, step, variant, lint);
        maps(&key, step, variant, lint);
    }
    tensors::check(world, lint);
}

/// Whether `model` is `wanted` or an ensemble that runs it, however deep.
fn depends<'a>(
    world: &World<'a>,
    model: &'a str,
    wanted: &str,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    if model == wanted {
        return true;
    }
    if !seen.insert(model) {
        return false;
    }
    let Some((_, variant)) = world.models.get(model) else {
        return false;
    };
    let mut steps = variant.config.ensemble_steps.iter();
    steps.any(|step| depends(world, &step.model, wanted, seen))
}

fn version(key: &str, step: &EnsembleStep, inner: &Model, variant: &Variant, lint: &mut Lint<'_>) {
    if step.version == -1 {
        return;
    }
    let served = inner.versions_of(variant);
    if u64::try_from(step.version).is_ok_and(|version| served.contains(&version)) {
        return;
    }
    let key = format!("{key}.model_version");
    if step.version < 1 {
        lint.error_with_hint(
            &key,
            format!(
                "model_version is {} (0 where it is left out), which is no version of '{}'",
                step.version, step.model
            ),
            "model_version: -1 is the newest",
        );
    } else {
        let policy = match &variant.config.version_policy {
            None | Some(VersionPolicy::Latest(_)) => "; its policy serves the newest alone",
            Some(VersionPolicy::All | VersionPolicy::Specific(_)) => "",
        };
        lint.error(
            &key,
            format!(
                "version {} of '{}' is not served: {served:?} is{policy}",
                step.version, step.model
            ),
        );
    }
}

fn batch(key: &str, step: &EnsembleStep, variant: &Variant, lint: &mut Lint<'_>) {
    let (outer, inner) = (
        lint.variant.config.max_batch_size,
        variant.config.max_batch_size,
    );
    // A step without a batch dimension takes as many rows as its own dims allow.
    if inner > 0 && outer > inner {
        lint.error_with_hint(
            "max_batch_size",
            format!(
                "the ensemble takes {outer} rows and its step '{}' {inner}",
                step.model
            ),
            format!(
                "lower it to {inner}, or raise that of '{}' ({key})",
                step.model
            ),
        );
    }
}

/// The maps' keys are tensors of the step's model, and every input that it needs is among them.
fn maps(key: &str, step: &EnsembleStep, variant: &Variant, lint: &mut Lint<'_>) {
    let config = &variant.config;
    for (map, field, tensors) in [
        (&step.input_map, "input", &config.inputs),
        (&step.output_map, "output", &config.outputs),
    ] {
        if tensors.is_empty() {
            continue;
        }
        for tensor in map.keys() {
            if !has(tensors, tensor) {
                let known: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
                lint.error_with_hint(
                    &format!("{key}.{field}_map[\"{tensor}\"]"),
                    format!("'{tensor}' is no {field} of model '{}'", step.model),
                    did_you_mean(tensor, known.iter().copied())
                        .unwrap_or_else(|| format!("its {field}s: {}", known.join(", "))),
                );
            }
        }
    }
    // A misnamed input is missing too: said once.
    let misnamed = step.input_map.keys().any(|name| !has(&config.inputs, name));
    for input in &config.inputs {
        let mapped = input.optional || step.input_map.contains_key(&input.name);
        if !mapped && !misnamed && !step.input_map.is_empty() {
            lint.error(
                &format!("{key}.input_map"),
                format!(
                    "input '{}' of model '{}' gets no tensor",
                    input.name, step.model
                ),
            );
        }
    }
}

fn has(tensors: &[TensorSpec], name: &str) -> bool {
    tensors.iter().any(|tensor| tensor.name == name)
}
