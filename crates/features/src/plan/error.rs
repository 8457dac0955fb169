//! Why a list of features cannot be assembled, or not into a tensor.

/// What is wrong with one feature of a plan or of a tensor. `Display` is a full sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    feature: String,
    message: String,
    hint: Option<String>,
}

impl PlanError {
    pub(crate) fn new(feature: &str, message: String, hint: Option<String>) -> Self {
        PlanError {
            feature: feature.to_owned(),
            message,
            hint,
        }
    }

    /// The feature as it was asked for.
    pub fn feature(&self) -> &str {
        &self.feature
    }

    /// What to try instead, when something likely is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}
