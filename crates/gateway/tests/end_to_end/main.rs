//! The whole product on real parts: the `gavel` binary in front of a real tritonserver and a real
//! Redis, asked with ordinary clients.
//!
//! - `answers.rs`: one payment, every way to ask, one answer; what stock gRPC tools expect;
//! - `budgets.rs`: budgets in the body and in headers, and those that no model can keep;
//! - `told.rs`: metrics, logs and probes;
//! - `survival.rs`: Triton frozen, killed and back;
//! - `endpoints.rs`: Tritons added, removed and killed while decisions are made;
//! - `features.rs`: what a decision sees, and lists, nulls and moments on their way to it;
//! - `store.rs`: the store gone and back, and across a restart of the gateway;
//! - `feast.rs`: a Feast repository that changes, and what of it is refused;
//! - `lifecycle.rs`: models that come, change and do not fit;
//! - `overload.rs`: more than the process keeps up with;
//! - `kept.rs`: the decision log: which are kept, a killed gateway, a cut segment, a full disk;
//! - `replay.rs`: what was kept through the same models, and through others;
//! - `without.rs`: no Triton, no ONNX Runtime;
//! - `shutdown.rs`: SIGTERM under load.
//!
//! The tests take turns, because they freeze and kill what others would wait for, and because an
//! answer in 50 ms is asserted on a machine of two cores.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail as tests do")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod budgets;
mod endpoints;
mod feast;
mod features;
mod kept;
mod lifecycle;
mod overload;
mod replay;
mod shared;
mod shutdown;
mod store;
mod survival;
mod told;
mod without;
