//! Requests, and a copy of the test models to serve.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tempfile::TempDir;
use testkit::Triton;
use tokio::time::Instant;
use triton_client::{
    Batching, Dtype, EndpointOptions, EndpointSet, InferError, InferRequest, InferResponse,
    InputTensor,
};

pub(crate) const MS: Duration = Duration::from_millis(1);
/// Enough on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A model repository with copies of some of `tests/models`.
pub(crate) fn repository(models: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
    for model in models {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/models")
            .join(model);
        copy(&source, &folder.path().join(model))
            .unwrap_or_else(|error| panic!("{model} cannot be copied: {error}"));
    }
    folder
}

fn copy(from: &Path, to: &PathBuf) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A patient client: by default no call of these tests opens its breaker.
pub(crate) fn client(triton: &Triton) -> EndpointSet {
    client_with(
        triton,
        EndpointOptions {
            slow_call: PATIENCE,
            ..Default::default()
        },
    )
}

pub(crate) fn client_with(triton: &Triton, options: EndpointOptions) -> EndpointSet {
    EndpointSet::new(std::slice::from_ref(&triton.grpc_url), options)
        .unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

pub(crate) fn input(
    name: &str,
    dtype: Dtype,
    shape: &[i64],
    data: impl Into<Bytes>,
) -> InputTensor {
    InputTensor {
        name: name.into(),
        dtype,
        shape: shape.to_vec(),
        data: data.into(),
    }
}

pub(crate) fn fp32(name: &str, shape: &[i64], values: &[f32]) -> InputTensor {
    let data: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    input(name, Dtype::Fp32, shape, data)
}

pub(crate) fn request(model: &str, inputs: Vec<InputTensor>) -> InferRequest {
    InferRequest {
        model: Arc::from(model),
        version: None,
        id: String::new(),
        inputs,
        outputs: Vec::new(),
    }
}

pub(crate) fn mlp() -> InferRequest {
    request("mlp", vec![fp32("x", &[1, 40], &[0.5; 40])])
}

pub(crate) fn slow(ms: f32) -> InferRequest {
    request("slow", vec![fp32("ms", &[1, 1], &[ms])])
}

pub(crate) async fn ask(
    client: &EndpointSet,
    request: InferRequest,
) -> Result<InferResponse, InferError> {
    ask_by(client, request, soon()).await
}

/// Through a queue of its own, unmerged.
pub(crate) async fn ask_by(
    client: &EndpointSet,
    request: InferRequest,
    deadline: Instant,
) -> Result<InferResponse, InferError> {
    let version = request.version.clone();
    let batching = Batching {
        instances: 63,
        ..Batching::none()
    };
    let scheduler = client.scheduler(&request.model, version.as_deref(), batching, "test");
    scheduler.infer(request, 0.0, deadline).await
}
