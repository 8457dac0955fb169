//! Which request goes to which endpoint, when, and together with which others: deadline first.
//!
//! ```text
//!  Scheduler::infer                                            one model's queue
//!     | enqueue.rs   too late? all breakers open? --> error, at once
//!     v
//!  Queue (queue.rs)  by deadline; too much for the time (shed.rs)? --> the least worthy leaves: Overloaded
//!     |   \__ its last moment passes while it waits --> it leaves: Infeasible
//!     v
//!  pull (pull.rs)    an endpoint with a free slot (slots.rs) takes the most urgent rows that it can
//!     |              make in time, as one call (merge.rs)
//!     v
//!  ModelInfer        --> its rows, to whom they belong
//!                    --> a row's fault: the batch in halves, until it is alone (merge.rs)
//!                    --> the endpoint's fault: once more, elsewhere, as deadlines and a budget allow
//! ```
//!
//! An endpoint that is idle is given what waits at once; nobody waits to fill a batch. Batches grow
//! by themselves, because while calls are out the rows that come in wait together.
//!
//! What lives here: the order, the merging, the spreading and the judging. What does not: what to do
//! without an answer, which is the caller's next tier.

mod batching;
mod enqueue;
mod lane;
mod merge;
mod outlier;
mod pull;
mod queue;
mod shed;
mod size;
mod slots;
mod state;

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

pub use self::batching::Batching;
pub use self::state::{LaneState, QueueState, QueueTotals};
use self::{queue::Flow, state::State};
use crate::{
    error::InferError,
    infer::{InferRequest, InferResponse},
    members::Members,
};

/// Asks one model, for one decision. Cloning is cheap and shares the queue.
#[derive(Clone)]
pub struct Scheduler {
    model: Arc<Model>,
    flow: Flow,
}

/// One model's queue over a set of endpoints. It lives as long as somebody asks it or waits in it.
pub(crate) struct Model {
    name: Arc<str>,
    version: Option<Arc<str>>,
    batching: Batching,
    members: Arc<Members>,
    state: Mutex<State>,
}

/// Models by name, version and batching: whoever asks the same one waits in the same queue.
pub(crate) type Models = HashMap<ModelKey, std::sync::Weak<Model>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ModelKey {
    name: String,
    version: Option<String>,
    batching: Batching,
}

impl Scheduler {
    pub(crate) fn new(
        members: &Arc<Members>,
        name: &str,
        version: Option<&str>,
        batching: Batching,
        flow: &str,
    ) -> Self {
        let key = ModelKey {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            batching: batching.clone(),
        };
        let mut models = members.models.lock();
        models.retain(|_, model| model.strong_count() > 0);
        let model = models.get(&key).and_then(std::sync::Weak::upgrade);
        let model = model.unwrap_or_else(|| {
            let state = State::new(members, &batching, Instant::now());
            let model = Arc::new(Model {
                name: name.into(),
                version: version.map(Arc::from),
                batching,
                members: Arc::clone(members),
                state: Mutex::new(state),
            });
            models.insert(key, Arc::downgrade(&model));
            model
        });
        drop(models);
        let flow = model.state.lock().flow(flow);
        Self { model, flow }
    }

    /// Answers by `deadline`, whatever the servers do; when nothing comes, the answer is as late as
    /// the timer, which may fire up to 2 ms late. So with less than that left, nothing is sent and
    /// the answer is [`InferError::Infeasible`].
    ///
    /// The request waits for a slot, ordered by deadline, and may travel together with others. When
    /// more waits than can be answered in time, those with the least `worth` (NaN is least) leave
    /// with [`InferError::Overloaded`]. When the waiter leaves (at the deadline, or because this
    /// future is dropped) a call that is on the wire runs on by itself; see `call.rs` for why.
    ///
    /// Others' rows may ride on the call that this future makes, so poll it to its end or drop it: one
    /// that is kept and not polled holds them up.
    ///
    /// # Errors
    /// See [`InferError`]. One row's fault is its own, however it travelled.
    pub async fn infer(
        &self,
        request: InferRequest,
        worth: f64,
        deadline: Instant,
    ) -> Result<InferResponse, InferError> {
        let waiter = self.model.enqueue(self.flow, request, worth, deadline)?;
        waiter.answer().await
    }
}

impl Model {
    /// The state, of the endpoints that there are now.
    fn locked(&self, now: Instant) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.follow(&self.members, now);
        state
    }

    pub(crate) fn state(&self) -> QueueState {
        let now = Instant::now();
        let state = self.locked(now);
        state.describe(&self.name, self.version.as_ref(), now)
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.model.state().fmt(f)
    }
}
