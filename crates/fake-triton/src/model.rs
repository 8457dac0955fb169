//! A model of the fake: what it says about itself and how it answers.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;

use crate::step::Step;

/// A tensor with its data, raw as in the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The protocol's name of its type, e.g. `FP32`.
    pub dtype: String,
    /// Its shape, the batch dimension included.
    pub shape: Vec<i64>,
    /// Row-major, little-endian.
    pub data: Bytes,
}

impl Tensor {
    /// An `FP32` tensor.
    pub fn fp32(name: &str, shape: &[i64], values: &[f32]) -> Self {
        let data: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self {
            name: name.to_owned(),
            dtype: "FP32".to_owned(),
            shape: shape.to_vec(),
            data: data.into(),
        }
    }

    /// Its data as `FP32`.
    pub fn to_fp32(&self) -> Vec<f32> {
        let (values, _) = self.data.as_chunks::<4>();
        values
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    }
}

/// An inference as the fake received it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceivedRequest {
    /// The version that was asked for; empty for any.
    pub version: String,
    /// The request's id.
    pub id: String,
    /// Inputs in the order of the request.
    pub inputs: Vec<Tensor>,
    /// Names of the outputs that were asked for.
    pub outputs: Vec<String>,
    /// HTTP/2 headers that are text.
    pub headers: BTreeMap<String, String>,
}

impl ReceivedRequest {
    /// The input of that name.
    pub fn input(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Rows of the first input; 1 without inputs.
    pub fn rows(&self) -> i64 {
        self.inputs
            .first()
            .and_then(|input| input.shape.first())
            .copied()
            .unwrap_or(1)
    }
}

pub(crate) type ReactionFn = Arc<dyn Fn(&ReceivedRequest) -> Option<Step> + Send + Sync>;
pub(crate) type AnswerFn = Arc<dyn Fn(&ReceivedRequest) -> Vec<Tensor> + Send + Sync>;

#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) dims: Vec<i64>,
}

/// A model: its configuration, and a function from a request to its outputs.
#[derive(Clone)]
pub struct FakeModel {
    pub(crate) name: String,
    pub(crate) versions: Vec<String>,
    pub(crate) max_batch_size: i32,
    pub(crate) inputs: Vec<Spec>,
    pub(crate) outputs: Vec<Spec>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) instances: i32,
    pub(crate) answer: Option<AnswerFn>,
    pub(crate) reaction: Option<ReactionFn>,
}

impl FakeModel {
    /// A model of version 1 with a batch size of 64 and no tensors yet. Without
    /// [`Self::answer`], it answers with zeros.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            versions: vec!["1".to_owned()],
            max_batch_size: 64,
            inputs: Vec::new(),
            outputs: Vec::new(),
            parameters: Vec::new(),
            instances: 1,
            answer: None,
            reaction: None,
        }
    }

    /// Versions that are served; the last one answers.
    #[must_use]
    pub fn versions(mut self, versions: &[&str]) -> Self {
        self.versions = versions
            .iter()
            .map(|version| (*version).to_owned())
            .collect();
        self
    }

    /// Rows that a request may hold; with 0, shapes have no batch dimension.
    #[must_use]
    pub fn max_batch_size(mut self, rows: i32) -> Self {
        self.max_batch_size = rows;
        self
    }

    /// Instances in its one instance group.
    #[must_use]
    pub fn instances(mut self, count: i32) -> Self {
        self.instances = count;
        self
    }

    /// Adds an input: the protocol's name of its type (e.g. `FP32`) and the shape of one row.
    #[must_use]
    pub fn input(mut self, name: &str, dtype: &str, dims: &[i64]) -> Self {
        self.inputs.push(Spec {
            name: name.to_owned(),
            dtype: dtype.to_owned(),
            dims: dims.to_vec(),
        });
        self
    }

    /// Adds an output, likewise.
    #[must_use]
    pub fn output(mut self, name: &str, dtype: &str, dims: &[i64]) -> Self {
        self.outputs.push(Spec {
            name: name.to_owned(),
            dtype: dtype.to_owned(),
            dims: dims.to_vec(),
        });
        self
    }

    /// Adds a free parameter, e.g. `gavel.features.X`.
    #[must_use]
    pub fn parameter(mut self, key: &str, value: &str) -> Self {
        self.parameters.push((key.to_owned(), value.to_owned()));
        self
    }

    /// How it answers.
    #[must_use]
    pub fn answer<F>(mut self, answer: F) -> Self
    where
        F: Fn(&ReceivedRequest) -> Vec<Tensor> + Send + Sync + 'static,
    {
        self.answer = Some(Arc::new(answer));
        self
    }

    /// What it does on certain requests, instead of the next step of its script.
    #[must_use]
    pub fn reacts<F>(mut self, reaction: F) -> Self
    where
        F: Fn(&ReceivedRequest) -> Option<Step> + Send + Sync + 'static,
    {
        self.reaction = Some(Arc::new(reaction));
        self
    }

    /// The outputs for a request: those of its function, or zeros.
    pub(crate) fn outputs_for(&self, request: &ReceivedRequest) -> Vec<Tensor> {
        if let Some(answer) = &self.answer {
            return answer(request);
        }
        let zeros = |spec: &Spec| {
            let rows = (self.max_batch_size > 0).then(|| request.rows());
            let dims = spec.dims.iter().map(|dim| (*dim).max(1));
            let shape: Vec<i64> = rows.into_iter().chain(dims).collect();
            let elements = usize::try_from(shape.iter().product::<i64>()).unwrap_or_default();
            let data = vec![0; elements * size_bytes(&spec.dtype)].into();
            Tensor {
                name: spec.name.clone(),
                dtype: spec.dtype.clone(),
                shape,
                data,
            }
        };
        self.outputs.iter().map(zeros).collect()
    }
}

/// Bytes of one zero; a zero of `BYTES` is an empty string, whose length takes four.
fn size_bytes(dtype: &str) -> usize {
    match dtype {
        "BOOL" | "INT8" | "UINT8" => 1,
        "INT16" | "UINT16" | "FP16" | "BF16" => 2,
        "INT64" | "UINT64" | "FP64" => 8,
        _ => 4,
    }
}

impl fmt::Debug for FakeModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeModel")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
