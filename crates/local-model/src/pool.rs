//! The sessions of one model. `Session::run` wants a session to itself, so concurrent runs need
//! several.
//!
//! A run takes the first free session; only when all are busy does it wait. A thread holds at
//! most one session, so with as many sessions as threads that run the model nothing ever waits.

use std::sync::atomic::{AtomicUsize, Ordering};

use ort::session::Session;
use parking_lot::{Mutex, MutexGuard};

#[derive(Debug)]
pub(crate) struct Pool {
    sessions: Vec<Mutex<Session>>,
    next: AtomicUsize,
}

impl Pool {
    /// `first` and `more` sessions: a pool is never empty.
    pub(crate) fn new(first: Session, more: Vec<Session>) -> Self {
        Self {
            sessions: std::iter::once(first).chain(more).map(Mutex::new).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// A session for one run.
    pub(crate) fn take(&self) -> MutexGuard<'_, Session> {
        // The turning start keeps concurrent callers off each other's locks and, when all
        // sessions are busy, spreads those who wait.
        let start = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len();
        let (before, from) = self.sessions.split_at(start);
        from.iter()
            .chain(before)
            .find_map(Mutex::try_lock)
            .unwrap_or_else(|| self.sessions[start].lock())
    }
}
