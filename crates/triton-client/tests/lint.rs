//! The lint of model repositories against the real Triton: what Triton refuses to load has an
//! error, and what it loads has none, but for the few things that Gavel alone minds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use testkit::Triton;
use tokio::time::Instant;
use triton_client::{
    EndpointOptions, EndpointSet,
    repository::{Severity, inspect},
};

/// What Triton does with a model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Refuses,
    Serves,
    /// It serves it, and for Gavel it is an error all the same.
    ServesButGavel,
}

use Verdict::{Refuses, Serves, ServesButGavel};

/// Answers every request with one zero a row.
const MODEL: &str = "import numpy as np
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        rows = [pb.get_input_tensor_by_name(r, 'x').as_numpy().shape[0] for r in requests]
        return [pb.InferenceResponse([pb.Tensor('y', np.zeros((n, 1), np.float32))]) for n in rows]
";

const GOOD: &str = "backend: \"python\"\nmax_batch_size: 8\n\
input [ { name: \"x\" data_type: TYPE_FP32 dims: [ 3 ] } ]\n\
output [ { name: \"y\" data_type: TYPE_FP32 dims: [ 1 ] } ]\n";

/// The good model with one thing replaced. Not among them: a warm-up of more rows than
/// `max_batch_size`, of which this Triton mostly dies, and a Python model without its file, for
/// which it waits for minutes.
const MODELS: [(&str, Verdict, &str, &str); 32] = [
    ("good", Serves, "", ""),
    ("name", Refuses, "backend", "name: \"another\" backend"),
    ("unknown_field", Refuses, "max_batch_size", "max_batchsize"),
    ("unknown_type", Refuses, "TYPE_FP32", "TYPE_FP33"),
    ("no_type", Refuses, "data_type: TYPE_FP32", ""),
    ("invalid_type", Refuses, "TYPE_FP32", "TYPE_INVALID"),
    ("no_name", Refuses, "name: \"x\"", ""),
    ("no_dims", Refuses, "dims: [ 3 ]", ""),
    ("zero_dim", Refuses, "[ 3 ]", "[ 0 ]"),
    ("negative_dim", Refuses, "[ 3 ]", "[ -2 ]"),
    ("any_dim", Serves, "[ 3 ]", "[ -1 ]"),
    (
        "reshape",
        Refuses,
        "[ 3 ]",
        "[ 3 ] reshape { shape: [ 2 ] }",
    ),
    (
        "negative_batch",
        Refuses,
        "max_batch_size: 8",
        "max_batch_size: -1",
    ),
    ("no_backend", Serves, "backend: \"python\"", ""),
    (
        "twice",
        ServesButGavel,
        "input [",
        "input [ { name: \"x\" data_type: TYPE_FP32 dims: [ 3 ] },",
    ),
    (
        "large_preference",
        Refuses,
        "input",
        "dynamic_batching { preferred_batch_size: 9 } input",
    ),
    (
        "priority",
        Refuses,
        "input",
        "dynamic_batching { priority_levels: 2 } input",
    ),
    (
        "policy",
        Serves,
        "input",
        "dynamic_batching { default_queue_policy { } } input",
    ),
    (
        "both_batchers",
        Refuses,
        "input",
        "dynamic_batching { } sequence_batching { } input",
    ),
    (
        "gpus_of_a_cpu",
        Refuses,
        "input",
        "instance_group { kind: KIND_CPU gpus: 0 } input",
    ),
    (
        "negative_count",
        ServesButGavel,
        "input",
        "instance_group { kind: KIND_CPU count: -1 } input",
    ),
    (
        "no_such_version",
        Refuses,
        "input",
        "version_policy { specific { versions: 7 } } input",
    ),
    (
        "one_such_version",
        ServesButGavel,
        "input",
        "version_policy { specific { versions: [ 1, 7 ] } } input",
    ),
    (
        "zero_versions",
        Refuses,
        "input",
        "version_policy { latest { num_versions: 0 } } input",
    ),
    (
        "warm",
        Serves,
        "input",
        "model_warmup { name: \"w\" batch_size: 8 inputs { key: \"x\" value { data_type: TYPE_FP32 dims: 3 zero_data: true } } } input",
    ),
    (
        "warm_name",
        Refuses,
        "input",
        "model_warmup { name: \"w\" batch_size: 1 inputs { key: \"z\" value { data_type: TYPE_FP32 dims: 3 zero_data: true } } } input",
    ),
    (
        "warm_type",
        Refuses,
        "input",
        "model_warmup { name: \"w\" batch_size: 1 inputs { key: \"x\" value { data_type: TYPE_FP64 dims: 3 zero_data: true } } } input",
    ),
    (
        "warm_dims",
        Refuses,
        "input",
        "model_warmup { name: \"w\" batch_size: 1 inputs { key: \"x\" value { data_type: TYPE_FP32 dims: 4 zero_data: true } } } input",
    ),
    (
        "warm_data",
        Refuses,
        "input",
        "model_warmup { name: \"w\" batch_size: 1 inputs { key: \"x\" value { data_type: TYPE_FP32 dims: 3 } } } input",
    ),
    (
        "warm_nothing",
        Refuses,
        "input",
        "model_warmup { name: \"w\" batch_size: 1 } input",
    ),
    (
        "steps",
        Refuses,
        "input",
        "ensemble_scheduling { step [ { model_name: \"good\" model_version: -1 input_map { key: \"x\" value: \"x\" } output_map { key: \"y\" value: \"y\" } } ] } input",
    ),
    ("no_batch", Serves, "max_batch_size: 8", "max_batch_size: 0"),
];

