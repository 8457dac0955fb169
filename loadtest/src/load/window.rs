//! The measured part of a run: after the warm-up, before the end.

use std::time::Duration;

use tokio::time::Instant;

/// Starts when it is made; what is asked before `from` warms up and is not counted.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The start of the run.
    pub start: Instant,
    /// The start of the measured part.
    pub from: Instant,
    /// The end of it: no question is asked after.
    pub to: Instant,
}

impl Window {
    /// A run that starts now.
    pub fn new(warm_up: Duration, measured: Duration) -> Self {
        let start = Instant::now();
        let from = start + warm_up;
        Self {
            start,
            from,
            to: from + measured,
        }
    }

    /// Whether an instant is in the measured part.
    pub fn holds(&self, instant: Instant) -> bool {
        self.from <= instant && instant < self.to
    }

    /// Length of the measured part.
    pub fn measured(&self) -> Duration {
        self.to - self.from
    }
}
