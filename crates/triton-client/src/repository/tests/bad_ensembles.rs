//! Graphs that Triton refuses, and steps that do not fit their models.

use super::{Edit, Replace, Severity::*, Write, check};

const FILE: &str = "primary/config.pbtxt";

#[track_caller]
fn breaks(edit: Edit, at: &'static str, key: &'static str, words: &'static [&'static str]) {
    check(&[edit], &[(Error, at, key, words)]);
}

#[test]
fn an_ensemble_has_steps_and_nothing_else_has() {
    let steps = super::PRIMARY.split_once("ensemble_scheduling").unwrap();
    let without: &'static str = steps.0;
    breaks(
        Write(FILE, without),
        "primary/config.pbtxt:2",
        "platform",
        &["needs `ensemble_scheduling`"],
    );
    let empty: &'static str = format!("{without}ensemble_scheduling {{ }}\n").leak();
    breaks(
        Write(FILE, empty),
        "primary/config.pbtxt:10",
        "ensemble_scheduling",
        &["at least one `step`"],
    );
    breaks(
        Replace(FILE, "platform: \"ensemble\"", "backend: \"onnxruntime\""),
        "primary/config.pbtxt:10",
        "ensemble_scheduling",
        &["platform: \"ensemble\""],
    );
    breaks(
        Replace(
            FILE,
            "ensemble_scheduling",
            "instance_group { kind: KIND_CPU }\nensemble_scheduling",
        ),
        "primary/config.pbtxt:10",
        "instance_group",
        &["its steps have"],
    );
}

#[test]
fn a_step_names_a_model_of_the_repository() {
    breaks(
        Replace(FILE, "\"calibrate\"", "\"calibarte\""),
        "primary/config.pbtxt:14",
        "ensemble_scheduling.step[1].model_name",
        &[
            "'calibarte' is not in the repository",
            "did you mean `calibrate`?",
        ],
    );
    breaks(
        Replace(FILE, "\"calibrate\"", "\"\""),
        "primary/config.pbtxt:14",
        "ensemble_scheduling.step[1].model_name",
        &["names no model"],
    );
    breaks(
        Replace(FILE, "\"calibrate\"", "\"primary\""),
        "primary/config.pbtxt:14",
        "ensemble_scheduling.step[1].model_name",
        &["a circle"],
    );
}

#[test]
fn a_step_names_a_version_that_is_served() {
    let key = "ensemble_scheduling.step[1].model_version";
    breaks(
        Replace(FILE, "\"calibrate\" model_version: -1", "\"calibrate\""),
        "primary/config.pbtxt:14",
        key,
        &["0 where it is left out", "-1 is the newest"],
    );
    breaks(
        Replace(
            FILE,
            "\"calibrate\" model_version: -1",
            "\"calibrate\" model_version: 1",
        ),
        "primary/config.pbtxt:14",
        key,
        &["version 1 of 'calibrate' is not served", "the newest alone"],
    );
}

#[test]
fn maps_name_tensors_of_the_model() {
    breaks(
        Replace(FILE, "input_map { key: \"x\"", "input_map { key: \"y\""),
        "primary/config.pbtxt:12",
        "ensemble_scheduling.step[0].input_map[\"y\"]",
        &["no input of model 'deep'"],
    );
    breaks(
        Replace(FILE, "key: \"score\"", "key: \"scores\""),
        "primary/config.pbtxt:16",
        "ensemble_scheduling.step[1].output_map[\"scores\"]",
        &["did you mean `score`?"],
    );
    check(
        &[Replace(
            "calibrate/config.pbtxt",
            "input [",
            "input [ { name: \"more\" data_type: TYPE_FP32 dims: [ 1 ] },",
        )],
        &[(
            Error,
            "primary/config.pbtxt:15",
            "ensemble_scheduling.step[1].input_map",
            &["'more' of model 'calibrate' gets no tensor"],
        )],
    );
}

