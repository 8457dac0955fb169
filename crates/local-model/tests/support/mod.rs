//! What the tests of this crate share: the runtime, the models and Python's values.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use local_model::{Dtype, Input, LocalModel, Runtime};

/// ONNX Runtime from `ORT_DYLIB_PATH`, or the one that `scripts/triton.sh` installs.
pub(crate) fn runtime() -> Runtime {
    Runtime::load(Some(&library())).unwrap()
}

fn library() -> PathBuf {
    if let Some(library) = std::env::var_os("ORT_DYLIB_PATH") {
        return library.into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/triton.sh");
    let output = Command::new(&script).arg("onnxruntime").output();
    let printed = output
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8(output.stdout).unwrap())
        .expect("ONNX Runtime is not installed: run `make test-deps`");
    PathBuf::from(printed.trim())
}

/// The path of `tests/models/NAME`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/models")
        .join(name)
}

/// The model `tests/models/NAME.onnx`.
pub(crate) fn load(name: &str, sessions: usize) -> LocalModel {
    LocalModel::load(&runtime(), &path(&format!("{name}.onnx")), sessions).unwrap()
}

/// One run of a model in Python.
pub(crate) struct Golden {
    pub(crate) model: String,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) outputs: Vec<Tensor>,
}

pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<i64>,
    pub(crate) data: Vec<u8>,
}

impl Tensor {
    pub(crate) fn input(&self) -> Input<'_> {
        Input {
            name: &self.name,
            dtype: self.dtype,
            shape: &self.shape,
            data: &self.data,
        }
    }
}

/// What `golden.py` prints. The library under test lies in a virtual environment,
/// `VENV/lib/python3.11/site-packages/onnxruntime/capi/`, whose Python runs it.
pub(crate) fn golden() -> Vec<Golden> {
    let library = library();
    let python = library
        .ancestors()
        .nth(6)
        .map(|venv| venv.join("bin/python"));
    let output = python
        .and_then(|python| Command::new(python).arg(path("golden.py")).output().ok())
        .expect("libonnxruntime is not in a Python environment: run `make test-deps`");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "golden.py: {complaint}");
    let cases: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    cases
        .as_array()
        .unwrap()
        .iter()
        .map(|case| Golden {
            model: case["model"].as_str().unwrap().to_owned(),
            inputs: tensors(&case["inputs"]),
            outputs: tensors(&case["outputs"]),
        })
        .collect()
}

fn tensors(list: &serde_json::Value) -> Vec<Tensor> {
    let tensor = |value: &serde_json::Value| Tensor {
        name: value["name"].as_str().unwrap().to_owned(),
        dtype: dtype(value["dtype"].as_str().unwrap()),
        shape: serde_json::from_value(value["shape"].clone()).unwrap(),
        data: hex(value["data"].as_str().unwrap()),
    };
    list.as_array().unwrap().iter().map(tensor).collect()
}

fn dtype(name: &str) -> Dtype {
    [
        Dtype::Bool,
        Dtype::Int32,
        Dtype::Int64,
        Dtype::Fp32,
        Dtype::Fp64,
    ]
    .into_iter()
    .find(|dtype| dtype.name() == name)
    .unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Little-endian bytes of `numbers`.
pub(crate) fn fp32(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}
