//! Gavel: decisions inside a latency budget, in front of NVIDIA Triton.
//!
//! The first list of modules is in the order in which a request meets them. Start with [`pipeline`].

// Bytes to a question, or a refusal.
pub mod ingress;

pub mod rejection;

pub mod request;

// The request's path.
pub mod admission;

pub mod pipeline;

pub mod pressure;

pub mod deadline;

pub mod tiers;

pub mod answer;

// Events to features, beside the path.
pub mod ingest;

// What the path runs: decisions as written, bound to models and features.
pub mod decision;

pub mod binding;

pub mod watch;

mod local;

mod repository;

// What is kept of each decision, off the path, and what can be learned from it.
pub mod decision_log;

pub mod replay;

// The process: its settings, its life, what it tells.
pub mod config;
pub mod serve;

pub mod admin;
pub mod telemetry;

// The other commands, and how problems in files are read and shown.
pub mod check;
pub mod history;
pub mod inspect;
pub mod load;
mod progress;

pub mod diagnostic;
mod reader;
