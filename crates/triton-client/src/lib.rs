//! Triton's protocol, spoken so that a caller with a deadline is never let down by it.
//!
//! ```text
//!   EndpointSet::infer(request, deadline)
//!        |  set.rs       which endpoint
//!        v
//!   Endpoint             time left? slot free? breaker closed? predicted in time?
//!        |  endpoint.rs  --> Infeasible | Overloaded | BreakerOpen, without a call
//!        v
//!   Call (own task)      ModelInfer; judges the endpoint; checks every output's byte length
//!        |  call.rs      the waiter leaves at its deadline, the call runs on: --> Deadline
//!        v
//!   InferResponse        outputs are slices of the frame that carried them
//! ```
//!
//! What lives here: inference and its errors by whose fault they are ([`InferError`]), model
//! configuration as Triton parses it ([`ModelConfig`]), the control planes ([`EndpointSet`] over
//! gRPC, [`Control`] over HTTP).
//!
//! What does not: queueing, merging of rows and retries, which belong to whoever knows the
//! request; and, on purpose, any `grpc-timeout` header or cancellation on the wire, because the
//! servers in use break on both (see `call.rs`).

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
mod options;
mod proto;
pub mod repository;
mod server;
mod service_time;
mod set;

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
pub use server::{
    DurationStatistic, ModelDescription, ModelStatistics, ServerMetadata, TensorMetadata,
};
pub use set::EndpointSet;
