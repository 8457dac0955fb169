//! One `ModelInfer` on the wire, in a task of its own.
//!
//! Two things that a gRPC client usually does are missing on purpose, because tritonserver
//! 2.51.0 breaks on them (the real-server tests show that this way it does not):
//!
//! - No `grpc-timeout` header. When it expires in the server, it resets the stream in a way that
//!   takes the whole connection down, and with it everybody else's calls.
//! - No cancellation on the wire. Dropping the future of a unary call resets its stream, and
//!   servers before 2.59 crash on that. So the waiter leaves at its deadline and the call runs
//!   on, detached; an endpoint's slots bound how many may.
//!
//! The task also judges the endpoint, by what it does and not by how patient the waiter is:
//!
//! ```text
//!   answer within slow_call:  success | failure (server's fault)
//!                             caller's fault: no verdict, but success of a probe
//!   still out at slow_call:   failure, and that is this call's one verdict
//! ```

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::{Instant, timeout_at},
};
use tonic::transport::Channel;

use crate::{
    breaker::Pass,
    endpoint::Endpoint,
    error::InferError,
    infer::{InferRequest, InferResponse},
    proto::grpc_inference_service_client::GrpcInferenceServiceClient,
};

type Answer = Result<InferResponse, InferError>;

/// An admitted call: it holds its slot and its breaker's pass until it is over.
pub(crate) struct Call {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) channel: Channel,
    pub(crate) pass: Pass,
    pub(crate) slot: OwnedSemaphorePermit,
    /// Sent although it is expected to be late, to learn whether that still holds.
    pub(crate) trial: bool,
}

impl Call {
    pub(crate) async fn run(self, request: InferRequest, mut waiter: oneshot::Sender<Answer>) {
        let Self {
            endpoint,
            channel,
            pass,
            slot,
            trial,
        } = self;
        let started = Instant::now();
        let model = Arc::clone(&request.model);
        let wanted = request.outputs.clone();
        let limit = endpoint.options.max_message_bytes;
        let mut client = GrpcInferenceServiceClient::new(channel).max_decoding_message_size(limit);
        let sent = client.model_infer(request.into_proto());
        tokio::pin!(sent);

        let slow_at = started + endpoint.options.slow_call;
        let (reply, pass) = match timeout_at(slow_at, &mut sent).await {
            Ok(reply) => (reply, Some(pass)),
            Err(_) => {
                let why = format!("no answer within {:?}", endpoint.options.slow_call);
                endpoint.failed(pass, &why);
                let reply = tokio::select! {
                    reply = &mut sent => reply,
                    () = waiter.closed(), if endpoint.survives_cancellation() => return,
                };
                (reply, None)
            }
        };
        let answer = match reply {
            Ok(response) => InferResponse::of_proto(response.into_inner(), &wanted),
            Err(status) => Err(InferError::of_status(&status)),
        };
        let now = Instant::now();
        if answer.is_ok() {
            endpoint
                .times
                .record(&model, now.saturating_duration_since(started), trial, now);
        }
        if let Some(pass) = pass {
            endpoint.judge(pass, &answer, now);
        }
        drop(slot);
        // A waiter that has left is no error.
        let _ = waiter.send(answer);
    }
}
