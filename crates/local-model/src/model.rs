//! A loaded model: checked against its signature, probed once, ready to run from any thread.

use std::path::Path;
use std::time::Duration;

use ort::session::{Session, builder::GraphOptimizationLevel};

use crate::pool::Pool;
use crate::tensor::{self, Input, Output};
use crate::{LoadError, RunError, Runtime, Signature, probe, read_signature};

/// An ONNX model in process.
#[derive(Debug)]
pub struct LocalModel {
    signature: Signature,
    pool: Pool,
    cost: Duration,
}

impl LocalModel {
    /// Loads `onnx` with `sessions` sessions (at least one), each of one thread, and measures
    /// one row. Blocks for milliseconds a session: not for an async worker.
    ///
    /// `sessions` bounds the runs at one moment; with as many as there are threads that call
    /// [`LocalModel::run`], none of them waits.
    ///
    /// # Errors
    /// The file is no ONNX model that this runtime takes, lacks its external data, has tensors
    /// of a dtype that does not run in process, or fails on one row of zeros.
    pub fn load(runtime: &Runtime, onnx: &Path, sessions: usize) -> Result<Self, LoadError> {
        let signature = read_signature(onnx)?;
        check_dtypes(onnx, &signature)?;
        check_external_files(onnx, &signature)?;
        let open =
            || open_session(runtime, onnx).map_err(|error| rejected(onnx, &signature, error));
        let first = open()?;
        let more = (1..sessions).map(|_| open()).collect::<Result<_, _>>()?;
        let mut model = Self {
            signature,
            pool: Pool::new(first, more),
            cost: Duration::ZERO,
        };
        model.cost = probe::cost(&model).map_err(|message| LoadError::Probe {
            file: onnx.to_path_buf(),
            message,
        })?;
        Ok(model)
    }

    /// What the model takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Median time of one run at batch 1, measured at load on a free session.
    pub fn cost(&self) -> Duration {
        self.cost
    }

    /// Runs the model on the calling thread. Every input must be given, in any order; all
    /// outputs come back, in the signature's order.
    ///
    /// # Errors
    /// An input is unknown, missing, given twice, or of the wrong dtype, shape or length, or the
    /// runtime fails.
    pub fn run(&self, inputs: &[Input<'_>]) -> Result<Vec<Output>, RunError> {
        // In the signature's order, which is the session's: weights are not session inputs.
        let mut values = Vec::with_capacity(inputs.len());
        for expected in &self.signature.inputs {
            let mut given = inputs.iter().filter(|input| input.name == expected.name);
            let Some(input) = given.next() else {
                return Err(RunError::MissingInput {
                    input: expected.name.clone(),
                });
            };
            if given.next().is_some() {
                return Err(RunError::DuplicateInput {
                    input: expected.name.clone(),
                });
            }
            input.check(expected)?;
            values.push(input.value()?);
        }
        if values.len() != inputs.len() {
            return Err(self.unknown_input(inputs));
        }
        let mut session = self.pool.take();
        let outputs = session.run(values.as_slice()).map_err(tensor::runtime)?;
        self.signature
            .outputs
            .iter()
            .zip(outputs.values())
            .map(|(info, value)| tensor::output(&info.name, &value))
            .collect()
    }

    fn unknown_input(&self, inputs: &[Input<'_>]) -> RunError {
        let unknown = inputs
            .iter()
            .find(|input| self.signature.input(input.name).is_none());
        let known: Vec<String> = self
            .signature
            .inputs
            .iter()
            .map(|input| format!("'{}'", input.name))
            .collect();
        RunError::UnknownInput {
            input: unknown.map_or_else(String::new, |input| input.name.to_owned()),
            known: known.join(", "),
        }
    }
}

fn open_session(runtime: &Runtime, onnx: &Path) -> ort::Result<Session> {
    Session::builder(runtime.environment())?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .commit_from_file(onnx)
}

fn check_dtypes(onnx: &Path, signature: &Signature) -> Result<(), LoadError> {
    let mut tensors = signature.inputs.iter().chain(&signature.outputs);
    match tensors.find(|tensor| !tensor.dtype.runs_in_process()) {
        None => Ok(()),
        Some(tensor) => Err(LoadError::UnsupportedDtype {
            file: onnx.to_path_buf(),
            tensor: tensor.name.clone(),
            dtype: tensor.dtype,
        }),
    }
}

fn check_external_files(onnx: &Path, signature: &Signature) -> Result<(), LoadError> {
    let folder = onnx.parent().unwrap_or(Path::new(""));
    let mut files = signature
        .external_files
        .iter()
        .map(|name| folder.join(name));
    match files.find(|file| !file.exists()) {
        None => Ok(()),
        Some(external) => Err(LoadError::MissingExternal {
            file: onnx.to_path_buf(),
            external,
        }),
    }
}

/// The runtime has no error code for a model newer than itself, only words.
fn rejected(onnx: &Path, signature: &Signature, error: ort::Error) -> LoadError {
    let message = error.to_string();
    let file = onnx.to_path_buf();
    if message.contains("IR version") || message.contains("opset") || message.contains("Opset") {
        LoadError::UnsupportedOpset {
            file,
            opset: signature.opset,
            ir_version: signature.ir_version,
            message,
        }
    } else {
        LoadError::Rejected { file, message }
    }
}
