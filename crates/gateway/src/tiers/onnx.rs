//! A tier in process: the same `model.onnx` as Triton serves, in microseconds.

use std::{sync::Arc, time::Duration};

use features::FeatureRow;
use local_model::{Input, LocalModel};
use tokio::time::Instant;

use super::{Scored, Seen, SkipReason, bound::BoundModel};

/// A tier in process.
#[derive(Debug)]
pub(crate) struct OnnxTier {
    pub(crate) name: Arc<str>,
    /// Views without which it is not asked.
    pub(crate) requires: Vec<String>,
    /// `None` when the model could not be loaded or does not fit.
    pub(crate) bound: Option<(BoundModel, Arc<LocalModel>)>,
}

impl OnnxTier {
    /// How long a run takes, as measured when the model was loaded.
    pub(crate) fn cost(&self) -> Duration {
        self.bound
            .as_ref()
            .map_or(Duration::ZERO, |(_, model)| model.cost())
    }

    /// Runs the model on the calling thread, if it can be done by `compute_by`.
    pub(crate) fn run(&self, row: &FeatureRow, compute_by: Instant) -> Result<Scored, SkipReason> {
        let (bound, model) = self.bound.as_ref().ok_or(SkipReason::NotReady)?;
        if self.requires.iter().any(|view| row.view_missing(view)) {
            return Err(SkipReason::FeaturesMissing);
        }
        if Instant::now() + model.cost() > compute_by {
            return Err(SkipReason::Infeasible);
        }
        let buffers: Vec<Vec<u8>> = bound.inputs.iter().map(|input| input.bytes(row)).collect();
        let inputs: Vec<Input<'_>> = bound
            .inputs
            .iter()
            .zip(&buffers)
            .map(|(input, data)| Input {
                name: &input.name,
                dtype: local_dtype(input.dtype),
                shape: &input.shape,
                data,
            })
            .collect();
        let outputs = model.run(&inputs).map_err(|error| {
            tracing::debug!(tier = %self.name, %error, "the model in process failed");
            SkipReason::Error
        })?;
        let output = |name: &str| {
            let output = outputs.iter().find(|output| output.name == name)?;
            Some((triton_dtype(output.dtype)?, &*output.data))
        };
        let scores = bound.scores(output).ok_or(SkipReason::Error)?;
        Ok(Scored {
            scores,
            model: bound.model.clone(),
            version: bound.version.clone(),
            reason: None,
            seen: bound
                .inputs
                .iter()
                .zip(buffers)
                .map(|(input, data)| Seen {
                    name: input.name.clone(),
                    dtype: input.dtype,
                    data: data.into(),
                })
                .collect(),
        })
    }
}

fn local_dtype(dtype: triton_client::Dtype) -> local_model::Dtype {
    use triton_client::Dtype as From;
    match dtype {
        From::Bool => local_model::Dtype::Bool,
        From::Uint8 => local_model::Dtype::Uint8,
        From::Uint16 => local_model::Dtype::Uint16,
        From::Uint32 => local_model::Dtype::Uint32,
        From::Uint64 => local_model::Dtype::Uint64,
        From::Int8 => local_model::Dtype::Int8,
        From::Int16 => local_model::Dtype::Int16,
        From::Int32 => local_model::Dtype::Int32,
        From::Int64 => local_model::Dtype::Int64,
        From::Fp16 => local_model::Dtype::Fp16,
        From::Bf16 => local_model::Dtype::Bf16,
        From::Fp32 => local_model::Dtype::Fp32,
        From::Fp64 => local_model::Dtype::Fp64,
        From::Bytes => local_model::Dtype::String,
    }
}

/// Of the types that a score may have.
fn triton_dtype(dtype: local_model::Dtype) -> Option<triton_client::Dtype> {
    match dtype {
        local_model::Dtype::Fp32 => Some(triton_client::Dtype::Fp32),
        local_model::Dtype::Fp64 => Some(triton_client::Dtype::Fp64),
        _ => None,
    }
}
