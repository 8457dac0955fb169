//! An endpoint with a free slot takes what is most urgent, asks, and hands out the answers, until
//! nothing waits.
//!
//! The request that finds a slot free makes the call itself, in the task of whoever asks: at low load
//! nobody else need wake up. All others run in tasks of their own, and so does what is on the wire when
//! whoever asks leaves. When a call is still out at `slow_call`, the slot goes to another pull, since
//! that call may never come back; it is then bounded by the endpoint's own limit of calls that are out.

use std::{mem, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use tokio::time::Instant;
use tower::retry::budget::Budget;

use super::{
    Model,
    lane::{Demand, Sample},
    merge,
    queue::{Choice, Place, Waiting},
    size::{self, Size},
    state::{Job, State},
};
use crate::{
    call::{Answer, Call},
    endpoint::{Admitted, Endpoint},
    error::{InferError, ModelFault},
    infer::InferResponse,
};

type Batch = Vec<Waiting<Job>>;

/// What an endpoint has taken from the queue.
struct Turn {
    admitted: Admitted,
    batch: Batch,
    how: How,
}

/// What its calls are for, besides their answers.
#[derive(Clone, Copy)]
struct How {
    /// It is expected to be late, and sent to learn whether that still holds.
    trial: bool,
    /// A probe of speed that takes longer has failed.
    slow_probe: Option<Duration>,
}

/// An endpoint that was given a slot, to look at what waits.
pub(super) struct Pull {
    model: Arc<Model>,
    endpoint: Arc<Endpoint>,
    /// Who has no use for what waits.
    passed: Vec<Arc<Endpoint>>,
}

impl Pull {
    pub(super) fn new(model: &Arc<Model>, endpoint: Arc<Endpoint>) -> Self {
        Self {
            model: Arc::clone(model),
            endpoint,
            passed: Vec::new(),
        }
    }

    /// Looks at what waits. If the request at `place` is among what it takes, that is for the caller
    /// to run to its end; else it runs in a task of its own.
    pub(super) fn begin(mut self, place: &Place) -> Option<BoxFuture<'static, ()>> {
        let turn = self
            .model
            .take_turn(&self.endpoint, true, mem::take(&mut self.passed))?;
        let carries_it = turn.batch.iter().any(|waiting| waiting.place == *place);
        let run = self.run(turn).boxed();
        if carries_it {
            return Some(run);
        }
        tokio::spawn(run);
        None
    }

    /// In a task of its own.
    pub(super) async fn go(mut self) {
        // Requests that are being read this very moment join the batch.
        tokio::task::yield_now().await;
        if let Some(turn) = self
            .model
            .take_turn(&self.endpoint, true, mem::take(&mut self.passed))
        {
            self.run_on(turn).await;
        }
    }

    /// One turn; the next ones in a task of their own.
    async fn run(self, turn: Turn) {
        if let Some(turn) = self.model.next_turn(&self.endpoint, turn).await {
            tokio::spawn(self.run_on(turn));
        }
    }

    async fn run_on(self, mut turn: Turn) {
        while let Some(next) = self.model.next_turn(&self.endpoint, turn).await {
            turn = next;
        }
    }
}

/// Lets the endpoint that was given a slot pull, after those that `passed` on what waits.
fn start(model: &Arc<Model>, endpoint: Option<Arc<Endpoint>>, passed: Vec<Arc<Endpoint>>) {
    if let Some(endpoint) = endpoint {
        let pull = Pull {
            passed,
            ..Pull::new(model, endpoint)
        };
        tokio::spawn(pull.go());
    }
}

/// The same refusal for all of them.
pub(super) fn refuse(batch: Batch, error: &InferError) {
    for waiting in batch {
        // A waiter that has left is no error.
        let _ = waiting.content.answer.send(Err(error.clone()));
    }
}

impl Model {
    /// Runs a turn, and takes another.
    async fn next_turn(self: &Arc<Self>, endpoint: &Arc<Endpoint>, turn: Turn) -> Option<Turn> {
        if self.run(endpoint, turn).await {
            self.take_turn(endpoint, false, Vec::new())
        } else {
            None
        }
    }