#[test]
fn every_tensor_is_made_and_read() {
    check(
        &[Replace(
            FILE,
            "key: \"logit\" value: \"middle\" }\n    output",
            "key: \"logit\" value: \"midle\" }\n    output",
        )],
        &[
            (
                Error,
                "primary/config.pbtxt:13",
                "ensemble_scheduling.step[0].output_map[\"logit\"]",
                &["nothing reads tensor 'middle'"],
            ),
            (
                Error,
                "primary/config.pbtxt:15",
                "ensemble_scheduling.step[1].input_map[\"logit\"]",
                &["nothing makes tensor 'midle'"],
            ),
        ],
    );
    breaks(
        Replace(
            FILE,
            "input [",
            "input [ { name: \"more\" data_type: TYPE_FP32 dims: [ 1 ] },",
        ),
        "primary/config.pbtxt:4",
        "input[0].name",
        &["no step reads input 'more'"],
    );
    breaks(
        Replace(
            FILE,
            "output [",
            "output [ { name: \"more\" data_type: TYPE_FP32 dims: [ 1 ] },",
        ),
        "primary/config.pbtxt:5",
        "output[0].name",
        &["no step makes output 'more'"],
    );
    check(
        &[Replace(
            FILE,
            "input_map { key: \"logit\" value: \"middle\" }\n",
            "\n",
        )],
        &[
            (
                Error,
                "primary/config.pbtxt:13",
                "ensemble_scheduling.step[0].output_map[\"logit\"]",
                &["nothing reads"],
            ),
            (
                Error,
                "primary/config.pbtxt:14",
                "ensemble_scheduling.step[1].input_map",
                &["no input_map"],
            ),
        ],
    );
}

#[test]
fn a_tensor_is_written_once() {
    check(
        &[Replace(
            FILE,
            "step [",
            "step [ { model_name: \"deep\" model_version: -1 input_map { key: \"x\" value: \"features\" } \
             output_map { key: \"logit\" value: \"middle\" } },",
        )],
        &[(
            Error,
            "primary/config.pbtxt:13",
            "ensemble_scheduling.step[1].output_map[\"logit\"]",
            &["written once, and step 0 writes it too"],
        )],
    );
}

#[test]
fn steps_that_wait_for_each_other() {
    let text: &'static str = super::PRIMARY
        .replace("value: \"features\" }\n", "value: \"score\" }\n")
        .leak();
    let found = super::findings(&[Write(FILE, text)], None).1;
    let circle = found
        .iter()
        .find(|f| f.message.contains("wait for each other"));
    assert_eq!(circle.unwrap().key, "ensemble_scheduling.step[0]");
    assert!(circle.unwrap().message.contains("steps 0, 1"));
}

#[test]
fn types_and_shapes_agree() {
    breaks(
        Replace(
            "primary/config.pbtxt",
            "TYPE_FP32 dims: [ 3 ]",
            "TYPE_FP64 dims: [ 3 ]",
        ),
        "primary/config.pbtxt:12",
        "ensemble_scheduling.step[0].input_map[\"x\"]",
        &["FP64 for the ensemble", "FP32 for model 'deep'"],
    );
    // One variant of a step is enough to break the ensemble, and it is said once.
    breaks(
        Replace("deep/configs/cpu.pbtxt", "dims: [ 3 ]", "dims: [ 4 ]"),
        "primary/config.pbtxt:12",
        "ensemble_scheduling.step[0].input_map[\"x\"]",
        &["[3] for the ensemble", "[4] for model 'deep'"],
    );
    breaks(
        Replace("calibrate/config.pbtxt", "dims: [ 1 ]", "dims: [ 1, 1 ]"),
        "primary/config.pbtxt:15",
        "ensemble_scheduling.step[1].input_map[\"logit\"]",
        &["[1] for model 'deep'", "[1, 1] for model 'calibrate'"],
    );
}

#[test]
fn an_ensemble_takes_no_more_rows_than_its_steps() {
    let (at, key) = ("primary/config.pbtxt:3", "max_batch_size");
    check(
        &[Replace(FILE, "max_batch_size: 64", "max_batch_size: 65")],
        &[
            (Error, at, key, &["65 rows and its step 'calibrate' 64"]),
            (Error, at, key, &["lower it to 64"]),
        ],
    );
    // A step without a batch dimension takes any number.
    let whole = "platform: \"onnxruntime_onnx\"\nmax_batch_size: 0\n\
                 input { name: \"logit\" data_type: TYPE_FP32 dims: [ -1, 1 ] }\n\
                 output { name: \"score\" data_type: TYPE_FP32 dims: [ -1, 1 ] }\n";
    check(
        &[Write("calibrate/config.pbtxt", whole)],
        &[(
            Warning,
            "calibrate/config.pbtxt:2",
            "max_batch_size",
            &["a call of its own"],
        )],
    );
}
