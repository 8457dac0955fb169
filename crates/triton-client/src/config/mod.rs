//! A model's configuration, as types of ours: from the server (`ModelConfig`) or from a
//! `config.pbtxt`, which are one protobuf message in two spellings.
//!
//! Everything that a reader or a lint of a model repository may want to know is kept; what only
//! a server acts on (rate limits, CUDA graphs, repository agents) is not. Nothing is filled in:
//! an empty string or list means that the file does not say.

mod colon;
mod decode;
mod pbtxt;

use std::collections::BTreeMap;

pub use pbtxt::PbtxtError;

use crate::dtype::Dtype;

/// Prefix of the parameter that lists the features of an input tensor.
const FEATURES: &str = "gavel.features.";

/// Configuration of one model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelConfig {
    /// The model's name; in a file it may be left out.
    pub name: String,
    /// E.g. `ensemble`, `tensorrt_plan`.
    pub platform: String,
    /// E.g. `onnxruntime`, `python`.
    pub backend: String,
    /// Rows that one request may hold; 0 means that tensors have no batch dimension.
    pub max_batch_size: i32,
    /// Inputs. Their shapes have no batch dimension.
    pub inputs: Vec<TensorSpec>,
    /// Outputs. Their shapes have no batch dimension.
    pub outputs: Vec<TensorSpec>,
    /// Free parameters by key.
    pub parameters: BTreeMap<String, String>,
    /// Which versions are served; `None` means the newest.
    pub version_policy: Option<VersionPolicy>,
    /// Whether and how Triton merges requests.
    pub dynamic_batching: Option<DynamicBatching>,
    /// Set for stateful models.
    pub sequence_batching: Option<SequenceBatching>,
    /// Steps of an ensemble, in the order of the file; empty for any other model.
    pub ensemble_steps: Vec<EnsembleStep>,
    /// Where instances of the model run.
    pub instance_groups: Vec<InstanceGroup>,
    /// Sample requests that are run before the model counts as ready.
    pub warmups: Vec<Warmup>,
    /// The model's file, where it is not the backend's default.
    pub default_model_filename: String,
    /// The model's file by CUDA compute capability.
    pub compute_capability_filenames: BTreeMap<String, String>,
    /// Execution accelerators on a GPU, e.g. `tensorrt`.
    pub gpu_accelerators: Vec<Accelerator>,
    /// Execution accelerators on a CPU, e.g. `openvino`.
    pub cpu_accelerators: Vec<Accelerator>,
    /// A request may have any number of answers: such a model cannot be called by `ModelInfer`.
    pub decoupled: bool,
    /// Answers may come from Triton's response cache.
    pub response_cache: bool,
}

/// Name, type and shape of an input or output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TensorSpec {
    /// The tensor's name.
    pub name: String,
    /// Type of its elements; `None` where a file does not say.
    pub dtype: Option<Dtype>,
    /// Shape of one row, `-1` where free. The batch dimension is not in it.
    pub dims: Vec<i64>,
    /// The shape that the backend is given, where it differs.
    pub reshape: Option<Vec<i64>>,
    /// A request may leave it out (inputs only).
    pub optional: bool,
    /// Rows may differ in shape (inputs only).
    pub allow_ragged_batch: bool,
    /// It carries a shape and not data.
    pub is_shape_tensor: bool,
    /// File with the names of its classes (outputs only).
    pub label_filename: String,
}

/// Which versions are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionPolicy {
    /// So many of the newest.
    Latest(u32),
    /// Every one.
    All,
    /// These.
    Specific(Vec<i64>),
}

