//! An open loop: questions are sent when they are due, whatever became of the earlier ones.
//!
//! ```text
//! arrivals ── due ──► jobs ──► an idle caller, else a new one, up to `max_callers` ──► books
//!                        └── nobody free and no more allowed: it waits, and the wait counts
//! ```

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{
    task::{self, JoinSet},
    time::{self, Instant},
};

use super::{
    Caller, Pacer, Tally, Window,
    jobs::{Job, Jobs},
};

/// How long what was sent is waited for, when patience with what was not has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// What an open loop is told.
#[derive(Clone, Copy, Debug)]
pub struct OpenLoop {
    /// How many distinct questions there are.
    pub questions: usize,
    /// Which of them are asked follows from it.
    pub seed: u64,
    /// Callers at once; one more question waits for one to become free.
    pub max_callers: usize,
    /// How long after the end a question that is due is still sent.
    pub patience: Duration,
}

/// Asks a question at each arrival inside the window, and returns the books. `callers` are there from
/// the start. Must run inside a [`tokio::task::LocalSet`].
pub async fn open_loop<C: Caller + 'static>(
    plan: OpenLoop,
    arrivals: impl IntoIterator<Item = Duration>,
    mut pacer: impl Pacer,
    callers: Vec<C>,
    mut new_caller: impl FnMut() -> C,
    window: Window,
    tally: Tally,
) -> Tally {
    let tally = Rc::new(RefCell::new(tally));
    let jobs = Jobs::default();
    let asking = Rc::new(RefCell::new(Vec::new()));
    let mut tasks = JoinSet::new();
    let spawn = |tasks: &mut JoinSet<()>, caller| {
        let asking = (Rc::clone(&asking), tasks.len());
        asking.0.borrow_mut().push(None);
        tasks.spawn_local(ask(caller, jobs.clone(), Rc::clone(&tally), asking));
    };
    for caller in callers {
        spawn(&mut tasks, caller);
    }
    task::yield_now().await;
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    for offset in arrivals {
        let intended = window.start + offset;
        if intended >= window.to {
            break;
        }
        if intended > Instant::now() {
            pacer.until(intended).await;
        } else {
            task::yield_now().await; // late ourselves: let callers send before more is due
        }
        let question = rng.usize(..plan.questions);
        if !jobs.push(Job { intended, question }) && tasks.len() < plan.max_callers {
            spawn(&mut tasks, new_caller());
        }
    }
    jobs.close();
    let sending = time::timeout_at(window.to + plan.patience, all_ended(&mut tasks));
    if sending.await.is_err() {
        for job in jobs.drain() {
            tally.borrow_mut().give_up(job.intended);
        }
        // What was sent is waited for: cancelling thousands of calls at once may end a Triton.
        if time::timeout(LAST_ANSWERS, all_ended(&mut tasks))
            .await
            .is_err()
        {
            for intended in asking.borrow_mut().drain(..).flatten() {
                tally.borrow_mut().give_up(intended);
            }
        }
    }
    tasks.shutdown().await;
    let tally = tally.borrow();
    tally.clone()
}

async fn all_ended(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// What each caller is out for: when it was meant to be sent.
type Asking = (Rc<RefCell<Vec<Option<Instant>>>>, usize);

async fn ask(
    mut caller: impl Caller,
    jobs: Jobs,
    tally: Rc<RefCell<Tally>>,
    (asking, place): Asking,
) {
    while let Some(Job { intended, question }) = jobs.next().await {
        tally.borrow_mut().sent(intended, Instant::now());
        asking.borrow_mut()[place] = Some(intended);
        let outcome = caller.call(question).await;
        asking.borrow_mut()[place] = None;
        tally
            .borrow_mut()
            .record(intended, Instant::now(), question, outcome);
    }
}
