//! Files that cannot be served in process say why.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;

use local_model::{LoadError, LocalModel, Runtime, RuntimeError, SignatureError};

fn refuse(file: &Path) -> LoadError {
    LocalModel::load(&support::runtime(), file, 1).unwrap_err()
}

fn refuse_model(name: &str) -> (LoadError, String) {
    let error = refuse(&support::path(&format!("{name}.onnx")));
    let text = error.to_string();
    (error, text)
}

#[test]
fn a_missing_file() {
    let error = refuse(Path::new("/nowhere/model.onnx"));
    assert!(matches!(
        error,
        LoadError::Signature(SignatureError::Missing { .. })
    ));
    assert_eq!(error.to_string(), "/nowhere/model.onnx does not exist");
}

#[test]
fn a_dtype_that_does_not_run_in_process() {
    let (error, text) = refuse_model("strings");
    assert!(matches!(error, LoadError::UnsupportedDtype { .. }));
    assert!(text.contains("tensor 'text' is BYTES"), "{text}");

    let (error, text) = refuse_model("zipmap");
    assert!(matches!(error, LoadError::UnsupportedDtype { .. }));
    assert!(
        text.contains("'probabilities' is a sequence") && text.contains("zipmap off"),
        "{text}"
    );
}

#[test]
fn a_model_newer_than_the_runtime() {
    let (error, text) = refuse_model("opset_too_new");
    assert!(
        matches!(error, LoadError::UnsupportedOpset { opset: 999, .. }),
        "{text}"
    );
    let (error, text) = refuse_model("ir_too_new");
    assert!(
        matches!(
            error,
            LoadError::UnsupportedOpset {
                ir_version: 999,
                ..
            }
        ),
        "{text}"
    );
}

#[test]
fn an_operator_that_the_runtime_lacks() {
    let (error, text) = refuse_model("no_such_operator");
    assert!(matches!(error, LoadError::Rejected { .. }), "{text}");
    assert!(text.contains("Decide"), "{text}");
}

#[test]
fn external_data_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("model.onnx");
    std::fs::copy(support::path("external.onnx"), &alone).unwrap();
    let error = refuse(&alone);
    assert!(matches!(error, LoadError::MissingExternal { .. }));
    assert!(error.to_string().contains("external.bin"), "{error}");
}

#[test]
fn a_model_that_cannot_run_one_row() {
    let (error, text) = refuse_model("free_width");
    assert!(matches!(error, LoadError::Probe { .. }), "{text}");
    let (error, text) = refuse_model("huge_input");
    assert!(matches!(error, LoadError::Probe { .. }), "{text}");
    assert!(text.contains("[1,1099511627776]"), "{text}");
}

#[test]
fn the_cost_is_measured() {
    assert!(!support::load("mlp", 2).cost().is_zero());
}

#[test]
fn no_sessions_means_one() {
    assert_eq!(support::load("scalar", 0).signature().inputs.len(), 1);
}

#[test]
fn a_runtime_library_that_is_missing_or_another_file() {
    let error = Runtime::load(Some(Path::new("/nowhere/libonnxruntime.so"))).unwrap_err();
    // Another test of this process may have loaded the real one by now.
    if !matches!(error, RuntimeError::AlreadyLoaded { .. }) {
        assert!(matches!(error, RuntimeError::Missing { .. }));
        let text = error.to_string();
        assert!(
            text.contains("scripts/triton.sh onnxruntime") && text.contains("GAVEL_ONNXRUNTIME"),
            "{text}"
        );
    }
    let error = Runtime::load(Some(&support::path("mlp.onnx"))).unwrap_err();
    assert!(matches!(
        error,
        RuntimeError::Unusable { .. } | RuntimeError::AlreadyLoaded { .. }
    ));
}
