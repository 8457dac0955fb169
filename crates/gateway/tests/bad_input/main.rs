//! What comes in wrong, from callers and from those who start the process: each case gets its own
//! clear error; none is a 500, none panics, none takes the process down.
//!
//! - `requests.rs`: questions in JSON that are wrong;
//! - `routes.rs`: decisions, paths, methods, headers and protobuf bodies that are;
//! - `bodies.rs`: bodies too large, too slow, or never complete;
//! - `connections.rs`: bytes that are no HTTP, and connections that never become a request;
//! - `grpc.rs`: the same faults over gRPC, with codes and details;
//! - `limits.rs`: keys, rates, and too much at once;
//! - `start.rs`: ports, stores, flags and rows that are wrong at start;
//! - `definitions.rs`: decisions, features, rules and models that are.
//!
//! No Triton is needed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of a test fail as tests do"
)]

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod connections;
mod definitions;
mod grpc;
mod limits;
mod problem;
mod requests;
mod routes;
mod start;
