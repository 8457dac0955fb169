//! Tensors at this crate's edge, and their way into and out of the runtime.
//!
//! Raw little-endian bytes become typed slices in place where they are aligned, and are copied
//! where they are not; both ways are checked, so no `unsafe` is needed.

use std::borrow::Cow;

use ort::session::SessionInputValue;
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor, TensorElementType, TensorRef};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

use crate::{Dtype, RunError, TensorInfo};

const _: () = assert!(
    cfg!(target_endian = "little"),
    "tensors are raw little-endian bytes, which the runtime reads in the machine's own order"
);

/// One input tensor.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub name: &'a str,
    pub dtype: Dtype,
    /// The batch included.
    pub shape: &'a [i64],
    /// Row-major, little-endian; BOOL is one byte, 0 or 1. Aligned to its element, it is not
    /// copied.
    pub data: &'a [u8],
}

/// One output tensor, laid out as [`Input`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<i64>,
    pub data: Vec<u8>,
}

impl<'a> Input<'a> {
    /// Checks dtype, shape and length against what the model expects.
    pub(crate) fn check(&self, expected: &TensorInfo) -> Result<(), RunError> {
        if self.dtype != expected.dtype {
            return Err(RunError::WrongDtype {
                input: self.name.to_owned(),
                expected: expected.dtype,
                found: self.dtype,
            });
        }
        let fits = !expected.ranked
            || (self.shape.len() == expected.dims.len()
                && self
                    .shape
                    .iter()
                    .zip(&expected.dims)
                    .all(|(found, dim)| dim.is_none_or(|dim| dim == *found)));
        let needed_bytes = self.needed_bytes().filter(|_| fits);
        let Some(needed_bytes) = needed_bytes else {
            return Err(RunError::WrongShape {
                input: self.name.to_owned(),
                expected: expected.shape(),
                found: self.shape.to_vec(),
            });
        };
        if self.data.len() != needed_bytes {
            return Err(RunError::WrongByteLength {
                input: self.name.to_owned(),
                expected: needed_bytes,
                found: self.data.len(),
            });
        }
        Ok(())
    }

    /// `None` if a dimension is negative or the product leaves `usize`.
    pub(crate) fn needed_bytes(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(self.dtype.size_bytes()?, |bytes, dim| {
                bytes.checked_mul(usize::try_from(*dim).ok()?)
            })
    }

    /// The runtime's view of a tensor that passed [`Input::check`].
    pub(crate) fn value(&self) -> Result<SessionInputValue<'a>, RunError> {
        match self.dtype {
            Dtype::Fp32 => self.numbers::<f32>(),
            Dtype::Fp64 => self.numbers::<f64>(),
            Dtype::Int32 => self.numbers::<i32>(),
            Dtype::Int64 => self.numbers::<i64>(),
            Dtype::Bool => {
                let bools =
                    <[bool]>::try_ref_from_bytes(self.data).map_err(|_| RunError::InvalidBool {
                        input: self.name.to_owned(),
                    })?;
                view(self.shape, bools)
            }
            other => Err(RunError::Runtime {
                message: format!("{other} tensors do not run in process"),
            }),
        }
    }

    fn numbers<T>(&self) -> Result<SessionInputValue<'a>, RunError>
    where
        T: Number,
    {
        match typed::<T>(self.data) {
            Cow::Borrowed(numbers) => view(self.shape, numbers),
            Cow::Owned(numbers) => Tensor::from_array((self.shape.to_vec(), numbers))
                .map(SessionInputValue::from)
                .map_err(runtime),
        }
    }
}

/// The element types that any bytes make.
trait Number:
    PrimitiveTensorElementType
    + FromBytes
    + IntoBytes
    + Immutable
    + KnownLayout
    + Copy
    + std::fmt::Debug
    + 'static
{
}
impl Number for f32 {}
impl Number for f64 {}
impl Number for i32 {}
impl Number for i64 {}

/// In place if aligned. Bytes past the last whole element are left out.
fn typed<T: Number>(bytes: &[u8]) -> Cow<'_, [T]> {
    <[T]>::ref_from_bytes(bytes).map_or_else(
        |_| {
            bytes
                .chunks_exact(size_of::<T>())
                .filter_map(|chunk| T::read_from_bytes(chunk).ok())
                .collect()
        },
        Cow::Borrowed,
    )
}

fn view<'a, T>(shape: &'a [i64], data: &'a [T]) -> Result<SessionInputValue<'a>, RunError>
where
    T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
{
    TensorRef::from_array_view((shape, data))
        .map(SessionInputValue::from)
        .map_err(runtime)
}

/// Copies an output out of the runtime's memory.
pub(crate) fn output(name: &str, value: &DynValue) -> Result<Output, RunError> {
    let (dtype, (shape, data)) = match value.dtype().tensor_type() {
        Some(TensorElementType::Float32) => (Dtype::Fp32, bytes::<f32>(value)?),
        Some(TensorElementType::Float64) => (Dtype::Fp64, bytes::<f64>(value)?),
        Some(TensorElementType::Int32) => (Dtype::Int32, bytes::<i32>(value)?),
        Some(TensorElementType::Int64) => (Dtype::Int64, bytes::<i64>(value)?),
        Some(TensorElementType::Bool) => (Dtype::Bool, bytes::<bool>(value)?),
        _ => {
            return Err(RunError::Runtime {
                message: format!("output '{name}' is {}", value.dtype()),
            });
        }
    };
    Ok(Output {
        name: name.to_owned(),
        dtype,
        shape,
        data,
    })
}

fn bytes<T>(value: &DynValue) -> Result<(Vec<i64>, Vec<u8>), RunError>
where
    T: PrimitiveTensorElementType + IntoBytes + Immutable,
{
    let (shape, numbers) = value.try_extract_tensor::<T>().map_err(runtime)?;
    Ok((shape.to_vec(), numbers.as_bytes().to_vec()))
}

pub(crate) fn runtime(error: ort::Error) -> RunError {
    RunError::Runtime {
        message: error.to_string(),
    }
}
