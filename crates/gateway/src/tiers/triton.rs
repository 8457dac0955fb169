//! A tier that Triton serves.

use std::{sync::Arc, time::Duration};

use features::FeatureRow;
use tokio::{sync::Notify, time::Instant};
use triton_client::{InferRequest, InputTensor, Scheduler};

use super::{Scored, Seen, SkipReason, bound::BoundModel};

/// A tier that Triton serves.
#[derive(Debug)]
pub(crate) struct TritonTier {
    pub(crate) name: Arc<str>,
    /// The most time it gets.
    pub(crate) slice: Option<Duration>,
    /// Views without which it is not asked.
    pub(crate) requires: Vec<String>,
    /// `None` until Triton serves a model that fits.
    pub(crate) bound: Option<(BoundModel, Scheduler)>,
    /// Told when the bound version is served no more.
    pub(crate) refresh: Arc<Notify>,
}

impl TritonTier {
    /// Asks until `until`, for a row whose answer is worth `worth`.
    pub(crate) async fn ask(
        &self,
        row: &FeatureRow,
        worth: f64,
        until: Instant,
    ) -> Result<Scored, SkipReason> {
        let (bound, scheduler) = self.bound.as_ref().ok_or(SkipReason::NotReady)?;
        if self.requires.iter().any(|view| row.view_missing(view)) {
            return Err(SkipReason::FeaturesMissing);
        }
        let seen: Vec<Seen> = bound
            .inputs
            .iter()
            .map(|input| Seen {
                name: input.name.clone(),
                dtype: input.dtype,
                data: input.bytes(row).into(),
            })
            .collect();
        let inputs = bound
            .inputs
            .iter()
            .zip(&seen)
            .map(|(input, seen)| InputTensor {
                name: seen.name.clone(),
                dtype: seen.dtype,
                shape: input.shape.clone(),
                data: seen.data.clone(),
            })
            .collect();
        let request = InferRequest {
            model: bound.model.clone(),
            version: Some(bound.version.clone()),
            id: String::new(),
            inputs,
            outputs: bound.outputs.clone(),
        };
        let response = scheduler
            .infer(request, worth, until)
            .await
            .map_err(|error| {
                if error.is_not_ready() {
                    self.refresh.notify_one();
                }
                tracing::debug!(tier = %self.name, worth, %error, "Triton did not answer");
                SkipReason::from(&error)
            })?;
        let output = |name: &str| {
            response
                .outputs
                .iter()
                .find(|output| *output.name == *name)
                .map(|output| (output.dtype, &*output.data))
        };
        let scores = bound.scores(output).ok_or(SkipReason::Error)?;
        Ok(Scored {
            scores,
            model: bound.model.clone(),
            version: bound.version.clone(),
            reason: None,
            seen,
        })
    }
}
