//! A request joins the queue, waits, and leaves: with an answer, at its last moment, or for good.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use tower::retry::budget::Budget;

use super::{
    Model, merge,
    pull::{self, refuse},
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
        pull::start(self, summoned, Vec::new());
        Ok(Waiter {
            model: Arc::clone(self),
            place,
            rows,
            answer,
            wake,
            over: false,
        })
    }
}

impl Waiter {
    pub(super) async fn answer(mut self) -> Answer {
        loop {
            match timeout_at(self.wake, &mut self.answer).await {
                Ok(answer) => {
                    self.over = true;
                    return answer.unwrap_or_else(|_| {
                        // The call ended without a word: its task panicked, or the runtime is
                        // shutting down.
                        Err(InferError::Server {
                            message: "the call was abandoned".to_owned(),
                        })
                    });
                }
                Err(_) => self.look()?,
            }
        }
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
    }
}
