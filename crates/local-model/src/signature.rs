//! What a model takes and gives, read from its file without the runtime.
//!
//! The format is protobuf (onnx.proto, ONNX 1.17). Its top level is walked by hand first, which
//! tells a file that was cut short from one that never was a model; the rest is prost's.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};

use crate::onnx::{GraphProto, ModelProto, TensorProto, TypeProto, ValueInfoProto};
use crate::{Dtype, SignatureError};

/// Protobuf's own bound on a message.
const LIMIT_BYTES: u64 = i32::MAX as u64;

/// The tensors of a model and the versions that it was written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What a caller must give, in the file's order. Weights that older exporters list among the
    /// inputs are not in it.
    pub inputs: Vec<TensorInfo>,
    /// What the model gives, in the file's order.
    pub outputs: Vec<TensorInfo>,
    /// Version of the standard operators (domain `ai.onnx`); 0 if the model uses none.
    pub opset: i64,
    /// Versions of all other operator domains, such as `ai.onnx.ml`.
    pub other_opsets: BTreeMap<String, i64>,
    /// Version of the file format.
    pub ir_version: i64,
    /// What wrote the file, as in `pytorch 2.6.0`; empty if it does not say.
    pub producer: String,
    /// Files, relative to the model's folder, that hold weights.
    pub external_files: BTreeSet<String>,
}

/// Name, element type and shape of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    pub dtype: Dtype,
    /// One entry a dimension, the batch included; `None` is any size.
    pub dims: Vec<Option<i64>>,
    /// False if the file says nothing of the shape; `dims` is then empty and means nothing.
    pub ranked: bool,
}

impl Signature {
    /// The input of that name.
    pub fn input(&self, name: &str) -> Option<&TensorInfo> {
        self.inputs.iter().find(|tensor| tensor.name == name)
    }

    /// The output of that name.
    pub fn output(&self, name: &str) -> Option<&TensorInfo> {
        self.outputs.iter().find(|tensor| tensor.name == name)
    }
}

impl TensorInfo {
    /// The shape as Triton writes it: `[-1,40]`, or `[?]` if the file gives none.
    pub fn shape(&self) -> String {
        if !self.ranked {
            return "[?]".to_owned();
        }
        let dims: Vec<String> = self
            .dims
            .iter()
            .map(|dim| dim.unwrap_or(-1).to_string())
            .collect();
        format!("[{}]", dims.join(","))
    }
}

/// Reads the signature of the ONNX model in `onnx`, without ONNX Runtime.
///
/// # Errors
/// The file is missing or unreadable, is over protobuf's 2 GiB, is cut short, or is no ONNX model.
pub fn read_signature(onnx: &Path) -> Result<Signature, SignatureError> {
    let file = || onnx.to_path_buf();
    let read = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => SignatureError::Missing { file: file() },
        _ => SignatureError::Read {
            file: file(),
            source,
        },
    };
    let metadata = std::fs::metadata(onnx).map_err(read)?;
    if !metadata.is_file() {
        // A folder, or a pipe or device that would never end.
        return Err(read(std::io::Error::other("it is not a regular file")));
    }
    let size_bytes = metadata.len();
    if size_bytes > LIMIT_BYTES {
        return Err(SignatureError::TooLarge {
            file: file(),
            size_bytes,
            limit_bytes: LIMIT_BYTES,
        });
    }
    let bytes = std::fs::read(onnx).map_err(read)?;
    parse(&bytes).map_err(|fault| match fault {
        Fault::Truncated {
            at_bytes,
            needed_bytes,
            left_bytes,
        } => SignatureError::Truncated {
            file: file(),
            at_bytes,
            needed_bytes,
            left_bytes,
        },
        Fault::NotOnnx(why) => SignatureError::NotOnnx { file: file(), why },
    })
}

/// Why bytes are no model; [`SignatureError`] without the file's name.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Truncated {
        at_bytes: usize,
        needed_bytes: u64,
        left_bytes: usize,
    },
    NotOnnx(String),
}