const ENSEMBLE: &str = "platform: \"ensemble\"\nmax_batch_size: 8\n\
input [ { name: \"a\" data_type: TYPE_FP32 dims: [ 3 ] } ]\n\
output [ { name: \"b\" data_type: TYPE_FP32 dims: [ 1 ] } ]\n\
ensemble_scheduling { step [ { model_name: \"good\" model_version: -1\n\
input_map { key: \"x\" value: \"a\" } output_map { key: \"y\" value: \"b\" } } ] }\n";

/// The good ensemble with one thing replaced.
const ENSEMBLES: [(&str, Verdict, &str, &str); 21] = [
    ("ensemble", Serves, "", ""),
    ("e_no_platform", Refuses, "platform: \"ensemble\"", ""),
    (
        "e_no_steps",
        Refuses,
        "ensemble_scheduling { step",
        "parameters { } dynamic_batching { } # ",
    ),
    (
        "e_group",
        Refuses,
        "input",
        "instance_group { kind: KIND_CPU } input",
    ),
    ("e_no_model", Refuses, "good", "god"),
    ("e_itself", Refuses, "good", "e_itself"),
    ("e_no_version", Refuses, "model_version: -1", ""),
    (
        "e_other_version",
        Refuses,
        "model_version: -1",
        "model_version: 9",
    ),
    ("e_input_key", Refuses, "key: \"x\"", "key: \"z\""),
    ("e_output_key", Refuses, "key: \"y\"", "key: \"z\""),
    (
        "e_extra_key",
        Refuses,
        "input_map",
        "input_map { key: \"z\" value: \"a\" } input_map",
    ),
    (
        "e_no_input_map",
        Refuses,
        "input_map { key: \"x\" value: \"a\" }",
        "",
    ),
    (
        "e_no_output_map",
        Refuses,
        "output_map { key: \"y\" value: \"b\" }",
        "",
    ),
    ("e_unmade", Refuses, "value: \"a\"", "value: \"c\""),
    ("e_unread", Refuses, "value: \"b\"", "value: \"c\""),
    (
        "e_unused",
        Refuses,
        "input [",
        "input [ { name: \"c\" data_type: TYPE_FP32 dims: [ 1 ] },",
    ),
    ("e_type", Refuses, "TYPE_FP32", "TYPE_FP64"),
    ("e_shape", Refuses, "[ 3 ]", "[ 4 ]"),
    ("e_rank", Refuses, "[ 3 ]", "[ 3, 1 ]"),
    ("e_any_shape", Serves, "[ 3 ]", "[ -1 ]"),
    ("e_rows", Refuses, "max_batch_size: 8", "max_batch_size: 9"),
];

fn write_models(root: &Path) {
    for (name, _, from, to) in MODELS {
        let version = root.join(name).join("1");
        fs::create_dir_all(&version).unwrap();
        fs::write(version.join("model.py"), MODEL).unwrap();
        fs::write(
            root.join(name).join("config.pbtxt"),
            changed(GOOD, from, to),
        )
        .unwrap();
    }
    for (name, _, from, to) in ENSEMBLES {
        fs::create_dir_all(root.join(name).join("1")).unwrap();
        fs::write(
            root.join(name).join("config.pbtxt"),
            changed(ENSEMBLE, from, to),
        )
        .unwrap();
    }
}

fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, usize::from(!from.is_empty()))
}

#[tokio::test]
async fn the_lint_refuses_what_triton_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_models(root);

    let (_, findings) = inspect(root, Some("cpu"));
    let errors: BTreeSet<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .filter_map(|finding| finding.file.strip_prefix(root).ok()?.iter().next())
        .map(|model| model.to_string_lossy().into_owned())
        .collect();

    let server = Triton::start_with(root, &["--exit-on-error=false", "--strict-readiness=false"]);
    let client = EndpointSet::new(
        std::slice::from_ref(&server.grpc_url),
        EndpointOptions::default(),
    )
    .unwrap();
    let mut wrong = Vec::new();
    for (name, expected, ..) in MODELS.iter().chain(&ENSEMBLES) {
        let soon = Instant::now() + Duration::from_secs(10);
        let served = client.model_ready(name, None, soon).await.unwrap();
        let found = match (served, errors.contains(*name)) {
            (false, true) => Some(Refuses),
            (true, false) => Some(Serves),
            (true, true) => Some(ServesButGavel),
            (false, false) => None,
        };
        if found != Some(*expected) {
            wrong.push(format!("{name}: expected {expected:?}, served {served}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{findings:#?}", wrong.join("\n"));
}
