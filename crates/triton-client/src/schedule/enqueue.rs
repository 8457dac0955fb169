//! A request joins the queue, waits, and leaves: with an answer, at its last moment, or for good.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, timeout_at},
};
use tower::retry::budget::Budget;

use super::{
    Model, merge,
    pull::{Pull, refuse},
    queue::{Flow, Place},
    state::Job,
};
use crate::{call::Answer, endpoint::Endpoint, error::InferError, infer::InferRequest};

/// A timer may fire so late: tokio rounds up to a millisecond, and the kernel's poll to another.
const TIMER_RESOLUTION: Duration = Duration::from_millis(2);

/// A request that waits, for its slot or for its answer. Dropping it takes it out of the queue.
pub(super) struct Waiter {
    model: Arc<Model>,
    place: Place,
    rows: usize,
    answer: oneshot::Receiver<Answer>,
    /// When to see whether waiting is still of use.
    wake: Instant,
    over: bool,
    /// The pull that it found a slot for, until that has begun,
    pull: Option<Pull>,
    /// and its own call, which it runs.
    running: Option<Running>,
    /// Where they go on without it.
    runtime: Handle,
}

/// A call that is run by one of those who wait for it.
struct Running {
    call: BoxFuture<'static, ()>,
    /// Something came back, so whoever waits may have been handed on to somebody else.
    moved: bool,
}

impl Model {
    pub(super) fn enqueue(
        self: &Arc<Self>,
        flow: Flow,
        request: InferRequest,
        worth: f64,
        deadline: Instant,
    ) -> Result<Waiter, InferError> {
        Endpoint::check_size(&request, self.members.options.max_message_bytes)?;
        // Without a batch dimension, a request is a row, whatever its shape. Inputs that do not agree
        // on their rows are for the server to judge, alone.
        let rows = match self.batching.max_rows {
            1 => 1,
            most => merge::rows(&request).unwrap_or(most),
        };
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let mut state = self.locked(now);
        if left < TIMER_RESOLUTION {
            let predicted = state.soonest(rows, now).unwrap_or_default();
            return Err(InferError::Infeasible {
                predicted: predicted.max(TIMER_RESOLUTION),
            });
        }
        state.could_answer(rows, left, now)?;
        self.members.retries.deposit();
        self.members.halvings.deposit();
        let (sender, answer) = oneshot::channel();
        let job = Job {
            request,
            answer: sender,
            failed_at: None,
        };
        let place = state.queue.push(flow, deadline, worth, rows, job);
        let wake = state.last_moment(&place, rows, now);
        let shed = state.shed(now);
        let summoned = state.summon(&[], now);
        drop(state);
        refuse(shed, &InferError::Overloaded);
        Ok(Waiter {
            model: Arc::clone(self),
            place,
            rows,
            answer,
            wake,
            over: false,
            pull: summoned.map(|endpoint| Pull::new(self, endpoint)),
            running: None,
            runtime: Handle::current(),
        })
    }
}

impl Waiter {
    pub(super) async fn answer(mut self) -> Answer {
        if self.pull.is_some() {
            // Requests that are being read this very moment join the batch.
            tokio::task::yield_now().await;
        }
        let own = self.pull.take().and_then(|pull| pull.begin(&self.place));
        if let Some(call) = own {
            self.running = Some(Running { call, moved: false });
        }
        loop {
            match timeout_at(self.wake, poll_fn(|cx| self.poll(cx))).await {
                Ok(answer) => {
                    self.over = true;
                    return answer;
                }
                Err(_) => self.look()?,
            }
        }
    }

    /// Runs its own call on, if it has one. Until something has come back, nobody else can answer, and
    /// no waker is left: the call would wake the task that runs it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        if let Some(running) = &mut self.running {
            if running.call.poll_unpin(cx).is_ready() {
                self.running = None;
            } else if !std::mem::replace(&mut running.moved, true) {
                return Poll::Pending;
            }
        }
        self.answer.poll_unpin(cx).map(|answer| {
            answer.unwrap_or_else(|_| {
                // The call ended without a word: its task panicked, or the runtime is shutting down.
                Err(InferError::Server {
                    message: "the call was abandoned".to_owned(),
                })
            })
        })
    }

    /// Sees whether waiting is still of use, and until when.
    fn look(&mut self) -> Result<(), InferError> {
        let now = Instant::now();
        let mut state = self.model.state.lock();
        if !state.queue.waits(&self.place) {
            if now >= self.place.deadline {
                self.over = true;
                return Err(InferError::Deadline);
            }
            self.wake = self.place.deadline;
            return Ok(());
        }
        let last_moment = state.last_moment(&self.place, self.rows, now);
        if last_moment > now {
            self.wake = last_moment;
            return Ok(());
        }
        self.over = true;
        state.queue.remove(&self.place);
        state.totals.expired += 1;
        Err(InferError::Infeasible {
            predicted: state.soonest(self.rows, now).unwrap_or(TIMER_RESOLUTION),
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if !self.over {
            self.model.state.lock().queue.remove(&self.place);
        }
        if let Some(Running { call, .. }) = self.running.take() {
            self.runtime.spawn(call);
        }
        if let Some(pull) = self.pull.take() {
            self.runtime.spawn(pull.go());
        }
    }
}
