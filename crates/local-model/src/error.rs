//! What can go wrong, each as a sentence that a person can act on.

use std::path::PathBuf;

use crate::Dtype;

/// libonnxruntime could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error(
        "ONNX Runtime's library is not at {library}: `scripts/triton.sh fetch` installs one and \
         `scripts/triton.sh onnxruntime` prints its path; give that as --onnxruntime or \
         GAVEL_ONNXRUNTIME"
    )]
    Missing { library: PathBuf },
    #[error(
        "ONNX Runtime could not be loaded from {library} ({message}): `scripts/triton.sh fetch` \
         installs one and `scripts/triton.sh onnxruntime` prints its path; give that as \
         --onnxruntime or GAVEL_ONNXRUNTIME"
    )]
    Unusable { library: PathBuf, message: String },
    #[error(
        "ONNX Runtime is already loaded from {loaded}; one process has one, so {asked} was not \
         loaded"
    )]
    AlreadyLoaded { loaded: PathBuf, asked: PathBuf },
}

/// A file does not hold a readable ONNX model.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("{file} does not exist")]
    Missing { file: PathBuf },
    #[error("{file} could not be read: {source}")]
    Read {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{file} has {size_bytes} bytes, and ONNX (protobuf) allows {limit_bytes}: keep its \
         weights in an external data file"
    )]
    TooLarge {
        file: PathBuf,
        size_bytes: u64,
        limit_bytes: u64,
    },
    #[error(
        "{file} is cut short: a part of the model at byte {at_bytes} needs {needed_bytes} bytes \
         and {left_bytes} are left; copy it again"
    )]
    Truncated {
        file: PathBuf,
        at_bytes: usize,
        needed_bytes: u64,
        left_bytes: usize,
    },
    #[error("{file} is not an ONNX model: {why}")]
    NotOnnx { file: PathBuf, why: String },
}

/// A model cannot be served in process.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(
        "{file}: tensor '{tensor}' is {dtype}, and a model in process takes and gives BOOL, \
         INT32, INT64, FP32 and FP64 (a classifier from scikit-learn or LightGBM needs \
         zipmap off)"
    )]
    UnsupportedDtype {
        file: PathBuf,
        tensor: String,
        dtype: Dtype,
    },
    #[error("{file} keeps weights in {external}, which does not exist: copy it beside the model")]
    MissingExternal { file: PathBuf, external: PathBuf },
    #[error(
        "{file} is newer than this ONNX Runtime (opset {opset}, IR version {ir_version}): export \
         it with an older opset, or use a newer libonnxruntime ({message})"
    )]
    UnsupportedOpset {
        file: PathBuf,
        opset: i64,
        ir_version: i64,
        message: String,
    },
    #[error("ONNX Runtime does not accept {file}: {message}")]
    Rejected { file: PathBuf, message: String },
    #[error(
        "{file} cannot run one row of zeros: {message}; export it with every dimension fixed but \
         the batch"
    )]
    Probe { file: PathBuf, message: String },
}

/// One run failed. All but [`RunError::Runtime`] are found before the runtime is called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("the model has no input '{input}'; it has {known}")]
    UnknownInput { input: String, known: String },
    #[error("input '{input}' was not given")]
    MissingInput { input: String },
    #[error("input '{input}' was given twice")]
    DuplicateInput { input: String },
    #[error("input '{input}' is {found}, and the model expects {expected}")]
    WrongDtype {
        input: String,
        expected: Dtype,
        found: Dtype,
    },
    #[error("input '{input}' has shape {found:?}, and the model expects {expected}")]
    WrongShape {
        input: String,
        expected: String,
        found: Vec<i64>,
    },
    #[error("input '{input}' has {found} bytes, and its shape and dtype need {expected}")]
    WrongByteLength {
        input: String,
        expected: usize,
        found: usize,
    },
    #[error("input '{input}' is BOOL, and a byte of it is neither 0 nor 1")]
    InvalidBool { input: String },
    #[error("ONNX Runtime failed: {message}")]
    Runtime { message: String },
}
