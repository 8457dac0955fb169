//! What one model's queue knows, behind one lock: who waits, and what each endpoint can do.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{
    batching::Batching,
    lane::Lane,
    outlier,
    queue::{Flow, Place, Queue, Waiting},
    shed,
};
use crate::{
    call::Answer, endpoint::Endpoint, error::InferError, infer::InferRequest, members::Members,
};

/// Endpoints whose calls take at most so many times as long as the fastest one's share the load evenly.
const AS_FAST: u32 = 2;

/// A request and who waits for it.
pub(crate) struct Job {
    pub(crate) request: InferRequest,
    pub(crate) answer: oneshot::Sender<Answer>,
    /// Where it failed before: it is not sent there again.
    pub(crate) failed_at: Option<Arc<Endpoint>>,
}

/// One model's queue as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// The model.
    pub model: Arc<str>,
    /// Its version; `None` for whichever is the newest.
    pub version: Option<Arc<str>>,
    /// Rows that wait for a slot.
    pub waiting_rows: usize,
    /// Counts since the queue began.
    pub totals: QueueTotals,
    /// What each endpoint can do for the model.
    pub lanes: Vec<LaneState>,
}

/// One model at one endpoint as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneState {
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// Calls that it is given at a time.
    pub slots: usize,
    /// Calls of the model that are out and prompt.
    pub in_use: usize,
    /// How long a call of one row is expected to take; `None` when none came back lately.
    pub predicted: Option<Duration>,
    /// Why it is given no calls of the model, where it said that it does not serve it.
    pub absent: Option<String>,
}

/// Counts since a queue began. Requests that were merged count each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueTotals {
    /// Rows that were sent.
    pub rows: u64,
    /// Calls that carried them.
    pub calls: u64,
    /// Requests that left because more waited than could be answered in time.
    pub shed: u64,
    /// Requests whose last moment passed while they waited.
    pub expired: u64,
    /// Requests that were sent once more, to another endpoint.
    pub retried: u64,
    /// Calls that were halved to find the request at fault.
    pub halved: u64,
}

pub(crate) struct State {
    pub(crate) queue: Queue<Job>,
    pub(crate) lanes: Vec<Lane>,
    /// Those of endpoints that went while calls were out, should they come back meanwhile.
    gone: Vec<Lane>,
    pub(crate) totals: QueueTotals,
    /// Pulls that were started and have not looked at the queue yet: they will take what waits.
    pub(crate) on_their_way: usize,
    /// The most urgent row was not in time for the last batch: the next one goes by it.
    pub(crate) passed_over: bool,
    flows: Vec<String>,
    generation: u64,
    instances: usize,
    max_rows: usize,
    turn: usize,
}

impl State {
    pub(crate) fn new(members: &Members, batching: &Batching, now: Instant) -> Self {
        let mut state = Self {
            queue: Queue::new(),
            lanes: Vec::new(),
            gone: Vec::new(),
            totals: QueueTotals::default(),
            on_their_way: 0,
            passed_over: false,
            flows: Vec::new(),
            generation: 0,
            instances: batching.instances,
            max_rows: batching.max_rows,
            turn: 0,
        };
        state.follow(members, now);
        state
    }

    /// The flow of that name.
    pub(crate) fn flow(&mut self, name: &str) -> Flow {
        let known = self.flows.iter().position(|flow| flow == name);
        known.unwrap_or_else(|| {
            self.flows.push(name.to_owned());
            self.flows.len() - 1
        })
    }

    /// Takes in which endpoints there are now. Those that stay keep what is known of them.
    pub(crate) fn follow(&mut self, members: &Members, now: Instant) {
        let generation = members.generation();
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        let mut before = std::mem::take(&mut self.lanes);
        before.append(&mut self.gone);
        let endpoints = members.endpoints();
        self.lanes.extend(endpoints.iter().map(|endpoint| {
            let known = before.iter().position(|lane| lane.is_of(endpoint));
            known.map_or_else(
                || Lane::new(Arc::clone(endpoint), self.instances, now),
                |index| before.swap_remove(index),
            )
        }));
        before.retain(|lane| lane.slots.in_use() > 0);
        self.gone = before;
    }

    /// The endpoint's slot is free again.
    pub(crate) fn give_back(&mut self, endpoint: &Arc<Endpoint>) {
        let mut lanes = self.lanes.iter_mut().chain(&mut self.gone);
        if let Some(lane) = lanes.find(|lane| lane.is_of(endpoint)) {
            lane.slots.give_back();
        }
    }

