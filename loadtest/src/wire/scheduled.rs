//! A caller without a wire of its own: it asks `triton-client`'s scheduler, in this process, as Gavel
//! does in its own.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use triton_client::{
    Batching, ControlError, Dtype, EndpointError, EndpointOptions, EndpointSet, InferError,
    InferRequest, InferResponse, InputTensor, Scheduler,
};

use super::{Answer, Tier};
use crate::{
    load::{Caller, Outcome},
    pipe::{FEATURES, INPUT, MODEL, raw},
};

const CONNECT: Duration = Duration::from_secs(5);
/// Past any answer: what is measured is how rows are merged and sent, not who gives up when.
const PATIENCE: Duration = Duration::from_secs(1);
const FLOW: &str = "loadtest";

/// A queue in front of Triton, and the rows of all questions.
#[derive(Debug)]
pub struct ScheduledTarget {
    scheduler: Scheduler,
    request: InferRequest,
    rows: Vec<Bytes>,
}

/// There is nothing to ask.
#[derive(Debug, thiserror::Error)]
pub enum ScheduledError {
    /// Triton's URL.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Triton does not describe the model.
    #[error("{MODEL}: {0}")]
    Describe(#[from] ControlError),
}

impl ScheduledTarget {
    /// Asks Triton how it serves the primary model, and binds to the newest version as Gavel does.
    ///
    /// # Errors
    /// As [`ScheduledError`] says.
    pub async fn connect(url: &str, rows: &[[f32; FEATURES]]) -> Result<Self, ScheduledError> {
        let endpoints = EndpointSet::new(&[url.to_owned()], EndpointOptions::default())?;
        let model = endpoints.describe(MODEL, Instant::now() + CONNECT).await?;
        let versions = model.versions.iter();
        let newest = versions.max_by_key(|version| version.parse::<u64>().ok());
        let version: Option<Arc<str>> = newest.map(|version| version.as_str().into());
        let batching = Batching::of(&model.config);
        let input = InputTensor {
            name: INPUT.into(),
            dtype: Dtype::Fp32,
            shape: vec![1, FEATURES as i64],
            data: Bytes::new(),
        };
        Ok(Self {
            scheduler: endpoints.scheduler(MODEL, version.as_deref(), batching, FLOW),
            request: InferRequest {
                model: MODEL.into(),
                version,
                id: String::new(),
                inputs: vec![input],
                outputs: Vec::new(),
            },
            rows: rows.iter().map(raw).collect(),
        })
    }

    fn request(&self, question: usize) -> InferRequest {
        let mut request = self.request.clone();
        request.inputs[0].data = self.rows[question].clone();
        request
    }
}

/// All callers share the queue.
#[derive(Debug)]
pub struct ScheduledCaller(Rc<ScheduledTarget>);

impl ScheduledCaller {
    /// One more caller.
    pub fn new(target: Rc<ScheduledTarget>) -> Self {
        Self(target)
    }
}

impl Caller for ScheduledCaller {
    async fn call(&mut self, question: usize) -> Outcome {
        let (request, deadline) = (self.0.request(question), Instant::now() + PATIENCE);
        match self.0.scheduler.infer(request, 0.0, deadline).await {
            Ok(response) => answer(&response).map_or(Outcome::Failed, Outcome::Answered),
            Err(InferError::Overloaded) => Outcome::Refused,
            Err(_) => Outcome::Failed,
        }
    }
}

/// A merged row comes back without an id: one that went to another caller shows by its score.
fn answer(response: &InferResponse) -> Option<Answer> {
    let score = response.outputs.first()?.data.as_ref().try_into().ok()?;
    Some(Answer {
        tier: Tier::Primary,
        score: f32::from_le_bytes(score).into(),
        is_to_question: true,
    })
}
