//! One repository that is right; then the same with one thing broken, for every check.

mod bad_configs;
mod bad_ensembles;
mod bad_folders;
mod regrets;

use std::{fs, path::Path};

use super::{Finding, Severity, inspect};

const DEEP: &str = r#"name: "deep"
backend: "onnxruntime"
max_batch_size: 64
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "logit" data_type: TYPE_FP32 dims: [ 1 ] } ]
dynamic_batching { }
instance_group [ { kind: KIND_GPU count: 1 } ]
optimization { execution_accelerators { gpu_execution_accelerator : [ {
  name : "tensorrt"
  parameters { key: "trt_engine_cache_enable" value: "true" }
} ] } }
model_warmup [ {
  name: "one" batch_size: 1
  inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 3 ] zero_data: true } }
} ]
"#;

const DEEP_CPU: &str = r#"name: "deep"
backend: "onnxruntime"
max_batch_size: 64
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "logit" data_type: TYPE_FP32 dims: [ 1 ] } ]
dynamic_batching { }
instance_group [ { kind: KIND_CPU count: 2 } ]
"#;

const CALIBRATE: &str = r#"platform: "onnxruntime_onnx"
max_batch_size: 64
input [ { name: "logit" data_type: TYPE_FP32 dims: [ 1 ] } ]
output [ { name: "score" data_type: TYPE_FP32 dims: [ -1 ] } ]
dynamic_batching { max_queue_delay_microseconds: 200 }
"#;

const PRIMARY: &str = r#"name: "primary"
platform: "ensemble"
max_batch_size: 64
input [ { name: "features" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "score" data_type: TYPE_FP32 dims: [ 1 ] } ]
parameters {
  key: "gavel.features.features"
  value { string_value: "amount, card.count, card.mean" }
}
ensemble_scheduling { step [
  { model_name: "deep" model_version: -1
    input_map { key: "x" value: "features" }
    output_map { key: "logit" value: "middle" } },
  { model_name: "calibrate" model_version: -1
    input_map { key: "logit" value: "middle" }
    output_map { key: "score" value: "score" } }
] }
"#;

/// A change to the good repository: a file's text replaced in place, or a file as a whole.
enum Edit {
    Replace(&'static str, &'static str, &'static str),
    Write(&'static str, &'static str),
    Remove(&'static str),
}

use Edit::{Remove, Replace, Write};

/// Severity, `file:line` (no line for a whole file), key, and words of the message or hint.
type Expected = (
    Severity,
    &'static str,
    &'static str,
    &'static [&'static str],
);

fn good(root: &Path) {
    for (file, text) in [
        ("deep/config.pbtxt", DEEP),
        ("deep/configs/cpu.pbtxt", DEEP_CPU),
        ("deep/1/model.onnx", ""),
        ("calibrate/config.pbtxt", CALIBRATE),
        ("calibrate/1/model.onnx", ""),
        ("calibrate/2/model.onnx", ""),
        ("primary/config.pbtxt", PRIMARY),
        ("primary/1/.gitkeep", ""),
        (".git/config", ""),
    ] {
        write(&root.join(file), text);
    }
}

fn write(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// All findings about the good repository with these changes.
fn findings(edits: &[Edit], config_name: Option<&str>) -> (tempfile::TempDir, Vec<Finding>) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    good(root);
    for edit in edits {
        match edit {
            Replace(file, from, to) => {
                let file = root.join(file);
                let text = fs::read_to_string(&file).unwrap();
                assert!(text.contains(from), "{} lacks {from}", file.display());
                fs::write(&file, text.replacen(from, to, 1)).unwrap();
            }
            Write(file, text) => write(&root.join(file), text),
            Remove(file) if root.join(file).is_dir() => {
                fs::remove_dir_all(root.join(file)).unwrap();
            }
            Remove(file) => fs::remove_file(root.join(file)).unwrap(),
        }
    }
    let (_, findings) = inspect(root, config_name);
    (folder, findings)
}

/// The changes give exactly the findings expected, each with its file, line and key.
#[track_caller]
fn check(edits: &[Edit], expected: &[Expected]) {
    check_as(None, edits, expected);
}

#[track_caller]
fn check_as(config_name: Option<&str>, edits: &[Edit], expected: &[Expected]) {
    let (folder, found) = findings(edits, config_name);
    let shown: Vec<String> = found
        .iter()
        .map(|finding| format!("{} {finding:?}", place(folder.path(), finding)))
        .collect();
    let shown = shown.join("\n");
    assert_eq!(found.len(), expected.len(), "{shown}");
    for (severity, at, key, words) in expected {
        let same = |finding: &&Finding| {
            finding.severity == *severity
                && place(folder.path(), finding) == *at
                && finding.key == *key
        };
        let finding = found.iter().find(same);
        let finding = finding.unwrap_or_else(|| panic!("no {severity:?} at {at} {key}:\n{shown}"));
        let hint = finding.hint.as_deref().unwrap_or("");
        let text = format!("{} {hint}", finding.message);
        for word in *words {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    }
}

fn place(root: &Path, finding: &Finding) -> String {
    let file = finding
        .file
        .strip_prefix(root)
        .unwrap()
        .display()
        .to_string();
    let Some(span) = &finding.span else {
        return file;
    };
    let text = fs::read_to_string(&finding.file).unwrap();
    let line = text[..span.start].matches('\n').count() + 1;
    format!("{file}:{line}")
}

#[test]
fn the_good_repository_gives_none() {
    check(&[], &[]);
    check_as(Some("cpu"), &[], &[]);
    check_as(Some("nonesuch"), &[], &[]);
}

#[test]
fn models_are_as_their_folders_say() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path());
    let (models, _) = inspect(folder.path(), Some("cpu"));
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["calibrate", "deep", "primary"]);
    let (calibrate, deep, primary) = (&models[0], &models[1], &models[2]);
    assert_eq!(
        (&calibrate.folders[..], &calibrate.versions[..]),
        (&[1, 2][..], &[2][..])
    );
    assert_eq!(
        calibrate.model_file(2),
        Some(folder.path().join("calibrate/2/model.onnx"))
    );
    assert_eq!(
        deep.config_file,
        folder.path().join("deep/configs/cpu.pbtxt")
    );
    assert_eq!(deep.config.instance_groups[0].count, 2);
    assert_eq!(deep.variants.len(), 2);
    assert_eq!(deep.chosen().unwrap().name.as_deref(), Some("cpu"));
    assert_eq!(primary.model_file(1), None);
}

#[test]
fn our_own_repository_gives_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../model_repository");
    for name in [None, Some("cpu")] {
        let (models, findings) = inspect(&root, name);
        assert!(!models.is_empty());
        let unbuilt = |finding: &Finding| finding.message.contains("'model.plan'");
        let rest: Vec<&Finding> = findings.iter().filter(|f| !unbuilt(f)).collect();
        assert!(rest.is_empty(), "{rest:#?}");
        assert!(findings.iter().all(|f| f.severity == Severity::Warning));
    }
}
