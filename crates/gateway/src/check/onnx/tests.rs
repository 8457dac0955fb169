//! A configuration against an ONNX file.

use std::{collections::BTreeMap, fs};

use local_model::Dtype;
use triton_client::repository::inspect;

use super::*;

const CONFIG: &str = r#"backend: "onnxruntime"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 1 ] } ]
"#;

fn tensor(name: &str, dtype: Dtype, dims: &[Option<i64>]) -> TensorInfo {
    TensorInfo {
        name: name.to_owned(),
        dtype,
        dims: dims.to_vec(),
        ranked: true,
    }
}

fn signature(inputs: Vec<TensorInfo>, outputs: Vec<TensorInfo>) -> Signature {
    Signature {
        inputs,
        outputs,
        opset: 17,
        other_opsets: BTreeMap::new(),
        ir_version: 8,
        producer: String::new(),
        external_files: Default::default(),
    }
}

fn good() -> Signature {
    let x = tensor("x", Dtype::Fp32, &[None, Some(3)]);
    signature(vec![x], vec![tensor("y", Dtype::Fp32, &[None, Some(1)])])
}

/// Compares, and gives each finding as `line key: message`.
fn compared(config: &str, signature: &Signature) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("m/1")).unwrap();
    fs::write(folder.path().join("m/config.pbtxt"), config).unwrap();
    let (models, _) = inspect(folder.path(), None);
    let model = &models[0];
    let line = |finding: &Finding| {
        let start = finding.span.clone().map_or(0, |span| span.start);
        config[..start].matches('\n').count() + 1
    };
    compare(model, &model.config_file, &model.config, signature)
        .iter()
        .map(|finding| format!("{} {}: {}", line(finding), finding.key, finding.message))
        .collect()
}

#[track_caller]
fn says(config: &str, signature: &Signature, expected: &[(&str, &str)]) {
    let found = compared(config, signature);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, (place, words)) in found.iter().zip(expected) {
        assert!(found.starts_with(place) && found.contains(words), "{found}");
    }
}

#[test]
fn a_configuration_that_fits() {
    says(CONFIG, &good(), &[]);
    // Triton fills in what is not written.
    says(
        "backend: \"onnxruntime\"\nmax_batch_size: 8\n",
        &good(),
        &[],
    );
    let free = signature(
        vec![tensor("x", Dtype::Fp32, &[None, None])],
        good().outputs,
    );
    says(CONFIG, &free, &[]);
    let mut unranked = good();
    unranked.inputs[0].dims.clear();
    unranked.inputs[0].ranked = false;
    says(CONFIG, &unranked, &[]);
    let mut more = good();
    more.outputs.push(tensor("z", Dtype::Int64, &[None]));
    says(CONFIG, &more, &[]);
}

#[test]
fn names() {
    says(
        &CONFIG
            .replace("\"x\"", "\"xx\"")
            .replace("\"y\"", "\"score\""),
        &good(),
        &[
            ("3 input[0].name", "no input 'xx'"),
            ("4 output[0].name", "no output 'score'"),
        ],
    );
    let mut more = good();
    more.inputs
        .push(tensor("mask", Dtype::Bool, &[None, Some(3)]));
    says(CONFIG, &more, &[("3 input", "needs input 'mask' too")]);
}

#[test]
fn types() {
    says(
        &CONFIG.replacen("FP32", "FP64", 1),
        &good(),
        &[(
            "3 input[0].data_type",
            "FP64 here and FP32 in the ONNX file",
        )],
    );
    let zipmap = signature(
        good().inputs,
        vec![tensor("y", Dtype::Other("a sequence"), &[])],
    );
    let found = compared(CONFIG, &zipmap);
    assert!(
        found[0].contains("a sequence in the ONNX file"),
        "{found:?}"
    );
}

#[test]
fn dimensions_and_batch() {
    says(
        &CONFIG.replace("[ 3 ]", "[ 4 ]"),
        &good(),
        &[("3 input[0].dims[0]", "4 here and 3 in the ONNX file")],
    );
    says(
        &CONFIG.replace("[ 3 ]", "[ -1 ]"),
        &good(),
        &[("3 input[0].dims[0]", "-1 here")],
    );
    says(
        &CONFIG.replace("[ 3 ]", "[ 1, 3 ]"),
        &good(),
        &[("3 input[0].dims", "2 dimensions here and 1 dimension")],
    );
    says(
        &CONFIG.replace("max_batch_size: 8", "max_batch_size: 0"),
        &good(),
        &[
            ("3 input[0].dims", "1 dimension here and 2"),
            ("4 output[0].dims", "1 dimension here"),
        ],
    );
    let fixed = signature(
        vec![tensor("x", Dtype::Fp32, &[Some(1), Some(3)])],
        good().outputs,
    );
    says(
        CONFIG,
        &fixed,
        &[("2 max_batch_size", "fixes the batch of 'x' at 1")],
    );
    let scalar = signature(vec![tensor("x", Dtype::Fp32, &[])], good().outputs);
    says(CONFIG, &scalar, &[("2 max_batch_size", "a scalar")]);
}

#[test]
fn a_reshape_is_what_the_file_sees() {
    let labels = signature(good().inputs, vec![tensor("y", Dtype::Fp32, &[None])]);
    says(
        CONFIG,
        &labels,
        &[("4 output[0].dims", "1 dimension here and 0")],
    );
    says(
        &CONFIG.replace("[ 1 ] }", "[ 1 ] reshape { shape: [ ] } }"),
        &labels,
        &[],
    );
}

#[test]
fn weights_in_another_file() {
    let mut external = good();
    external.external_files.insert("weights.bin".to_owned());
    says(
        CONFIG,
        &external,
        &[("1 :", "version 1 lacks 'weights.bin'")],
    );
}
