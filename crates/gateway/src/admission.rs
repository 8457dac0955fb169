//! Admission is a value that moves: work without a permit does not compile.
//!
//! The limit is on decisions being made, not on connections or bodies being read, so that a caller who
//! sends slowly holds nothing that others need.

use std::{sync::Arc, time::Duration};

use metrics::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    diagnostic::count,
    rejection::{Kind, Rejection},
    telemetry::Overload,
};

/// When a caller who was refused because of too much work may come back.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many decisions may be made at once.
#[derive(Debug)]
pub struct Admission {
    slots: Arc<Semaphore>,
    limit: usize,
    refused: Counter,
}

/// The right to make one decision; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _slot: OwnedSemaphorePermit,
}

impl Admission {
    /// Admits up to `limit` decisions at once.
    pub fn new(limit: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(limit)),
            limit,
            refused: Overload::InFlight.counter(),
        }
    }

    /// A permit at once, or a refusal at once: waiting would spend the caller's budget.
    pub fn admit(&self) -> Result<Permit, Rejection> {
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => Ok(Permit { _slot: slot }),
            Err(_) => {
                self.refused.increment(1);
                let limit = count(self.limit, "decision");
                let detail =
                    format!("as many as are made at once, {limit}, are being made already");
                Err(Rejection::new(Kind::Overloaded, detail).retry_after(RETRY_AFTER))
            }
        }
    }

    /// How many it admits at once.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Decisions being made now.
    pub fn in_flight(&self) -> usize {
        self.limit - self.slots.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_the_limit_is_refused_until_a_permit_is_dropped() {
        let admission = Admission::new(2);
        let first = admission.admit().unwrap();
        let _second = admission.admit().unwrap();
        assert_eq!(admission.admit().unwrap_err().kind, Kind::Overloaded);
        drop(first);
        assert_eq!(admission.in_flight(), 1);
        assert!(admission.admit().is_ok());
    }
}
