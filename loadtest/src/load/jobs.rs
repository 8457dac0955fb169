//! Questions that are due, and the callers that wait for one. All on one thread.
//!
//! The caller that became free last is woken first: its connection is warm, and no more callers
//! are in use than are needed.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use tokio::time::Instant;

/// One question to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// When it should be sent.
    pub(super) intended: Instant,
    /// Its place.
    pub(super) question: usize,
}

/// A queue that several callers take from.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs(Rc<RefCell<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    due: VecDeque<Job>,
    idle: Vec<Waker>,
    closed: bool,
}

impl Jobs {
    /// Adds a job. False when nobody waits for one.
    pub(super) fn push(&self, job: Job) -> bool {
        let mut inner = self.0.borrow_mut();
        inner.due.push_back(job);
        let idle = inner.idle.pop();
        drop(inner);
        idle.map(Waker::wake).is_some()
    }

    /// The next job; `None` when there are none and never will be.
    pub(super) async fn next(&self) -> Option<Job> {
        poll_fn(|context| {
            let mut inner = self.0.borrow_mut();
            match inner.due.pop_front() {
                Some(job) => Poll::Ready(Some(job)),
                None if inner.closed => Poll::Ready(None),
                None => {
                    inner.idle.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// No more will come.
    pub(super) fn close(&self) {
        let mut inner = self.0.borrow_mut();
        inner.closed = true;
        let idle = std::mem::take(&mut inner.idle);
        drop(inner);
        idle.into_iter().for_each(Waker::wake);
    }

    /// Takes what nobody has begun.
    pub(super) fn drain(&self) -> VecDeque<Job> {
        std::mem::take(&mut self.0.borrow_mut().due)
    }
}
