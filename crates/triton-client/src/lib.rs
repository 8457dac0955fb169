//! Triton's protocol, spoken so that a caller with a deadline is never let down by it.
//!
//! ```text
//!   Scheduler::infer(request, worth, deadline)
//!        |  schedule/    the queue of the model: in time at all? --> Infeasible | BreakerOpen
//!        v               most urgent first, merged, spread      --> Overloaded | Infeasible
//!   Endpoint             breaker closed? calls out below the limit?
//!        |  endpoint.rs
//!        v
//!   Call (own task)      ModelInfer; judges the endpoint; checks every output's byte length
//!        |  call.rs      waiters leave at their deadline, the call runs on: --> Deadline
//!        v
//!   InferResponse        outputs are slices of the frame that carried them
//! ```
//!
//! What lives here: inference, its scheduling, and its errors by whose fault they are
//! ([`InferError`]); which endpoints there are and how well they are ([`EndpointSet`]); model
//! configuration as Triton parses it ([`ModelConfig`]); the control planes ([`EndpointSet`] over
//! gRPC, [`Control`] over HTTP).
//!
//! What does not: what to do without an answer, which whoever knows the request decides; and, on
//! purpose, any `grpc-timeout` header or cancellation on the wire, because the servers in use break
//! on both (see `call.rs`).

mod breaker;
mod call;
mod config;
mod control;
mod describe;
mod dial;
mod dtype;
mod endpoint;
mod error;
mod infer;
mod members;
mod names;
mod options;
mod proto;
pub mod repository;
mod schedule;
mod server;
mod service_time;
mod set;
mod transport;

pub use breaker::BreakerState;
pub use config::{
    Accelerator, DynamicBatching, EnsembleStep, InstanceGroup, InstanceKind, ModelConfig,
    PbtxtError, QueuePolicy, SequenceBatching, TensorSpec, VersionPolicy, Warmup, WarmupData,
    WarmupInput,
};
pub use control::{Control, RepositoryEntry};
pub use dtype::{Dtype, UnknownDtype};
pub use endpoint::EndpointState;
pub use error::{ControlError, EndpointError, InferError, ModelFault};
pub use infer::{InferRequest, InferResponse, InputTensor, OutputTensor};
pub use options::EndpointOptions;
pub use schedule::{Batching, LaneState, QueueState, QueueTotals, Scheduler};
pub use server::{
    DurationStatistic, ModelDescription, ModelStatistics, ServerMetadata, TensorMetadata,
};
pub use set::EndpointSet;
