//! In-process ONNX: the tier that answers without a network, from the same `model.onnx` that
//! Triton serves.
//!
//! ```text
//!  libonnxruntime ── Runtime ──┐
//!                              ├── LocalModel (a pool of sessions) ── run(bytes) -> bytes
//!  model.onnx ── Signature ────┘
//! ```
//!
//! Tensors cross this crate's edge as raw little-endian bytes, the layout that Triton's
//! `raw_input_contents` has, so one feature vector feeds either. [`read_signature`] needs no
//! runtime: it is what an offline check uses.
//!
//! Not here: which model answers a decision, deadlines, and Triton's `config.pbtxt`.

mod dtype;
mod error;
mod model;
mod onnx;
mod pool;
mod probe;
mod runtime;
mod signature;
mod tensor;

pub use dtype::Dtype;
pub use error::{LoadError, RunError, RuntimeError, SignatureError};
pub use model::LocalModel;
pub use runtime::Runtime;
pub use signature::{Signature, TensorInfo, read_signature};
pub use tensor::{Input, Output};