    pub(crate) fn lane(&mut self, endpoint: &Arc<Endpoint>) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.is_of(endpoint))
    }

    /// How soon a call of so many rows could be back: `None` if nobody can say, or it is time to find
    /// out anew.
    pub(crate) fn soonest(&self, rows: usize, now: Instant) -> Option<Duration> {
        let mut soonest = None;
        for lane in self.lanes.iter().filter(|lane| lane.in_service(now)) {
            let takes = lane.times.hoped(rows, now)?;
            soonest = Some(soonest.map_or(takes, |soonest: Duration| soonest.min(takes)));
        }
        soonest
    }

    /// Whether any endpoint could answer a request of so many rows within `left`.
    pub(crate) fn could_answer(
        &self,
        rows: usize,
        left: Duration,
        now: Instant,
    ) -> Result<(), InferError> {
        let (mut soonest, mut error) = (None::<Duration>, None);
        for lane in &self.lanes {
            if let Some(lacks_model) = lane.absent(now) {
                error = Some(lacks_model.clone());
                continue;
            }
            if !lane.endpoint.would_admit(now) {
                continue;
            }
            if !lane.endpoint.has_room() {
                error = Some(InferError::Overloaded);
                continue;
            }
            match lane.times.hoped(rows, now) {
                Some(takes) if takes > left => {
                    soonest = Some(soonest.map_or(takes, |soonest| soonest.min(takes)));
                }
                _ => return Ok(()),
            }
        }
        match (soonest, error) {
            (Some(predicted), _) => Err(InferError::Infeasible { predicted }),
            (None, Some(error)) => Err(error),
            (None, None) if self.lanes.is_empty() => Err(InferError::Server {
                message: "there is no endpoint".to_owned(),
            }),
            (None, None) => Err(InferError::BreakerOpen),
        }
    }

    /// Takes out what no endpoint could answer in time any more.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Waiting<Job>> {
        let soonest = self.soonest(1, now).unwrap_or_default();
        let expired = self.queue.expire(now + soonest);
        self.totals.expired += expired.len() as u64;
        expired
    }

    /// Takes out everything if nobody is there to pull, and says why.
    pub(crate) fn stranded(&mut self, now: Instant) -> (Vec<Waiting<Job>>, InferError) {
        if self.queue.rows() == 0 || self.anybody_in_service(now) {
            return (Vec::new(), InferError::BreakerOpen);
        }
        let why = self.could_answer(1, Duration::MAX, now);
        (
            self.queue.drain(),
            why.err().unwrap_or(InferError::BreakerOpen),
        )
    }

    /// Whether another endpoint could take what this one did not answer.
    pub(crate) fn is_served_elsewhere(&self, endpoint: &Arc<Endpoint>, now: Instant) -> bool {
        let mut others = self.lanes.iter().filter(|lane| !lane.is_of(endpoint));
        others.any(|lane| lane.in_service(now))
    }

    /// A call that carried so many rows was sent.
    pub(crate) fn sent(&mut self, rows: usize) {
        self.totals.rows += rows as u64;
        self.totals.calls += 1;
    }

    /// Whether anybody is there to pull.
    fn anybody_in_service(&self, now: Instant) -> bool {
        self.lanes.iter().any(|lane| lane.in_service(now))
    }

    /// Takes out what cannot be answered in time because of what waits before it; nothing while those
    /// on their way will take all that waits.
    pub(crate) fn shed(&mut self, now: Instant) -> Vec<Waiting<Job>> {
        if self.queue.rows() <= self.on_their_way * self.max_rows {
            return Vec::new();
        }
        let shed = shed::shed(&mut self.queue, &self.lanes, self.max_rows, now);
        self.totals.shed += shed.len() as u64;
        shed
    }

    /// Finds an endpoint that should pull, if more waits than those on their way will take, and gives
    /// it a slot. Not one of those that `passed`: they have no use for what waits.
    pub(crate) fn summon(
        &mut self,
        passed: &[Arc<Endpoint>],
        now: Instant,
    ) -> Option<Arc<Endpoint>> {
        if self.queue.rows() <= self.on_their_way * self.max_rows {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        let lanes = self.lanes.len();
        let free = |lane: &&mut Lane| {
            lane.slots.is_free()
                && lane.in_service(now)
                && !passed.iter().any(|endpoint| lane.is_of(endpoint))
        };
        let predicted = |lane: &Lane| lane.times.predicted(1, now).unwrap_or_default();
        let fastest = self
            .lanes
            .iter_mut()
            .filter(free)
            .map(|lane| predicted(lane))
            .min()?;
        let turn = self.turn;
        let rank = |(index, lane): &(usize, &mut Lane)| {
            let is_slow = predicted(lane) > fastest * AS_FAST;
            // Whoever is to be probed goes first: nobody else finds out whether it is well.
            let healthy = lane.endpoint.is_closed();
            (
                healthy,
                is_slow,
                lane.slots.in_use(),
                (index + turn) % lanes,
            )
        };
        let free = |(_, lane): &(usize, &mut Lane)| free(lane);
        let (_, lane) = self
            .lanes
            .iter_mut()
            .enumerate()
            .filter(free)
            .min_by_key(rank)?;
        lane.slots.take();
        self.on_their_way += 1;
        Some(Arc::clone(&lane.endpoint))
    }

    /// Ejects the endpoint if it has been slower than the others for a while, and enough others are left.
    pub(crate) fn judge_outlier(&mut self, endpoint: &Arc<Endpoint>, rows: usize, now: Instant) {
        let out = self.lanes.iter().filter(|lane| !lane.endpoint.is_closed());
        let out = out.count();
        let (limit, endpoints) = (self.limit(endpoint, rows, now), self.lanes.len());
        let Some(lane) = self.lane(endpoint) else {
            return;
        };
        let Some(own) = lane.times.predicted(rows, now) else {
            return;
        };
        if lane.is_outlier(own, limit, now)
            && let Some(limit) = limit
            && outlier::may_eject(endpoints, out)
        {
            lane.endpoint.eject(&format!(
                "its calls take {own:?}, and those of the others suggest at most {limit:?}"
            ));
        }
    }

    /// The longest that a call of the endpoint may take if it is not to stand out from the others'.
    /// They are held against it by calls of at least as many rows, so it is not blamed for its size.
    pub(crate) fn limit(
        &self,
        endpoint: &Arc<Endpoint>,
        rows: usize,
        now: Instant,
    ) -> Option<Duration> {
        let mut others: Vec<Duration> = self
            .lanes
            .iter()
            .filter(|lane| !lane.is_of(endpoint) && lane.endpoint.is_closed())
            .filter_map(|lane| lane.times.at_most(rows, now))
            .collect();
        outlier::limit(&mut others)
    }

    /// The last moment at which it is worth waiting for a slot.
    pub(crate) fn last_moment(&self, place: &Place, rows: usize, now: Instant) -> Instant {
        let needed = self.soonest(rows, now).unwrap_or_default();
        place.deadline.checked_sub(needed).unwrap_or(now)
    }

    pub(crate) fn describe(
        &self,
        model: &Arc<str>,
        version: Option<&Arc<str>>,
        now: Instant,
    ) -> QueueState {
        let lanes = self.lanes.iter().map(|lane| LaneState {
            endpoint: lane.endpoint.name().into(),
            slots: lane.slots.limit(),
            in_use: lane.slots.in_use(),
            predicted: lane.times.predicted(1, now),
            absent: lane.absent(now).map(ToString::to_string),
        });
        QueueState {
            model: Arc::clone(model),
            version: version.cloned(),
            waiting_rows: self.queue.rows(),
            totals: self.totals,
            lanes: lanes.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dial::Dial, members::Source, options::EndpointOptions};

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_comes_back_has_the_calls_that_are_out() {
        let (options, now) = (EndpointOptions::default(), Instant::now());
        let dial = Dial::to("127.0.0.1:1", &options).expect("a URL");
        let endpoint = dial.endpoint(&options);
        let members = Members::new(Vec::new(), options);
        let source = Source::Dns("name".into());
        members.follow(&source, vec![Arc::clone(&endpoint)]);
        let mut state = State::new(&members, &Batching::none(), now);
        let in_use = |state: &State| -> Vec<usize> {
            state.lanes.iter().map(|lane| lane.slots.in_use()).collect()
        };
        state.lanes[0].slots.take();
        state.lanes[0].slots.take();
        assert!(members.remove(endpoint.name()));
        state.follow(&members, now);
        assert!(in_use(&state).is_empty());
        state.give_back(&endpoint);
        assert!(members.add(Arc::clone(&endpoint)));
        state.follow(&members, now);
        assert_eq!(in_use(&state), [1]);
    }
}
