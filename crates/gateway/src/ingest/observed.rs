//! What an ingestion has done so far: written by its stages, read by whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use features::windows::Applied;

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    counted: AtomicU64,
    duplicates: AtomicU64,
    replayed: AtomicU64,
    late: AtomicU64,
    dead: AtomicU64,
    /// Bytes of files that are worked off, and that there are; 0 where nobody knows.
    done_bytes: AtomicU64,
    all_bytes: AtomicU64,
    /// Records that wait in topics.
    lag: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) counted: u64,
    pub(crate) duplicates: u64,
    pub(crate) replayed: u64,
    pub(crate) late: u64,
    pub(crate) dead: u64,
    pub(crate) done_bytes: u64,
    pub(crate) all_bytes: u64,
    pub(crate) lag: u64,
}

impl Observed {
    pub(crate) fn applied(&self, outcomes: &[Applied]) {
        for outcome in outcomes {
            let count = match outcome {
                Applied::Counted => &self.counted,
                Applied::Duplicate => &self.duplicates,
                Applied::Replayed => &self.replayed,
                Applied::Late => &self.late,
            };
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn dead(&self, letters: usize) {
        self.dead.fetch_add(letters as u64, Relaxed);
    }

    pub(crate) fn done_bytes(&self, bytes: u64) {
        self.done_bytes.store(bytes, Relaxed);
    }

    pub(crate) fn all_bytes(&self, bytes: u64) {
        self.all_bytes.store(bytes, Relaxed);
    }

    pub(crate) fn lag(&self, records: u64) {
        self.lag.store(records, Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            counted: self.counted.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
            replayed: self.replayed.load(Relaxed),
            late: self.late.load(Relaxed),
            dead: self.dead.load(Relaxed),
            done_bytes: self.done_bytes.load(Relaxed),
            all_bytes: self.all_bytes.load(Relaxed),
            lag: self.lag.load(Relaxed),
        }
    }
}

impl Counts {
    /// All that was read, events or not.
    pub(crate) fn read(&self) -> u64 {
        self.counted + self.duplicates + self.replayed + self.late + self.dead
    }
}
