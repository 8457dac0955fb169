//! One measurement: one system under one load, with what it cost its processes.

use std::{io, rc::Rc, time::Duration};

use tokio::{
    task,
    time::{self, Instant},
};

use crate::{
    expected::Expected,
    load::{Caller, FinePacer, OpenLoop, Poisson, Tally, Window, closed_loop, open_loop},
    os::{ProcessGroup, own_cpu},
    wire::{AnyCaller, Target},
};

/// More callers at once than any system answers within its budget.
const MAX_CALLERS: usize = 4_096;
const FEWEST_CALLERS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(2);
const MEMORY_EVERY: Duration = Duration::from_millis(200);

/// How much is asked.
#[derive(Clone, Debug)]
pub enum Load {
    /// So many callers, each asking its next question when it has its answer.
    Closed {
        /// How many.
        callers: usize,
    },
    /// A Poisson process.
    Open {
        /// Arrivals a second.
        rate: f64,
    },
    /// Arrivals at these offsets from the start.
    Trace(Rc<[Duration]>),
}

/// Whose costs are counted; what a system does not have is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Groups {
    /// Gavel, or the pipe.
    pub gateway: Option<ProcessGroup>,
    /// Triton with its backends' processes.
    pub triton: Option<ProcessGroup>,
    /// The online store.
    pub store: Option<ProcessGroup>,
}

/// What is measured, for how long.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// How much is asked.
    pub load: Load,
    /// How many distinct questions there are.
    pub questions: usize,
    /// Arrivals and the order of questions follow from it.
    pub seed: u64,
    /// An answer after it is late.
    pub budget: Duration,
    /// Not counted.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
    /// The right answers.
    pub expected: Rc<Expected>,
}

/// CPU time a decision in microseconds; `None` where there is no such process.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CpuUs {
    /// Gavel, or the pipe.
    pub gateway: Option<f64>,
    /// Triton with its backends' processes.
    pub triton: Option<f64>,
    /// The online store.
    pub store: Option<f64>,
}

/// What was found.
#[derive(Debug)]
pub struct Measured {
    /// The books.
    pub tally: Tally,
    /// What a decision cost, of those answered inside the window.
    pub cpu_us: CpuUs,
    /// What a decision cost the loader.
    pub loader_cpu_us: f64,
    /// The gateway's resident memory when the window began, and the most that was seen in it.
    pub resident_bytes: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    gateway: Option<Duration>,
    triton: Option<Duration>,
    store: Option<Duration>,
    loader: Duration,
}

/// Runs one measurement. Must run inside a [`tokio::task::LocalSet`].
///
/// # Errors
/// The operating system gives no timer.
pub async fn measure(
    target: &Target,
    groups: Groups,
    measurement: &Measurement,
) -> io::Result<Measured> {
    let pacer = FinePacer::new()?;
    let callers = connected(target, measurement).await;
    let window = Window::new(measurement.warm_up, measurement.measured);
    let tally = Tally::new(window, measurement.budget, Rc::clone(&measurement.expected));
    let (tally, (before, after, resident_bytes)) = tokio::join!(
        drive(target, measurement, callers, pacer, window, tally),
        observe(groups, window)
    );
    let decisions = tally.answered_in_window.max(1) as f64;
    let cost = |before: Duration, after: Duration| {
        after.saturating_sub(before).as_secs_f64() * 1e6 / decisions
    };
    let group_cost = |before: Option<_>, after: Option<_>| Some(cost(before?, after?));
    Ok(Measured {
        cpu_us: CpuUs {
            gateway: group_cost(before.gateway, after.gateway),
            triton: group_cost(before.triton, after.triton),
            store: group_cost(before.store, after.store),
        },
        loader_cpu_us: cost(before.loader, after.loader),
        resident_bytes,
        tally,
    })
}

async fn drive(
    target: &Target,
    measurement: &Measurement,
    callers: Vec<AnyCaller>,
    pacer: FinePacer,
    window: Window,
    tally: Tally,
) -> Tally {
    let &Measurement {
        questions, seed, ..
    } = measurement;
    let new_caller = || target.caller();
    let plan = OpenLoop {
        questions,
        seed,
        max_callers: MAX_CALLERS,
        patience: PATIENCE,
    };
    match &measurement.load {
        Load::Closed { .. } => closed_loop(callers, questions, seed, window, PATIENCE, tally).await,
        Load::Open { rate } => {
            let arrivals = Poisson::new(*rate, seed);
            open_loop(plan, arrivals, pacer, callers, new_caller, window, tally).await
        }
        Load::Trace(arrivals) => {
            let arrivals = arrivals.iter().copied();
            open_loop(plan, arrivals, pacer, callers, new_caller, window, tally).await
        }
    }
}

/// Callers that are connected before the start. An open loop has as many as it needs while answers
/// take the whole budget; when they take longer it opens more, as real callers would.
async fn connected(target: &Target, measurement: &Measurement) -> Vec<AnyCaller> {
    let count = match &measurement.load {
        Load::Closed { callers } => *callers,
        Load::Open { rate } => {
            let in_a_budget = (rate * measurement.budget.as_secs_f64()) as usize;
            in_a_budget.clamp(FEWEST_CALLERS, MAX_CALLERS)
        }
        Load::Trace(_) => FEWEST_CALLERS,
    };
    let mut callers: Vec<_> = (0..count).map(|_| target.caller()).collect();
    for caller in &mut callers {
        caller.prepare().await;
    }
    callers
}

/// Reads costs at both edges of the window, off the loader's thread, and memory in between.
async fn observe(groups: Groups, window: Window) -> (Spent, Spent, Option<(u64, u64)>) {
    time::sleep_until(window.from).await;
    let before = spent(groups).await;
    let mut memory = None;
    while Instant::now() < window.to {
        if let Some(gateway) = groups.gateway {
            let now = gateway.leader_resident_bytes();
            let (first, most) = memory.unwrap_or((now, now));
            memory = Some((first, most.max(now)));
        }
        time::sleep_until(window.to.min(Instant::now() + MEMORY_EVERY)).await;
    }
    (before, spent(groups).await, memory)
}

async fn spent(groups: Groups) -> Spent {
    let read = move || Spent {
        gateway: groups.gateway.map(ProcessGroup::cpu),
        triton: groups.triton.map(ProcessGroup::cpu),
        store: groups.store.map(ProcessGroup::cpu),
        loader: own_cpu(),
    };
    // Without the thread, on this one.
    task::spawn_blocking(read).await.unwrap_or_else(|_| read())
}
