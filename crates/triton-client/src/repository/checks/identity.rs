//! What the model is: its name and its backend.

use super::{Lint, Model};

pub(super) fn check(model: &Model, lint: &mut Lint<'_>) {
    let variant = lint.variant;
    let config = &variant.config;
    if !config.name.is_empty() && config.name != model.name {
        lint.error_with_hint(
            "name",
            format!(
                "the model is named '{}' and its folder '{}'; Triton wants them equal",
                config.name, model.name
            ),
            "leave the name out: it is the folder's",
        );
    }
    let scheduling = variant.has("ensemble_scheduling");
    if config.platform == "ensemble" {
        if !scheduling {
            lint.error(
                "platform",
                "an ensemble needs `ensemble_scheduling`, which says its steps",
            );
        }
        return;
    }
    if scheduling {
        lint.error_with_hint(
            "ensemble_scheduling",
            "only an ensemble has steps, and this model's platform is another",
            "platform: \"ensemble\"",
        );
        return;
    }
    let said = !config.backend.is_empty() || !config.platform.is_empty();
    if said || !variant.was_read("platform") {
        return;
    }
    match variant.backend(&model.dir, &model.folders) {
        Some(backend) => lint.warning(
            "backend",
            format!("neither `backend` nor `platform` is set; Triton guesses '{backend}' from the model's file"),
            format!("backend: \"{backend}\""),
        ),
        None => lint.error_with_hint(
            "backend",
            "neither `backend` nor `platform` is set, and no version holds a file that tells",
            "backend: \"onnxruntime\"",
        ),
    }
}
