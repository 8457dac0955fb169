//! Which endpoints there are, now: read by every call, changed at run time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tower::retry::budget::TpsBudget;

use crate::{endpoint::Endpoint, names::Name, options::EndpointOptions, schedule::Models};

/// Of a hundred requests, so many may be sent a second time…
const RETRY_SHARE: f32 = 0.2;
/// …and so many a second in any case.
const MIN_RETRIES_PER_SECOND: u32 = 10;
/// How long a request counts for the share.
const RETRY_MEMORY: Duration = Duration::from_secs(10);

/// The endpoints of a set, and what their queues share.
pub(crate) struct Members {
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    generation: AtomicU64,
    changing: Mutex<()>,
    pub(crate) options: EndpointOptions,
    /// Bound what is sent a second time, so that trouble is not answered with more load: to another
    /// endpoint,
    pub(crate) retries: TpsBudget,
    /// and to the same one in halves, to find the request at fault.
    pub(crate) halvings: TpsBudget,
    pub(crate) models: Mutex<Models>,
    /// Names whose addresses are members, now.
    pub(crate) names: Vec<Name>,
}

impl Members {
    pub(crate) fn new(
        endpoints: Vec<Arc<Endpoint>>,
        names: Vec<Name>,
        options: EndpointOptions,
    ) -> Arc<Self> {
        let budget = || TpsBudget::new(RETRY_MEMORY, MIN_RETRIES_PER_SECOND, RETRY_SHARE);
        Arc::new(Self {
            names,
            endpoints: ArcSwap::from_pointee(endpoints),
            generation: AtomicU64::new(1),
            changing: Mutex::new(()),
            options,
            retries: budget(),
            halvings: budget(),
            models: Mutex::new(Models::new()),
        })
    }

    pub(crate) fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Grows with every change.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Changes which endpoints there are. Those that go finish the calls that are out.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Vec<Arc<Endpoint>>) -> T) -> T {
        let _one_at_a_time = self.changing.lock();
        let mut endpoints = self.endpoints().to_vec();
        let outcome = change(&mut endpoints);
        self.endpoints.store(Arc::new(endpoints));
        self.generation.fetch_add(1, Ordering::Release);
        outcome
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.endpoints().iter()).finish()
    }
}
