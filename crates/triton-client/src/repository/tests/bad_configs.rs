//! What Triton refuses in one configuration, and the lists of features that Gavel reads in it.

use super::{Replace, Severity::*, Write, check};

const FILE: &str = "calibrate/config.pbtxt";

#[test]
fn unknown_fields_all_at_once_with_what_was_meant() {
    check(
        &[
            Replace(FILE, "max_batch_size", "max_batchsize"),
            Replace(FILE, "dims: [ -1 ]", "dim: [ -1 ]"),
            Replace(FILE, "TYPE_FP32", "TYPE_FP322"),
            Replace(FILE, "max_queue_delay_microseconds", "flux_capacitor"),
        ],
        &[
            (
                Error,
                "calibrate/config.pbtxt:2",
                "max_batchsize",
                &["did you mean `max_batch_size`?"],
            ),
            (
                Error,
                "calibrate/config.pbtxt:3",
                "input[0].data_type",
                &["did you mean `TYPE_FP32`?"],
            ),
            (
                Error,
                "calibrate/config.pbtxt:4",
                "output[0].dim",
                &["did you mean `dims`?"],
            ),
            (
                Error,
                "calibrate/config.pbtxt:5",
                "dynamic_batching.flux_capacitor",
                &["not found"],
            ),
            // It is read as 0, which the ensemble above notices and the file itself does not say.
        ],
    );
}

#[test]
fn what_does_not_parse() {
    // An open string takes its own line with it, and no more.
    check(
        &[
            Replace(FILE, "onnxruntime_onnx\"", "onnxruntime_onnx"),
            Replace(FILE, "dims: [ 1 ]", "dims: [ 0 ]"),
        ],
        &[
            (Error, "calibrate/config.pbtxt:1", "platform", &["string"]),
            (
                Error,
                "calibrate/config.pbtxt:3",
                "input[0].dims[0]",
                &["a dimension of 0"],
            ),
            (
                Error,
                "primary/config.pbtxt:15",
                "ensemble_scheduling.step[1].input_map[\"logit\"]",
                &["[1] for model 'deep'"],
            ),
        ],
    );
    check(
        &[
            Write("odd/config.pbtxt", "} ]"),
            Write("odd/1/model.onnx", ""),
        ],
        &[(Error, "odd/config.pbtxt:1", "", &["expected a field name"])],
    );
    check(
        &[Replace(
            FILE,
            "max_batch_size: 64",
            "max_batch_size: \"64\"",
        )],
        &[(
            Error,
            "calibrate/config.pbtxt:2",
            "max_batch_size",
            &["integer"],
        )],
    );
    check(
        &[Replace(
            FILE,
            "max_batch_size: 64",
            "max_batch_size: 64 max_batch_size: 32",
        )],
        &[(
            Error,
            "calibrate/config.pbtxt:2",
            "max_batch_size",
            &["already set"],
        )],
    );
}

#[test]
fn a_negative_batch() {
    check(
        &[Replace(
            "deep/configs/cpu.pbtxt",
            "max_batch_size: 64",
            "max_batch_size: -1",
        )],
        &[(
            Error,
            "deep/configs/cpu.pbtxt:3",
            "max_batch_size",
            &["max_batch_size is -1"],
        )],
    );
}

#[test]
fn dims() {
    check(
        &[Replace(FILE, "dims: [ 1 ]", "")],
        &[(
            Error,
            "calibrate/config.pbtxt:3",
            "input[0].dims",
            &["input 'logit' has no dims"],
        )],
    );
    for dims in ["[ 1, 0 ]", "[ 1, -2 ]"] {
        let edit = match dims {
            "[ 1, 0 ]" => Replace("deep/configs/cpu.pbtxt", "[ 1 ]", "[ -1, 0 ]"),
            _ => Replace("deep/configs/cpu.pbtxt", "[ 1 ]", "[ -1, -2 ]"),
        };
        let found = super::findings(&[edit], None).1;
        let dim = found.iter().find(|f| f.key == "output[0].dims[1]").unwrap();
        assert!(dim.message.contains("it is 1 or more, or -1"), "{dim:?}");
    }
    check(
        &[Replace(
            FILE,
            "dims: [ 1 ]",
            "dims: [ 1 ] reshape { shape: [ 2 ] }",
        )],
        &[(
            Error,
            "calibrate/config.pbtxt:3",
            "input[0].reshape",
            &["another number of elements"],
        )],
    );
}

#[test]
fn names_and_types() {
    check(
        &[Replace(
            "deep/configs/cpu.pbtxt",
            "input [",
            "input { name: \"x\" data_type: TYPE_FP32 dims: 3 }\ninput [",
        )],
        &[(
            Error,
            "deep/configs/cpu.pbtxt:5",
            "input[1].name",
            &["there twice"],
        )],
    );
    check(
        &[Replace(
            FILE,
            "data_type: TYPE_FP32",
            "data_type: TYPE_INVALID",
        )],
        &[(
            Error,
            "calibrate/config.pbtxt:3",
            "input[0].data_type",
            &["no data_type"],
        )],
    );
    check(
        &[Replace(
            "deep/configs/cpu.pbtxt",
            "output [ { name: \"logit\"",
            "output [ { ",
        )],
        &[
            (
                Error,
                "deep/configs/cpu.pbtxt:5",
                "output[0].name",
                &["no name"],
            ),
            (
                Error,
                "primary/config.pbtxt:13",
                "ensemble_scheduling.step[0].output_map[\"logit\"]",
                &["no output of model 'deep'"],
            ),
        ],
    );
}

