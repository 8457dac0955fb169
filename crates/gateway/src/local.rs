//! Models in process, loaded at start from the same repository as Triton serves.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use local_model::{LocalModel, Runtime};

use crate::{
    binding::{KnownModel, ModelState},
    config::ModelsConfig,
    decision::{Definition, TierKind},
    repository::Repository,
    tiers::BindError,
};

/// A run that takes longer holds up other requests of its thread.
const SLOW_RUN: Duration = Duration::from_millis(1);

/// The models of all in-process tiers, by name. One that cannot be loaded is there with the reason.
pub(crate) fn load<'d>(
    config: &ModelsConfig,
    definitions: impl Iterator<Item = &'d Definition>,
) -> HashMap<String, ModelState> {
    let names = definitions
        .flat_map(|definition| &definition.tiers)
        .filter_map(|tier| match &tier.kind {
            TierKind::Onnx { model } => Some(&*model.name),
            TierKind::Triton { .. } | TierKind::Rules(_) => None,
        });
    let names: BTreeSet<&str> = names.collect();
    if names.is_empty() {
        return HashMap::new();
    }
    let repository = Repository::read(config);
    let runtime = Runtime::load(config.onnxruntime.as_deref());
    let load = |name: &&str| {
        let runtime = runtime
            .as_ref()
            .map_err(|error| BindError::plain(error.to_string()))?;
        load_one(&repository, runtime, name, None)
    };
    names
        .iter()
        .map(|name| match load(name) {
            Ok(known) => ((*name).to_owned(), ModelState::Known(Arc::new(known))),
            Err(error) => ((*name).to_owned(), ModelState::Unknown(error)),
        })
        .collect()
}

/// Loads a version of a model; without one, the newest.
pub(crate) fn load_one(
    repository: &Repository,
    runtime: &Runtime,
    name: &str,
    version: Option<&str>,
) -> Result<KnownModel, BindError> {
    let model = repository.model(name)?;
    let folder = model.dir.display();
    let mut versions = model.versions.iter().copied();
    let found = match version {
        Some(asked) => versions.find(|version| version.to_string() == asked),
        None => versions.next_back(),
    };
    let version = found.ok_or_else(|| {
        let which = version.map_or_else(|| "such as 1/".into(), |version| format!("{version}/"));
        BindError::plain(format!("{folder} has no version folder {which}"))
    })?;
    let file = model.model_file(version).ok_or_else(|| {
        BindError::plain(format!(
            "{folder} is no single ONNX model, so it cannot run in process"
        ))
    })?;
    let sessions = std::thread::available_parallelism().map_or(2, usize::from);
    let loaded = LocalModel::load(runtime, &file, sessions)
        .map_err(|error| BindError::plain(error.to_string()))?;
    if loaded.cost() > SLOW_RUN {
        tracing::warn!(model = name, cost = ?loaded.cost(), "the model is slow for one that runs on the request's thread: others wait for it");
    }
    tracing::info!(
        model = name,
        version,
        cost_us = loaded.cost().as_micros() as u64,
        "model loaded in process"
    );
    Ok(KnownModel {
        config: model.config.clone(),
        version: version.to_string().into(),
        local: Some(Arc::new(loaded)),
        refused: None,
    })
}
