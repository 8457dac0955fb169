//! Events become features, on real parts: `gavel ingest` and `POST /v1/events` with an embedded store, a
//! real Redis, and Kafka brokers that are frozen, gone and back.
//!
//! Whatever happens on the way, the features in the end are those of an undisturbed run.
//!
//! - `files.rs`: files and standard input, read on and read again;
//! - `bad.rs`: what is no event, a full disk, a topic that is not there;
//! - `topics.rs`: brokers frozen and gone, members that share a group, metrics;
//! - `killed.rs`: `kill -9` at any moment, and stores that are away;
//! - `posted.rs`: events over HTTP, and the decisions that see them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends here"
)]

#[path = "../support/mod.rs"]
mod support;

mod bad;
mod files;
mod killed;
mod posted;
mod topics;
mod world;