    /// The most urgent requests that the endpoint can make in time. If there are none, or the endpoint
    /// may not be called, `None`: the slot is given back, and what waits is offered to another that
    /// has not `passed` on it yet.
    fn take_turn(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        first: bool,
        mut passed: Vec<Arc<Endpoint>>,
    ) -> Option<Turn> {
        let now = Instant::now();
        let mut state = self.locked(now);
        state.on_their_way -= usize::from(first);
        let expired = state.expire(now);
        let turn = self.choose(&mut state, endpoint, now);
        if turn.is_none() {
            state.give_back(endpoint);
            if state.queue.rows() > 0 {
                passed.push(Arc::clone(endpoint));
            }
        }
        let too_late = InferError::Infeasible {
            predicted: state.soonest(1, now).unwrap_or_default(),
        };
        let summoned = state.summon(&passed, now);
        let (stranded, why) = state.stranded(now);
        drop(state);
        refuse(expired, &too_late);
        refuse(stranded, &why);
        start(self, summoned, passed);
        turn
    }

    fn choose(&self, state: &mut State, endpoint: &Arc<Endpoint>, now: Instant) -> Option<Turn> {
        let at = state.lanes.iter().position(|lane| lane.is_of(endpoint))?;
        let lane = &state.lanes[at];
        let too_many = lane.slots.in_use() > lane.slots.limit();
        if too_many || state.queue.rows() == 0 || lane.absent(now).is_some() {
            return None;
        }
        let admitted = endpoint.admit(now).ok()?;
        let probe = admitted.probe();
        let of_speed = probe.filter(|probe| probe.of_speed);
        let slow_probe = of_speed.and_then(|_| state.limit(endpoint, 1, now));
        let elsewhere = state.is_served_elsewhere(endpoint, now);
        let most = probe.map_or(self.batching.max_rows, |_| 1);
        let times = &state.lanes[at].times;
        let size = size::best(&state.queue, times, most, state.passed_over, now);
        let size = size.or_else(|| probe.map(|_| Size::probe(now)))?;
        let snap = |rows| self.batching.snap(rows);
        let mut bytes = 0;
        let batch = state.queue.take(size.rows, snap, |candidate, first, _| {
            let Job {
                request, failed_at, ..
            } = &candidate.content;
            let failed_here = failed_at.as_ref();
            let failed_here = failed_here.is_some_and(|at| Arc::ptr_eq(at, endpoint));
            // Who has failed once already is no probe.
            let may_fail_again = probe.is_some() && failed_at.is_some();
            let too_late = candidate.place.deadline < size.back;
            if too_late || may_fail_again || (failed_here && elsewhere) {
                return Choice::Skip;
            }
            if let Some(first) = first {
                if !merge::fit_together(&first.content.request, request) {
                    return Choice::Skip;
                }
                if bytes + request.size_bytes() > self.members.options.max_message_bytes {
                    return Choice::Stop;
                }
            }
            bytes += request.size_bytes();
            Choice::Take
        });
        if batch.is_empty() {
            return None;
        }
        if size.is_trial {
            state.lanes[at].times.try_again(size.rows, now);
        }
        let left_behind = state.queue.first_deadline();
        state.passed_over = left_behind.is_some_and(|deadline| deadline < size.back);
        let how = How {
            trial: size.is_trial || probe.is_some(),
            slow_probe,
        };
        Some(Turn {
            admitted,
            batch,
            how,
        })
    }

    /// Asks, and hands out the answers. False if the slot was given up meanwhile.
    async fn run(self: &Arc<Self>, endpoint: &Arc<Endpoint>, turn: Turn) -> bool {
        let Turn {
            admitted,
            batch,
            how,
        } = turn;
        let (mut admitted, mut batches) = (Some(admitted), vec![batch]);
        while let Some(mut batch) = batches.pop() {
            batch.retain(|waiting| !waiting.content.answer.is_closed());
            if batch.is_empty() {
                continue;
            }
            let leave = admitted.take();
            let leave = match leave.map_or_else(|| endpoint.admit(Instant::now()), Ok) {
                Ok(leave) => leave,
                Err(error) => {
                    self.fail_over(endpoint, batch, &error);
                    continue;
                }
            };
            let rows: Vec<usize> = batch.iter().map(|waiting| waiting.rows).collect();
            let request = merge::merge(batch.iter().map(|waiting| &waiting.content.request));
            let mut call = Call::send(leave, &request, how.slow_probe);
            drop(request);
            let Some((answer, took)) = call.prompt_answer().await else {
                self.gave_up_slot(endpoint, rows.iter().sum());
                let silent = InferError::Server {
                    message: "it did not answer what was asked before".to_owned(),
                };
                for half in batches {
                    self.fail_over(endpoint, half, &silent);
                }
                let left = batch
                    .iter_mut()
                    .map(|waiting| waiting.content.answer.closed());
                let left = async { drop(join_all(left).await) };
                if let Some(answer) = call.late_answer(left).await {
                    hand_out(batch, parts(answer, &rows));
                }
                return false;
            };
            let sample = Sample {
                rows: rows.iter().sum(),
                took,
                trial: how.trial,
            };
            self.answered(endpoint, &answer, sample);
            match parts(answer, &rows) {
                Err(error) if blames_a_row(&error) && rows.len() > 1 && self.may_halve(&error) => {
                    let second = batch.split_off(batch.len() / 2);
                    batches.extend([second, batch]);
                }
                Err(error) if blames_the_endpoint(&error) => {
                    self.fail_over(endpoint, batch, &error);
                }
                parts => hand_out(batch, parts),
            }
        }
        true
    }