#[test]
fn no_tensors() {
    check(
        &[Replace(
            FILE,
            "input [ { name: \"logit\" data_type: TYPE_FP32 dims: [ 1 ] } ]",
            "",
        )],
        &[(Warning, FILE, "input", &["Triton asks the model's file"])],
    );
}

#[test]
fn instances() {
    check(
        &[Replace(
            "deep/configs/cpu.pbtxt",
            "count: 2",
            "count: -2 gpus: [ 0 ]",
        )],
        &[
            (
                Error,
                "deep/configs/cpu.pbtxt:7",
                "instance_group[0].count",
                &["-2 instances"],
            ),
            (
                Error,
                "deep/configs/cpu.pbtxt:7",
                "instance_group[0].gpus",
                &["names GPUs"],
            ),
        ],
    );
}

#[test]
fn batches() {
    check(
        &[Replace(
            FILE,
            "max_queue_delay_microseconds: 200",
            "preferred_batch_size: [ 8, 128 ]",
        )],
        &[(
            Error,
            "calibrate/config.pbtxt:5",
            "dynamic_batching.preferred_batch_size[1]",
            &["128 is not between 1 and max_batch_size, 64"],
        )],
    );
}

#[test]
fn warm_ups() {
    let file = "deep/config.pbtxt";
    check(
        &[Replace(file, "batch_size: 1\n", "batch_size: 65\n")],
        &[(
            Error,
            "deep/config.pbtxt:13",
            "model_warmup[0].batch_size",
            &["65 rows"],
        )],
    );
    check(
        &[Replace(file, "key: \"x\" value {", "key: \"xx\" value {")],
        &[(
            Error,
            "deep/config.pbtxt:14",
            "model_warmup[0].inputs[\"xx\"]",
            &["did you mean `x`?"],
        )],
    );
    check(
        &[Replace(
            file,
            "TYPE_FP32 dims: [ 3 ] zero_data: true",
            "TYPE_FP64 dims: [ -1 ]",
        )],
        &[
            (
                Error,
                "deep/config.pbtxt:14",
                "model_warmup[0].inputs[\"x\"].value.data_type",
                &["differ in data_type"],
            ),
            (
                Error,
                "deep/config.pbtxt:14",
                "model_warmup[0].inputs[\"x\"].value.dims",
                &["[-1]", "[3]"],
            ),
            (
                Error,
                "deep/config.pbtxt:14",
                "model_warmup[0].inputs[\"x\"]",
                &["zero_data: true"],
            ),
        ],
    );
    check(
        &[Replace(
            file,
            "zero_data: true",
            "input_data_file: \"rows\"",
        )],
        &[(
            Error,
            "deep/config.pbtxt:14",
            "model_warmup[0].inputs[\"x\"].value.input_data_file",
            &["no file 'rows'"],
        )],
    );
    check(
        &[Replace(
            file,
            "inputs { key: \"x\" value { data_type: TYPE_FP32 dims: [ 3 ] zero_data: true } }",
            "",
        )],
        &[(
            Error,
            "deep/config.pbtxt:13",
            "model_warmup[0]",
            &["lacks input x"],
        )],
    );
}

#[test]
fn feature_lists() {
    let file = "primary/config.pbtxt";
    let key = "parameters[\"gavel.features.features\"]";
    check(
        &[Replace(
            file,
            "gavel.features.features",
            "gavel.features.feature",
        )],
        &[(
            Error,
            "primary/config.pbtxt:7",
            "parameters[\"gavel.features.feature\"]",
            &["no input", "did you mean `features`?"],
        )],
    );
    check(
        &[Replace(
            file,
            "amount, card.count",
            "amount, card.count, card.sum",
        )],
        &[(
            Error,
            "primary/config.pbtxt:7",
            key,
            &["4 features", "3 columns"],
        )],
    );
    // One of them may be a list.
    check(&[Replace(file, "amount, card.count", "amount")], &[]);
    let list = "parameters[\"gavel.features.features\"].value.string_value";
    check(
        &[Replace(file, "card.count", "")],
        &[(
            Error,
            "primary/config.pbtxt:8",
            list,
            &["feature 2 is empty"],
        )],
    );
    check(
        &[Replace(file, "card.count", "amount")],
        &[(
            Error,
            "primary/config.pbtxt:8",
            list,
            &["'amount' is listed twice", "feature 2"],
        )],
    );
    check(
        &[Replace(file, "amount, card.count, card.mean", " ")],
        &[(Error, "primary/config.pbtxt:8", list, &["empty"])],
    );
}
