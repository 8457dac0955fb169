//! A closed loop: each caller asks its next question when it has the answer to the last.

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

use super::{Caller, Tally, Window};

/// Runs the callers until the window ends, and returns the books. Must run inside a
/// [`tokio::task::LocalSet`].
///
/// Each caller asks questions at random, by a seed that follows from `seed`. An answer that has not
/// come `patience` after the end is given up on.
pub async fn closed_loop<C: Caller + 'static>(
    callers: Vec<C>,
    questions: usize,
    seed: u64,
    window: Window,
    patience: Duration,
    tally: Tally,
) -> Tally {
    let tally = Rc::new(RefCell::new(tally));
    let waiting = Rc::new(RefCell::new(vec![None; callers.len()]));
    let mut tasks = JoinSet::new();
    for (i, mut caller) in callers.into_iter().enumerate() {
        let (tally, waiting) = (Rc::clone(&tally), Rc::clone(&waiting));
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(i as u64));
        tasks.spawn_local(async move {
            loop {
                let sent = Instant::now();
                if sent >= window.to {
                    return;
                }
                waiting.borrow_mut()[i] = Some(sent);
                let question = rng.usize(..questions);
                let outcome = caller.call(question).await;
                waiting.borrow_mut()[i] = None;
                tally
                    .borrow_mut()
                    .record(sent, Instant::now(), question, outcome);
            }
        });
    }
    let all = async { while tasks.join_next().await.is_some() {} };
    if time::timeout_at(window.to + patience, all).await.is_err() {
        let unanswered = waiting.borrow_mut().drain(..).flatten().collect::<Vec<_>>();
        for sent in unanswered {
            tally.borrow_mut().give_up(sent);
        }
    }
    tasks.shutdown().await;
    let tally = tally.borrow();
    tally.clone()
}
