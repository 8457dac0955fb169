//! What a proxy does to its connections at the moment, as every one of them sees it.

use std::time::Duration;

/// What happens to bytes on their way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Fault {
    /// They pass.
    #[default]
    None,
    /// They arrive later.
    Delay(Duration),
    /// So many pass each interval.
    Trickle {
        /// At least one.
        bytes: usize,
        /// The interval.
        every: Duration,
    },
    /// The connection is closed after so many.
    CutAfter(usize),
}

/// The rules at a moment. What happens once is a count, so that no connection misses it however
/// fast the rules change.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    /// What happens to bytes.
    pub(super) fault: Fault,
    /// How many faults have begun, healing included: what is counted is counted from the last.
    pub(super) faults: u64,
    /// How often all connections were reset.
    pub(super) resets: u64,
    /// How often all connections went silent.
    pub(super) silences: u64,
    /// New connections are silent.
    pub(super) silent: bool,
}

impl Rules {
    pub(super) fn begin(&mut self, fault: Fault) {
        self.fault = fault;
        self.faults += 1;
    }

    pub(super) fn heal(&mut self) {
        self.begin(Fault::None);
        self.silent = false;
    }

    pub(super) fn black_hole(&mut self) {
        self.silences += 1;
        self.silent = true;
    }
}
