//! Triton's facts that this crate relies on, against a real tritonserver.
//!
//! Loading a Python model takes seconds, so each file starts one server and goes through its
//! facts in order:
//!
//! - `answers.rs`: what comes back: types, sizes, descriptions, and errors word for word;
//! - `survival.rs`: impatient callers, SIGSTOP, kill -9, SIGTERM, restarts;
//! - `connection.rs`: the way to it breaks, and a Unix socket;
//! - `repository.rs`: loading, versions that retire, and `config.pbtxt` as Triton parses it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of a test fail as tests do"
)]

mod answers;
mod client;
mod connection;
mod repository;
mod survival;
