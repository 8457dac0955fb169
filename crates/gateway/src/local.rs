//! Models in process, loaded at start from the same repository as Triton serves.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use local_model::{LocalModel, Runtime};
use triton_client::ModelConfig;

use crate::{
    binding::{KnownModel, ModelState},
    config::ModelsConfig,
    decision::{Definition, TierKind},
    tiers::BindError,
};

/// The models of all in-process tiers, by name. One that cannot be loaded is there with the reason.
pub(crate) fn load<'d>(
    config: &ModelsConfig,
    definitions: impl Iterator<Item = &'d Definition>,
) -> HashMap<String, ModelState> {
    let mut states = HashMap::new();
    let mut runtime = None;
    for definition in definitions {
        for tier in &definition.tiers {
            let TierKind::Onnx { model } = &tier.kind else { continue };
            if states.contains_key(&*model.name) {
                continue;
            }
            let runtime = runtime.get_or_insert_with(|| {
                Runtime::load(config.onnxruntime.as_deref()).map_err(|error| plain(error.to_string()))
            });
            let loaded = match runtime {
                Ok(runtime) => load_one(config, runtime, &model.name),
                Err(error) => Err(error.clone()),
            };
            let state = match loaded {
                Ok(known) => ModelState::Known(Arc::new(known)),
                Err(error) => ModelState::Unknown(error),
            };
            states.insert(model.name.to_string(), state);
        }
    }
    states
}

fn load_one(config: &ModelsConfig, runtime: &Runtime, name: &str) -> Result<KnownModel, BindError> {
    let folder = config.repository.join(name);
    let mut written = read_config(&folder, config.config_name.as_deref())?;
    written.name = name.to_owned();
    let version = newest_version(&folder)
        .ok_or_else(|| plain(format!("{} has no version folder such as 1/", folder.display())))?;
    let file = folder.join(version.to_string()).join(model_file(&written));
    let sessions = std::thread::available_parallelism().map_or(2, usize::from);
    let model = LocalModel::load(runtime, &file, sessions).map_err(|error| plain(error.to_string()))?;
    tracing::info!(model = name, %version, cost_us = model.cost().as_micros() as u64, "model loaded in process");
    Ok(KnownModel { config: written, version: version.to_string().into(), local: Some(Arc::new(model)) })
}

fn read_config(folder: &Path, config_name: Option<&str>) -> Result<ModelConfig, BindError> {
    let file = config_file(folder, config_name);
    let text = std::fs::read_to_string(&file)
        .map_err(|error| plain(format!("cannot read {}: {error}", file.display())))?;
    ModelConfig::parse_pbtxt(&text).map_err(|error| plain(format!("{}: {error}", file.display())))
}

/// As Triton chooses with `--model-config-name`: the named variant where there is one.
fn config_file(folder: &Path, config_name: Option<&str>) -> PathBuf {
    config_name
        .map(|name| folder.join("configs").join(format!("{name}.pbtxt")))
        .filter(|file| file.is_file())
        .unwrap_or_else(|| folder.join("config.pbtxt"))
}

fn model_file(config: &ModelConfig) -> &str {
    if config.default_model_filename.is_empty() { "model.onnx" } else { &config.default_model_filename }
}

fn newest_version(folder: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).max()
}

fn plain(message: String) -> BindError {
    BindError { message, hint: None }
}
