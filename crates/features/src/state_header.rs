//! The head that every stored value begins with: what a store compares without knowing the rest.
//!
//! ```text
//! packed row (see `row`):        version:u8 = 1 | fingerprint:u64 | event time:i64        | …
//! state of a view from events:   version:u8 = 2 | fingerprint:u64 | newest event time:i64 | revision:u64 | …
//! ```
//! Little endian; times in microseconds since the Unix epoch. A state's revision names one write of
//! it, unlike any other of any writer, and is never 0. No count would do: a store that fails over to
//! a replica that lags goes back, and a count then comes to what it was with other content behind
//! it. The places below are also in `store/redis/guarded_set.lua`.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

/// The version of a state's bytes.
pub(crate) const STATE_VERSION: u8 = 2;
/// Version and fingerprint: two values whose bytes are equal here were written under the same
/// definitions, and their event times may be compared.
pub(crate) const KIND: Range<usize> = 0..9;
pub(crate) const EVENT_TIME: Range<usize> = 9..17;
pub(crate) const REVISION: Range<usize> = 17..25;

/// The revision of a stored state; `None` for bytes that are none.
pub fn revision(bytes: &[u8]) -> Option<u64> {
    let stored = bytes.get(REVISION)?;
    let version = bytes.first()?;
    (*version == STATE_VERSION).then(|| u64::from_le_bytes(stored.try_into().unwrap_or_default()))
}

/// A revision for the next write of a state: 64 random bits, so that no other write of any process
/// has it, and never 0.
pub fn new_revision() -> u64 {
    // The keys differ from call to call and from process to process.
    RandomState::new().build_hasher().finish().max(1)
}

/// The event time of a packed row or of a state.
pub(crate) fn event_time(bytes: &[u8]) -> Option<i64> {
    let stored = bytes.get(EVENT_TIME)?;
    stored.try_into().ok().map(i64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::new_revision;

    #[test]
    fn no_revision_comes_twice_on_any_thread_and_none_is_0() {
        const EACH: usize = 10_000;
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..EACH).map(|_| new_revision()).collect::<Vec<_>>()))
            .collect();
        let mut seen = HashSet::from([0]);
        for thread in threads {
            seen.extend(thread.join().unwrap());
        }
        assert_eq!(seen.len(), 4 * EACH + 1);
    }
}
