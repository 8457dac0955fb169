//! Why a tier did not answer: a small closed set, the same in JSON, protobuf and metrics.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use triton_client::InferError;

/// Why a tier did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// Asked, and no answer inside its slice.
    Timeout,
    /// Not asked: it could not have answered in the time left.
    Infeasible,
    /// Not asked: it has been failing.
    BreakerOpen,
    /// Not asked: too much of its work is outstanding.
    Overloaded,
    /// Asked, and it failed.
    Error,
    /// Its model is not loaded, or does not fit the features.
    NotReady,
    /// Features that it requires are missing.
    FeaturesMissing,
}

/// A tier that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its name.
    pub tier: Arc<str>,
    /// Why.
    pub reason: SkipReason,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Timeout,
        Self::Infeasible,
        Self::BreakerOpen,
        Self::Overloaded,
        Self::Error,
        Self::NotReady,
        Self::FeaturesMissing,
    ];

    /// The name in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Infeasible => "infeasible",
            Self::BreakerOpen => "breaker_open",
            Self::Overloaded => "overloaded",
            Self::Error => "error",
            Self::NotReady => "not_ready",
            Self::FeaturesMissing => "features_missing",
        }
    }
}

impl From<&InferError> for SkipReason {
    fn from(error: &InferError) -> Self {
        match error {
            InferError::Deadline => Self::Timeout,
            InferError::Infeasible { .. } => Self::Infeasible,
            InferError::BreakerOpen => Self::BreakerOpen,
            InferError::Overloaded => Self::Overloaded,
            error if error.is_not_ready() => Self::NotReady,
            InferError::Caller { .. } | InferError::Model { .. } | InferError::Server { .. } => {
                Self::Error
            }
        }
    }
}

impl Serialize for SkipReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