    /// What is said to be the caller's fault is: the calls are at most two a row. What failed in the
    /// model may be the model's, which the budget bounds.
    fn may_halve(&self, error: &InferError) -> bool {
        let is_callers = matches!(error, InferError::Caller { .. });
        let may = is_callers || self.members.halvings.withdraw();
        self.state.lock().totals.halved += u64::from(may);
        may
    }

    /// A prompt answer: what it says about the endpoint.
    fn answered(&self, endpoint: &Arc<Endpoint>, answer: &Answer, sample: Sample) {
        let now = Instant::now();
        let mut state = self.locked(now);
        state.sent(sample.rows);
        let demand = Demand {
            waiting_rows: state.queue.rows(),
            shed: state.totals.shed,
        };
        if let Some(lane) = state.lane(endpoint) {
            match answer {
                Ok(_) => {
                    lane.answered(sample, demand, now);
                    state.judge_outlier(endpoint, sample.rows, now);
                }
                Err(error) if lacks_model(error) => lane.lacks_model(error, now),
                Err(_) => {}
            }
        }
        let (stranded, why) = state.stranded(now);
        drop(state);
        refuse(stranded, &why);
    }

    /// A call is still out, and its slot is for others.
    fn gave_up_slot(self: &Arc<Self>, endpoint: &Arc<Endpoint>, rows: usize) {
        let now = Instant::now();
        let mut state = self.locked(now);
        state.sent(rows);
        state.give_back(endpoint);
        let summoned = state.summon(&[], now);
        let (stranded, why) = state.stranded(now);
        drop(state);
        refuse(stranded, &why);
        start(self, summoned, Vec::new());
    }

    /// Lets requests wait for another endpoint, those that have the time and have not done so yet.
    fn fail_over(self: &Arc<Self>, endpoint: &Arc<Endpoint>, batch: Batch, error: &InferError) {
        let now = Instant::now();
        let mut state = self.locked(now);
        let elsewhere = state.is_served_elsewhere(endpoint, now);
        let soonest = state.soonest(1, now).unwrap_or_default();
        let mut refused = Vec::new();
        for mut waiting in batch {
            let job = &mut waiting.content;
            let in_time = now + soonest <= waiting.place.deadline && !job.answer.is_closed();
            let may = elsewhere && in_time && job.failed_at.is_none();
            if may && self.members.retries.withdraw() {
                job.failed_at = Some(Arc::clone(endpoint));
                state.totals.retried += 1;
                state.queue.put_back(waiting);
            } else {
                refused.push(waiting);
            }
        }
        let summoned = state.summon(&[], now);
        drop(state);
        refuse(refused, error);
        start(self, summoned, Vec::new());
    }
}

/// The answer to each request of the batch. One that was sent alone has whatever came.
fn parts(answer: Answer, rows: &[usize]) -> Result<Vec<InferResponse>, InferError> {
    match rows {
        [_] => Ok(vec![answer?]),
        rows => merge::split(&answer?, rows),
    }
}

fn hand_out(batch: Batch, parts: Result<Vec<InferResponse>, InferError>) {
    match parts {
        Ok(parts) => {
            for (waiting, part) in batch.into_iter().zip(parts) {
                // A waiter that has left is no error.
                let _ = waiting.content.answer.send(Ok(part));
            }
        }
        Err(error) => refuse(batch, &error),
    }
}

/// Whether one request of a batch may have failed all of it.
fn blames_a_row(error: &InferError) -> bool {
    matches!(
        error,
        InferError::Caller { .. }
            | InferError::Model {
                fault: ModelFault::Failed | ModelFault::WrongOutput,
                ..
            }
    )
}

/// Whether another endpoint may answer what this one did not.
fn blames_the_endpoint(error: &InferError) -> bool {
    matches!(error, InferError::Server { .. } | InferError::Overloaded) || lacks_model(error)
}

fn lacks_model(error: &InferError) -> bool {
    matches!(
        error,
        InferError::Model {
            fault: ModelFault::Unknown | ModelFault::VersionGone | ModelFault::NotReady,
            ..
        }
    )
}
