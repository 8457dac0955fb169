//! Element types of tensors, by the names that Triton and the KServe v2 protocol give them.

use std::fmt;

/// The element type of a tensor.
///
/// A [`Signature`](crate::Signature) can name any of them; [`LocalModel`](crate::LocalModel)
/// runs those for which [`Dtype::runs_in_process`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    String,
    /// Something that ONNX has and Triton's protocol lacks, by its ONNX name: a sequence, a map,
    /// a complex number, a four-bit integer.
    Other(&'static str),
}

impl Dtype {
    /// From `TensorProto.DataType` in onnx.proto (ONNX 1.17).
    pub(crate) fn from_onnx(elem_type: i32) -> Self {
        match elem_type {
            1 => Self::Fp32,
            2 => Self::Uint8,
            3 => Self::Int8,
            4 => Self::Uint16,
            5 => Self::Int16,
            6 => Self::Int32,
            7 => Self::Int64,
            8 => Self::String,
            9 => Self::Bool,
            10 => Self::Fp16,
            11 => Self::Fp64,
            12 => Self::Uint32,
            13 => Self::Uint64,
            14 => Self::Other("complex64"),
            15 => Self::Other("complex128"),
            16 => Self::Bf16,
            17..=20 => Self::Other("float8"),
            21 => Self::Other("uint4"),
            22 => Self::Other("int4"),
            23 => Self::Other("float4e2m1"),
            _ => Self::Other("undefined"),
        }
    }

    /// The KServe v2 name, as in `FP32`. `BYTES` is a tensor of strings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::String => "BYTES",
            Self::Other(name) => name,
        }
    }

    /// Bytes of one element in the raw layout; `None` where that is not fixed.
    pub fn size_bytes(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::String | Self::Other(_) => None,
        }
    }

    /// Whether [`LocalModel`](crate::LocalModel) takes and gives tensors of this type.
    pub fn runs_in_process(self) -> bool {
        matches!(
            self,
            Self::Bool | Self::Int32 | Self::Int64 | Self::Fp32 | Self::Fp64
        )
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
