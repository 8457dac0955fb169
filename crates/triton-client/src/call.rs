//! One `ModelInfer` on the wire.
//!
//! Two things that a gRPC client usually does are missing on purpose, because tritonserver
//! 2.51.0 breaks on them (the real-server tests show that this way it does not):
//!
//! - No `grpc-timeout` header. When it expires in the server, it resets the stream in a way that
//!   takes the whole connection down, and with it everybody else's calls.
//! - No cancellation on the wire. Dropping the future of a unary call resets its stream, and
//!   servers before 2.59 crash on that. So whoever waits leaves at their deadline and the call runs
//!   on, in a task of its own; an endpoint's slots bound how many may.
//!
//! The call also judges the endpoint, by what it does and not by how patient the waiters are:
//!
//! ```text
//!   answer within slow_call:  success | failure (server's fault)
//!                             caller's fault: no verdict, but success of a probe
//!   still out at slow_call:   failure, and that is this call's one verdict
//! ```

use std::{future::Future, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, timeout_at};
use tonic::{Response, Status};

use crate::{
    endpoint::Admitted,
    error::InferError,
    infer::{InferRequest, InferResponse},
    proto::ModelInferResponse,
};

pub(crate) type Answer = Result<InferResponse, InferError>;

/// A call that is out. It must run to its end: see the module.
pub(crate) struct Call {
    admitted: Admitted,
    sent: BoxFuture<'static, Result<Response<ModelInferResponse>, Status>>,
    wanted: Vec<Arc<str>>,
    started: Instant,
    /// A probe of speed that takes longer has failed, answer or not.
    slow_probe: Option<Duration>,
}

impl Call {
    pub(crate) fn send(
        admitted: Admitted,
        request: &InferRequest,
        slow_probe: Option<Duration>,
    ) -> Self {
        let limit = admitted.endpoint.options.max_message_bytes;
        let mut client = admitted.channel.client(limit);
        let wanted = request.outputs.clone();
        let request = request.to_proto();
        Self {
            admitted,
            sent: async move { client.model_infer(request).await }.boxed(),
            wanted,
            started: Instant::now(),
            slow_probe,
        }
    }

    /// The answer and how long it took; `None` if it is still out at `slow_call`.
    pub(crate) async fn prompt_answer(&mut self) -> Option<(Answer, Duration)> {
        let endpoint = &self.admitted.endpoint;
        let slow_call = endpoint.options.slow_call;
        let Ok(reply) = timeout_at(self.started + slow_call, &mut self.sent).await else {
            if let Some(pass) = self.admitted.pass.take() {
                endpoint.silent(pass, &format!("no answer within {slow_call:?}"));
            }
            return None;
        };
        let (answer, now) = (self.checked(reply), Instant::now());
        let took = now.saturating_duration_since(self.started);
        if let Some(pass) = self.admitted.pass.take() {
            match self.slow_probe {
                Some(limit) if took > limit => {
                    let why =
                        format!("a probe took {took:?}, which is still slower than the others");
                    endpoint.failed(pass, &why);
                }
                _ => endpoint.judge(pass, &answer, now),
            }
        }
        Some((answer, took))
    }

    /// The answer of a call that was not prompt. `None` if it was cancelled on the wire, because it
    /// is `unwanted` and its server outlives that.
    pub(crate) async fn late_answer(
        mut self,
        unwanted: impl Future<Output = ()>,
    ) -> Option<Answer> {
        let reply = tokio::select! {
            reply = &mut self.sent => reply,
            () = unwanted, if self.admitted.endpoint.survives_cancellation() => return None,
        };
        Some(self.checked(reply))
    }

    fn checked(&self, reply: Result<Response<ModelInferResponse>, Status>) -> Answer {
        match reply {
            Ok(response) => InferResponse::of_proto(response.into_inner(), &self.wanted),
            Err(status) => Err(InferError::of_status(&status)),
        }
    }
}
