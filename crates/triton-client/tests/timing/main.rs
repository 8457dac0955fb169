//! Timing, exactly: on a paused clock against the fake, without a kernel in between.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod connections;
mod deadlines;
mod endpoints;
mod health;
mod replies;
mod scarce;
mod schedule;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fake_triton::{FakeModel, FakeTriton, ReceivedRequest, Step, Tensor};
use tokio::time::{Instant, advance, sleep};
use triton_client::{
    Batching, BreakerState, ControlError, Dtype, EndpointOptions, EndpointSet, InferError,
    InferRequest, InferResponse, InputTensor, ModelFault, Scheduler,
};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const UNAVAILABLE: i32 = 14;
pub(crate) const INVALID_ARGUMENT: i32 = 3;
pub(crate) const INTERNAL: i32 = 13;

pub(crate) fn fake() -> FakeTriton {
    let double = |request: &ReceivedRequest| {
        let Some(x) = request.input("x") else {
            return Vec::new();
        };
        let doubled: Vec<f32> = x.to_fp32().iter().map(|value| value * 2.0).collect();
        vec![Tensor::fp32("y", &x.shape, &doubled)]
    };
    let model = FakeModel::new("m")
        .input("x", "FP32", &[2])
        .output("y", "FP32", &[2]);
    FakeTriton::new().model(model.answer(double))
}

/// One endpoint, and a queue for `m` that sends every request as it is.
pub(crate) struct Client {
    pub(crate) set: EndpointSet,
    pub(crate) scheduler: Scheduler,
}

impl Client {
    pub(crate) fn new(set: EndpointSet, batching: Batching) -> Arc<Self> {
        let scheduler = set.scheduler("m", None, batching, "test");
        Arc::new(Self { set, scheduler })
    }

    pub(crate) fn predicted(&self) -> Option<Duration> {
        self.set.queues()[0].lanes[0].predicted
    }
}

impl std::ops::Deref for Client {
    type Target = EndpointSet;

    fn deref(&self) -> &EndpointSet {
        &self.set
    }
}

pub(crate) fn client(fake: &FakeTriton) -> Arc<Client> {
    client_with(fake, EndpointOptions::default())
}

pub(crate) fn client_with(fake: &FakeTriton, options: EndpointOptions) -> Arc<Client> {
    let connector = fake.connector();
    let set = EndpointSet::with_connector("fake", move || connector(), options);
    let batching = Batching {
        instances: 8,
        ..Batching::none()
    };
    Client::new(set, batching)
}

pub(crate) fn request() -> InferRequest {
    let data: Vec<u8> = [1.5_f32, -2.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    InferRequest {
        model: Arc::from("m"),
        version: None,
        id: String::new(),
        inputs: vec![InputTensor {
            name: Arc::from("x"),
            dtype: Dtype::Fp32,
            shape: vec![1, 2],
            data: Bytes::from(data),
        }],
        outputs: vec![Arc::from("y")],
    }
}

pub(crate) async fn infer(client: &Client, budget: Duration) -> Result<InferResponse, InferError> {
    let deadline = Instant::now() + budget;
    client.scheduler.infer(request(), 0.0, deadline).await
}

pub(crate) fn state(client: &Client) -> BreakerState {
    client.states()[0].state
}
