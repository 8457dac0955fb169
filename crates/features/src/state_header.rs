//! The head that every stored value begins with: what a store compares without knowing the rest.
//!
//! ```text
//! packed row (see `row`):        version:u8 = 1 | fingerprint:u64 | event time:i64        | …
//! state of a view from events:   version:u8 = 2 | fingerprint:u64 | newest event time:i64 | revision:u64 | …
//! ```
//! Little endian; times in microseconds since the Unix epoch. A state's revision is 1 when it is
//! first written, and one more each time. The places below are also in `store/redis/guarded_set.lua`.

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

/// The event time of a packed row or of a state.
pub(crate) fn event_time(bytes: &[u8]) -> Option<i64> {
    let stored = bytes.get(EVENT_TIME)?;
    stored.try_into().ok().map(i64::from_le_bytes)
}
