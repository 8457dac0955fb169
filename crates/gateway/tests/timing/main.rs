//! Deadlines, slices and fallbacks, exactly: the whole gateway on a paused clock, in front of a
//! scripted Triton that is reached through pipes in memory.
//!
//! - `deadlines.rs`: who is awaited until when, and what answers instead;
//! - `health.rs`: what opens the breaker, and what does not;
//! - `models.rs`: models that come, change and do not fit;
//! - `overload.rs`: more requests than there is room or time for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends here"
)]

mod deadlines;
mod harness;
mod health;
mod models;
mod overload;