fn parse(bytes: &[u8]) -> Result<Signature, Fault> {
    walk_top_level(bytes)?;
    let model = ModelProto::decode(bytes)
        .map_err(|error| Fault::NotOnnx(format!("its contents are damaged ({error})")))?;
    let graph = model
        .graph
        .ok_or_else(|| Fault::NotOnnx("it holds no graph".to_owned()))?;
    if model.opset_import.is_empty() {
        return Err(Fault::NotOnnx(
            "it names no operator set; was it cut short?".to_owned(),
        ));
    }
    let mut opset = 0;
    let mut other_opsets = BTreeMap::new();
    for import in model.opset_import {
        if import.domain.is_empty() || import.domain == "ai.onnx" {
            opset = import.version;
        } else {
            other_opsets.insert(import.domain, import.version);
        }
    }
    let producer = format!("{} {}", model.producer_name, model.producer_version);
    let (inputs, external_files) = inputs_and_external_files(&graph);
    Ok(Signature {
        inputs,
        outputs: graph.output.iter().map(tensor_info).collect(),
        opset,
        other_opsets,
        ir_version: model.ir_version,
        producer: producer.trim().to_owned(),
        external_files,
    })
}

/// Checks that the file is a run of `ModelProto`'s fields, each of which ends inside the file.
fn walk_top_level(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.is_empty() {
        return Err(Fault::NotOnnx("it is empty".to_owned()));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(Fault::NotOnnx(
            "it is a Git LFS pointer; run `git lfs pull`".to_owned(),
        ));
    }
    let foreign = || Fault::NotOnnx("its bytes are not those of an ONNX ModelProto".to_owned());
    let mut rest = bytes;
    while !rest.is_empty() {
        let at_bytes = bytes.len() - rest.len();
        let (tag, wire) = decode_key(&mut rest).map_err(|_| foreign())?;
        let length = match (tag, wire) {
            (1 | 5, WireType::Varint) => {
                decode_varint(&mut rest).map_err(|_| foreign())?;
                0
            }
            (2..=4 | 6..=8 | 14 | 20 | 25 | 26, WireType::LengthDelimited) => {
                decode_varint(&mut rest).map_err(|_| foreign())?
            }
            _ => return Err(foreign()),
        };
        let inside = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(length..));
        let Some(after) = inside else {
            return Err(Fault::Truncated {
                at_bytes,
                needed_bytes: length,
                left_bytes: rest.len(),
            });
        };
        rest = after;
    }
    Ok(())
}

fn inputs_and_external_files(graph: &GraphProto) -> (Vec<TensorInfo>, BTreeSet<String>) {
    let sparse = graph
        .sparse_initializer
        .iter()
        .filter_map(|sparse| sparse.values.as_ref());
    let weights: Vec<&TensorProto> = graph.initializer.iter().chain(sparse).collect();
    let names: HashSet<&str> = weights.iter().map(|weight| weight.name.as_str()).collect();
    let inputs = graph
        .input
        .iter()
        .filter(|input| !names.contains(input.name.as_str()))
        .map(tensor_info)
        .collect();
    let external_files = weights
        .iter()
        .flat_map(|weight| &weight.external_data)
        .filter(|entry| entry.key == "location")
        .map(|entry| entry.value.clone())
        .collect();
    (inputs, external_files)
}

fn tensor_info(value: &ValueInfoProto) -> TensorInfo {
    let kind = value.r#type.as_ref();
    let shape = kind
        .and_then(|kind| kind.tensor_type.as_ref())
        .and_then(|tensor| tensor.shape.as_ref());
    TensorInfo {
        name: value.name.clone(),
        dtype: kind.map_or(Dtype::Other("undefined"), dtype),
        dims: shape.map_or_else(Vec::new, |shape| {
            shape
                .dim
                .iter()
                .map(|dim| dim.dim_value.filter(|size| *size >= 0))
                .collect()
        }),
        ranked: shape.is_some(),
    }
}

fn dtype(kind: &TypeProto) -> Dtype {
    if let Some(tensor) = &kind.tensor_type {
        Dtype::from_onnx(tensor.elem_type)
    } else if kind.sequence_type.is_some() {
        Dtype::Other("a sequence")
    } else if kind.map_type.is_some() {
        Dtype::Other("a map")
    } else if kind.sparse_tensor_type.is_some() {
        Dtype::Other("a sparse tensor")
    } else if kind.optional_type.is_some() {
        Dtype::Other("an optional")
    } else {
        Dtype::Other("undefined")
    }
}
