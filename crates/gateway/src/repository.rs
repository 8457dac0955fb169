//! The model repository on disk, as both `gavel check` and the tiers in process see it.

use std::{path::PathBuf, sync::Arc};

use triton_client::repository::{self, Finding, Model, Severity};

use crate::{
    binding::{KnownModel, ModelState},
    config::ModelsConfig,
    diagnostic::{self, Diagnostic, did_you_mean},
    tiers::BindError,
};

/// A repository that has been read.
#[derive(Debug)]
pub(crate) struct Repository {
    folder: PathBuf,
    pub(crate) models: Vec<Model>,
    /// What is wrong with it.
    pub(crate) findings: Vec<Finding>,
}

impl Repository {
    /// Reads every model.
    pub(crate) fn read(config: &ModelsConfig) -> Self {
        let (models, findings) =
            repository::inspect(&config.repository, config.config_name.as_deref());
        Self {
            folder: config.repository.clone(),
            models,
            findings,
        }
    }

    /// A model whose configuration could be read, or why there is none.
    pub(crate) fn model(&self, name: &str) -> Result<&Model, BindError> {
        if let Some(model) = self.models.iter().find(|model| model.name == name) {
            return Ok(model);
        }
        let folder = self.folder.join(name);
        let about = self
            .findings
            .iter()
            .find(|f| f.file.starts_with(&folder) && f.severity == Severity::Error);
        Err(match about {
            Some(finding) => BindError {
                message: format!(
                    "the model `{name}` cannot be used: {}: {}",
                    finding.file.display(),
                    finding.message
                ),
                hint: finding.hint.clone(),
            },
            None => BindError {
                message: format!("there is no model `{name}` in {}", self.folder.display()),
                hint: did_you_mean(name, self.models.iter().map(|model| model.name.as_str())),
            },
        })
    }

    /// What the files say of a model, without running it.
    pub(crate) fn state(&self, name: &str) -> ModelState {
        match self.model(name) {
            Ok(model) => ModelState::Known(Arc::new(KnownModel {
                config: model.config.clone(),
                version: model
                    .versions
                    .last()
                    .map_or_else(String::new, u64::to_string)
                    .into(),
                local: None,
                refused: None,
            })),
            Err(error) => ModelState::Unknown(error),
        }
    }
}

impl From<Finding> for Diagnostic {
    fn from(finding: Finding) -> Self {
        Self {
            file: finding.file,
            span: finding.span,
            key: finding.key,
            message: finding.message,
            hint: finding.hint,
            severity: match finding.severity {
                Severity::Warning => diagnostic::Severity::Warning,
                Severity::Error => diagnostic::Severity::Error,
            },
        }
    }
}
