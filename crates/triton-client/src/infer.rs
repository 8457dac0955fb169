//! Requests and answers of `ModelInfer`, and the check that an answer is what it says it is.
//!
//! Tensors travel raw: row-major, little-endian, one buffer a tensor. An answer's buffers are
//! slices of the received frame. A Triton whose Python backend is broken answers success with
//! zero bytes, so every output's byte length is held against its shape and data type.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    dtype::Dtype,
    error::InferError,
    proto::{ModelInferRequest, ModelInferResponse, model_infer_request as request},
};

/// One inference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferRequest {
    /// The model's name.
    pub model: Arc<str>,
    /// Its version; `None` lets the server choose (the newest by default).
    pub version: Option<Arc<str>>,
    /// Shown in the server's logs and traces; may be empty.
    pub id: String,
    /// Inputs, each with its data.
    pub inputs: Vec<InputTensor>,
    /// Names of the wanted outputs; none means all.
    pub outputs: Vec<Arc<str>>,
}

/// An input and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputTensor {
    /// The input's name.
    pub name: Arc<str>,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its shape, the batch dimension included.
    pub shape: Vec<i64>,
    /// Row-major, little-endian; `BYTES` elements as a `u32` length and the bytes.
    pub data: Bytes,
}

/// The outputs of one inference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferResponse {
    /// The version that answered.
    pub model_version: Arc<str>,
    /// Outputs, in the server's order.
    pub outputs: Vec<OutputTensor>,
}

/// An output and its data; the length of the data agrees with shape and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputTensor {
    /// The output's name.
    pub name: Arc<str>,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its shape, the batch dimension included.
    pub shape: Arc<[i64]>,
    /// As in [`InputTensor::data`].
    pub data: Bytes,
}

impl InferRequest {
    /// What the request weighs on the wire, in bytes, less its names.
    pub(crate) fn size_bytes(&self) -> usize {
        self.inputs.iter().map(|input| input.data.len()).sum()
    }

    pub(crate) fn to_proto(&self) -> ModelInferRequest {
        let inputs = self.inputs.iter().map(|input| request::InferInputTensor {
            name: input.name.as_ref().to_owned(),
            datatype: input.dtype.name().to_owned(),
            shape: input.shape.clone(),
            ..Default::default()
        });
        let outputs = self.outputs.iter();
        let outputs = outputs.map(|name| request::InferRequestedOutputTensor {
            name: name.as_ref().to_owned(),
            ..Default::default()
        });
        ModelInferRequest {
            model_name: self.model.as_ref().to_owned(),
            model_version: self.version.as_deref().unwrap_or_default().to_owned(),
            id: self.id.clone(),
            outputs: outputs.collect(),
            inputs: inputs.collect(),
            raw_input_contents: self.inputs.iter().map(|input| input.data.clone()).collect(),
            ..Default::default()
        }
    }
}

impl InferResponse {
    /// Checks the answer against itself and against the outputs that were asked for.
    pub(crate) fn of_proto(
        response: ModelInferResponse,
        wanted: &[Arc<str>],
    ) -> Result<Self, InferError> {
        let tensors = response.outputs.len();
        let buffers = response.raw_output_contents.len();
        if tensors != buffers {
            return Err(InferError::wrong_output(format!(
                "{tensors} outputs came with {buffers} buffers"
            )));
        }
        let mut outputs = Vec::with_capacity(tensors);
        for (output, data) in response
            .outputs
            .into_iter()
            .zip(response.raw_output_contents)
        {
            let dtype: Dtype = output.datatype.parse().map_err(|unknown| {
                InferError::wrong_output(format!("output '{}': {unknown}", output.name))
            })?;
            check_length(&output.name, dtype, &output.shape, &data)?;
            outputs.push(OutputTensor {
                name: output.name.into(),
                dtype,
                shape: output.shape.into(),
                data,
            });
        }
        if let Some(absent) = wanted
            .iter()
            .find(|name| !outputs.iter().any(|o| o.name == **name))
        {
            return Err(InferError::wrong_output(format!(
                "output '{absent}' is not in the answer"
            )));
        }
        Ok(Self {
            model_version: response.model_version.into(),
            outputs,
        })
    }

    /// The output of that name.
    pub fn output(&self, name: &str) -> Option<&OutputTensor> {
        self.outputs.iter().find(|output| *output.name == *name)
    }
}

fn check_length(name: &str, dtype: Dtype, shape: &[i64], data: &[u8]) -> Result<(), InferError> {
    let wrong = |what: String| InferError::wrong_output(format!("output '{name}': {what}"));
    let elements = shape.iter().try_fold(1_usize, |product, dim| {
        usize::try_from(*dim)
            .ok()
            .and_then(|dim| product.checked_mul(dim))
    });
    let Some(elements) = elements else {
        return Err(wrong(format!("{shape:?} is not a shape")));
    };
    let Some(size) = dtype.size_bytes() else {
        let found = count_strings(data).ok_or_else(|| wrong("its strings are cut off".into()))?;
        return if found == elements {
            Ok(())
        } else {
            Err(wrong(format!(
                "{shape:?} of BYTES needs {elements} strings, got {found}"
            )))
        };
    };
    if elements.checked_mul(size) == Some(data.len()) {
        return Ok(());
    }
    Err(wrong(format!(
        "{shape:?} of {dtype} does not fit in the {} bytes that came",
        data.len()
    )))
}

/// Whether the data is what shape and type say.
pub(crate) fn is_whole(shape: &[i64], dtype: Dtype, data: &[u8]) -> bool {
    check_length("", dtype, shape, data).is_ok()
}

/// Number of length-prefixed strings; `None` if the last one is cut off.
fn count_strings(mut data: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !data.is_empty() {
        let (length, rest) = data.split_first_chunk::<4>()?;
        data = rest.get(u32::from_le_bytes(*length) as usize..)?;
        count += 1;
    }
    Some(count)
}
