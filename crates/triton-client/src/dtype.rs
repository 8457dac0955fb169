//! Element types of tensors, as the protocol spells them.
//!
//! Source: Triton's data type table: `FP32` on the wire is `TYPE_FP32` in a model's
//! configuration; `BYTES` on the wire is `TYPE_STRING` there.

use std::{fmt, str::FromStr};

use crate::proto;

/// Type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dtype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 1 byte.
    Uint8,
    /// Unsigned, 2 bytes.
    Uint16,
    /// Unsigned, 4 bytes.
    Uint32,
    /// Unsigned, 8 bytes.
    Uint64,
    /// Signed, 1 byte.
    Int8,
    /// Signed, 2 bytes.
    Int16,
    /// Signed, 4 bytes.
    Int32,
    /// Signed, 8 bytes.
    Int64,
    /// IEEE 754 half, 2 bytes.
    Fp16,
    /// bfloat16, 2 bytes.
    Bf16,
    /// IEEE 754 single, 4 bytes.
    Fp32,
    /// IEEE 754 double, 8 bytes.
    Fp64,
    /// Byte strings: each element is a `u32` little-endian length and that many bytes.
    Bytes,
}

/// A name that is no data type of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a data type of Triton's (FP32, INT64, BYTES, …)")]
pub struct UnknownDtype(pub String);

const NAMES: [(Dtype, &str, proto::DataType); 14] = [
    (Dtype::Bool, "BOOL", proto::DataType::TypeBool),
    (Dtype::Uint8, "UINT8", proto::DataType::TypeUint8),
    (Dtype::Uint16, "UINT16", proto::DataType::TypeUint16),
    (Dtype::Uint32, "UINT32", proto::DataType::TypeUint32),
    (Dtype::Uint64, "UINT64", proto::DataType::TypeUint64),
    (Dtype::Int8, "INT8", proto::DataType::TypeInt8),
    (Dtype::Int16, "INT16", proto::DataType::TypeInt16),
    (Dtype::Int32, "INT32", proto::DataType::TypeInt32),
    (Dtype::Int64, "INT64", proto::DataType::TypeInt64),
    (Dtype::Fp16, "FP16", proto::DataType::TypeFp16),
    (Dtype::Bf16, "BF16", proto::DataType::TypeBf16),
    (Dtype::Fp32, "FP32", proto::DataType::TypeFp32),
    (Dtype::Fp64, "FP64", proto::DataType::TypeFp64),
    (Dtype::Bytes, "BYTES", proto::DataType::TypeString),
];

impl Dtype {
    /// Bytes of one element; `None` for [`Dtype::Bytes`], whose elements vary.
    pub fn size_bytes(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// The protocol's name, e.g. `FP32`.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The type of a configuration; `None` where none is set.
    pub(crate) fn of_config(number: i32) -> Option<Self> {
        NAMES
            .iter()
            .find(|(_, _, config)| *config as i32 == number)
            .map(|(dtype, _, _)| *dtype)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dtype {
    type Err = UnknownDtype;

    fn from_str(name: &str) -> Result<Self, UnknownDtype> {
        NAMES
            .iter()
            .find(|(_, wire, _)| *wire == name)
            .map(|(dtype, _, _)| *dtype)
            .ok_or_else(|| UnknownDtype(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_variants() {
        for (index, (dtype, name, config)) in NAMES.into_iter().enumerate() {
            assert_eq!(dtype as usize, index);
            assert_eq!(name.parse(), Ok(dtype));
            assert_eq!(Dtype::of_config(config as i32), Some(dtype));
        }
        assert_eq!(Dtype::of_config(0), None);
        assert!("TYPE_FP32".parse::<Dtype>().is_err());
    }
}
