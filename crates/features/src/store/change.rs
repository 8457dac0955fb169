//! One key's new value, and the condition under which it replaces what is stored.
//!
//! Every store compares and writes in one step, so that two writers lose nothing: the embedded one
//! under a lock, Redis inside the server (`redis/guarded_set.lua`, which says the same as
//! [`Guard::allows`]).

use std::time::Duration;

use crate::state_header::{KIND, event_time, revision};

#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) guard: Guard,
    /// Removed this long after the write, where the store can.
    pub(super) expires_in: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Always.
    Free,
    /// Unless what is stored was written under the same definitions and is newer.
    NotOlder,
    /// If the stored state has this revision; 0 for one that is absent or is no state.
    Revision(u64),
}

impl Guard {
    pub(super) fn allows(self, stored: Option<&[u8]>, new: &[u8]) -> bool {
        match self {
            Guard::Free => true,
            Guard::NotOlder => !stored.is_some_and(|stored| {
                stored.get(KIND) == new.get(KIND) && event_time(stored) > event_time(new)
            }),
            Guard::Revision(expected) => stored.and_then(revision).unwrap_or(0) == expected,
        }
    }

    /// Whether a change that was made may be made once more, because nobody knows if it was.
    pub(super) fn may_repeat(self) -> bool {
        match self {
            Guard::Free | Guard::NotOlder => true,
            Guard::Revision(_) => false,
        }
    }
}
