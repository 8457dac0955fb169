//! What Triton serves and somebody would regret: warnings, each with its reason.

use super::{Remove, Replace, Severity::*, Write, check, check_as};

const FILE: &str = "calibrate/config.pbtxt";
const DELAY: &str = "max_queue_delay_microseconds: 200";

#[test]
fn queue_policies_stall() {
    check(
        &[Replace(
            FILE,
            DELAY,
            "\n default_queue_policy { max_queue_size: 8 }",
        )],
        &[(
            Warning,
            "calibrate/config.pbtxt:6",
            "dynamic_batching.default_queue_policy",
            &["500 ms", "Gavel queues"],
        )],
    );
    check(
        &[Replace(FILE, DELAY, "default_queue_policy < >")],
        &[(
            Warning,
            "calibrate/config.pbtxt:5",
            "dynamic_batching.default_queue_policy",
            &["500 ms"],
        )],
    );
    check(
        &[Replace(
            FILE,
            DELAY,
            "priority_levels: 2 default_priority_level: 1 \
             priority_queue_policy { key: 1 value { max_queue_size: 3 } }",
        )],
        &[
            (
                Warning,
                "calibrate/config.pbtxt:5",
                "dynamic_batching.priority_levels",
                &["500 ms"],
            ),
            (
                Warning,
                "calibrate/config.pbtxt:5",
                "dynamic_batching.priority_queue_policy",
                &["500 ms"],
            ),
        ],
    );
    check(
        &[Replace(
            FILE,
            DELAY,
            "default_queue_policy { allow_timeout_override: true }",
        )],
        &[
            (
                Warning,
                "calibrate/config.pbtxt:5",
                "dynamic_batching.default_queue_policy",
                &["500 ms"],
            ),
            (
                Warning,
                "calibrate/config.pbtxt:5",
                "dynamic_batching.default_queue_policy.allow_timeout_override",
                &["501 ms"],
            ),
        ],
    );
}

#[test]
fn priorities_out_of_range_are_errors() {
    check(
        &[Replace(
            FILE,
            DELAY,
            "priority_levels: 2 default_priority_level: 3",
        )],
        &[
            (
                Error,
                "calibrate/config.pbtxt:5",
                "dynamic_batching.default_priority_level",
                &["between 1 and 2"],
            ),
            (
                Warning,
                "calibrate/config.pbtxt:5",
                "dynamic_batching.priority_levels",
                &["500 ms"],
            ),
        ],
    );
}

#[test]
fn a_long_queue_delay() {
    check(
        &[Replace(FILE, "200", "20000")],
        &[(
            Warning,
            "calibrate/config.pbtxt:5",
            "dynamic_batching.max_queue_delay_microseconds",
            &["20 ms"],
        )],
    );
    check(&[Replace(FILE, "200", "5000")], &[]);
}

#[test]
fn models_whose_rows_are_not_merged() {
    let lone = "backend: \"onnxruntime\"\nmax_batch_size: 0\n\
                input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 3 ] }\n\
                output { name: \"y\" data_type: TYPE_FP32 dims: [ -1, 1 ] }\n";
    check(
        &[
            Write("lone/config.pbtxt", lone),
            Write("lone/1/model.onnx", ""),
        ],
        &[(
            Warning,
            "lone/config.pbtxt:2",
            "max_batch_size",
            &["a call of its own"],
        )],
    );
    check(
        &[Replace(
            "deep/configs/cpu.pbtxt",
            "dynamic_batching",
            "sequence_batching",
        )],
        &[(
            Warning,
            "deep/configs/cpu.pbtxt:6",
            "sequence_batching",
            &["keeps state"],
        )],
    );
}

#[test]
fn a_decoupled_model() {
    let edit = || {
        Replace(
            FILE,
            "\n",
            "\nmodel_transaction_policy { decoupled: true }\n",
        )
    };
    let (at, key) = (
        "calibrate/config.pbtxt:2",
        "model_transaction_policy.decoupled",
    );
    check(&[edit()], &[(Warning, at, key, &["UNIMPLEMENTED"])]);
    let meant_for_gavel = Replace(
        FILE,
        "\ninput",
        "\nparameters { key: \"gavel.features.logit\" value { string_value: \"amount\" } }\ninput",
    );
    check(
        &[edit(), meant_for_gavel],
        &[(Error, at, key, &["UNIMPLEMENTED"])],
    );
}

#[test]
fn a_gpu_that_is_not_warmed_up() {
    let text: &'static str = super::DEEP.split_once("model_warmup").unwrap().0;
    check(
        &[Write("deep/config.pbtxt", text)],
        &[(
            Warning,
            "deep/config.pbtxt",
            "model_warmup",
            &["the first requests wait"],
        )],
    );
}

#[test]
fn tensorrt_without_an_engine_cache() {
    check(
        &[Replace(
            "deep/config.pbtxt",
            "value: \"true\"",
            "value: \"false\"",
        )],
        &[(
            Warning,
            "deep/config.pbtxt:9",
            "optimization.execution_accelerators.gpu_execution_accelerator[0]",
            &["takes minutes"],
        )],
    );
}

#[test]
fn a_gpu_in_a_cpus_configuration() {
    check_as(
        Some("cpu"),
        &[Replace("deep/configs/cpu.pbtxt", "KIND_CPU", "KIND_GPU")],
        &[
            (
                Warning,
                "deep/configs/cpu.pbtxt:7",
                "instance_group[0].kind",
                &["KIND_CPU"],
            ),
            (Warning, "deep/configs/cpu.pbtxt", "model_warmup", &[]),
        ],
    );
    // A server named cpu falls back to a configuration that is not.
    check_as(
        Some("cpu"),
        &[Remove("deep/configs")],
        &[(
            Warning,
            "deep/config.pbtxt:7",
            "instance_group[0].kind",
            &["no GPU"],
        )],
    );
}