/// Triton's dynamic batcher.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DynamicBatching {
    /// Batch sizes worth waiting for.
    pub preferred_batch_sizes: Vec<i32>,
    /// How long a request may be held for others to join it, in microseconds.
    pub max_queue_delay_us: u64,
    /// Answers leave in the order of their requests.
    pub preserve_ordering: bool,
    /// Number of priorities; 0 means none.
    pub priority_levels: u64,
    /// Priority of a request that names none.
    pub default_priority_level: u64,
    /// The queue's limits. Even an empty one stalls Triton's batcher by up to 500 ms at times.
    pub default_queue_policy: Option<QueuePolicy>,
    /// Limits by priority.
    pub priority_queue_policies: BTreeMap<u64, QueuePolicy>,
}

/// Limits of one of Triton's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueuePolicy {
    /// A request that timed out is run after the others and not rejected.
    pub delay_on_timeout: bool,
    /// Time that a request may queue, in microseconds; 0 means any.
    pub default_timeout_us: u64,
    /// A request may ask for a shorter time.
    pub allow_timeout_override: bool,
    /// Requests that may queue; 0 means any.
    pub max_queue_size: u32,
}

/// Triton's sequence batcher, for stateful models.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceBatching {
    /// Idle time after which a sequence is over, in microseconds.
    pub max_sequence_idle_us: u64,
    /// Inputs that the batcher fills by itself.
    pub control_inputs: Vec<String>,
}

/// One step of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnsembleStep {
    /// The model that the step runs.
    pub model: String,
    /// Its version; -1 means the newest.
    pub version: i64,
    /// From the model's inputs to the ensemble's tensors.
    pub input_map: BTreeMap<String, String>,
    /// From the model's outputs to the ensemble's tensors.
    pub output_map: BTreeMap<String, String>,
}

/// Instances of a model on one kind of device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceGroup {
    /// Where they run.
    pub kind: InstanceKind,
    /// How many per device; 0 means that the file does not say (1).
    pub count: i32,
    /// The GPUs; none means all.
    pub gpus: Vec<i32>,
}

/// Kind of device that an instance runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstanceKind {
    /// A GPU where there is one.
    Auto,
    /// A GPU.
    Gpu,
    /// The CPU.
    Cpu,
    /// As the model itself says.
    Model,
}

/// A sample request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warmup {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub batch_size: u32,
    /// How often it is run; 0 means once.
    pub count: u32,
    /// Its inputs by name.
    pub inputs: BTreeMap<String, WarmupInput>,
}

/// An input of a sample request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmupInput {
    /// Type of its elements; `None` where a file does not say.
    pub dtype: Option<Dtype>,
    /// Shape of one row.
    pub dims: Vec<i64>,
    /// Its data; `None` where a file does not say.
    pub data: Option<WarmupData>,
}

/// Data of a sample input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarmupData {
    /// Zeros.
    Zero,
    /// Random numbers.
    Random,
    /// The content of a file in the model's `warmup` folder.
    File(String),
}

/// An execution accelerator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accelerator {
    /// E.g. `tensorrt`.
    pub name: String,
    /// Its settings, e.g. `precision_mode`.
    pub parameters: BTreeMap<String, String>,
}

impl ModelConfig {
    /// The features of input `tensor`, in the order of its columns, as parameter
    /// `gavel.features.TENSOR` lists them; `None` if there is no such parameter.
    pub fn feature_list(&self, tensor: &str) -> Option<Vec<String>> {
        let (_, list) = self
            .parameters
            .iter()
            .find(|(key, _)| key.strip_prefix(FEATURES) == Some(tensor))?;
        let list = list.trim().trim_end_matches(',');
        if list.is_empty() {
            return Some(Vec::new());
        }
        Some(list.split(',').map(|name| name.trim().to_owned()).collect())
    }

    /// Input tensors for which a feature list is given.
    pub fn feature_tensors(&self) -> impl Iterator<Item = &str> {
        self.parameters
            .keys()
            .filter_map(|key| key.strip_prefix(FEATURES))
    }

    /// Whether the model is an ensemble of others.
    pub fn is_ensemble(&self) -> bool {
        self.platform == "ensemble" || !self.ensemble_steps.is_empty()
    }
}
