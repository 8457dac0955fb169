//! Gavel: decisions inside a latency budget, in front of NVIDIA Triton.
//!
//! Modules in the order in which a request meets them. Start with [`pipeline`].

pub mod config;
pub mod diagnostic;

pub mod ingress;
pub mod rejection;
pub mod request;
pub mod admission;
pub mod pipeline;
pub mod deadline;
pub mod binding;
pub mod decision;
pub mod tiers;
pub mod answer;
pub mod telemetry;

pub mod admin;
pub mod check;
pub mod load;
mod local;
mod repository;
pub mod serve;
pub mod watch;
