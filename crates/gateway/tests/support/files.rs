//! The repository's own files, and copies of them to spoil.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// A path below the repository's root.
pub(crate) fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
        .canonicalize()
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The request of `examples/fraud.json`.
pub(crate) fn payment() -> Value {
    example("fraud.json")
}

/// A request of `examples/`.
pub(crate) fn example(name: &str) -> Value {
    let text = fs::read(root("examples").join(name)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The same request with another budget.
pub(crate) fn with_budget(mut request: Value, budget_ms: f64) -> Value {
    request["budget_ms"] = budget_ms.into();
    request
}

/// The library that `scripts/triton.sh` installs.
pub(crate) fn onnxruntime() -> PathBuf {
    let output = Command::new(root("scripts/triton.sh"))
        .arg("onnxruntime")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ONNX Runtime is not installed: run `make test-deps`"
    );
    String::from_utf8(output.stdout).unwrap().trim().into()
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Makes the views of a folder's `features.toml` packed rows that are loaded, instead of made from events.
pub(crate) fn pack_views(decisions: &Path) {
    let file = decisions.join("features.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("[events.payment]").unwrap();
    let (_, after) = rest.split_once("[views.card]").unwrap();
    let mut packed = format!("{before}[views.card]");
    for line in after.lines().filter(|line| !line.starts_with("events = ")) {
        match line.split_once(", aggregate = ") {
            Some((feature, _)) => packed.push_str(&format!("{feature} }}\n")),
            None => packed.push_str(&format!("{line}\n")),
        }
    }
    fs::write(file, packed).unwrap();
}

/// Replaces text in a file, which must have it.
pub(crate) fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} has no {from}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}
