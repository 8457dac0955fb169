//! Reads `config.pbtxt`: protobuf's text format, by the descriptor of Triton's `ModelConfig`,
//! so that what Triton refuses (an unknown field, a wrong type, a value set twice) is refused
//! here too, with its place.
//!
//! What Triton checks only after it has parsed (names, ranks, whether files exist) is not here.

use std::{ops::Range, sync::LazyLock};

use miette::Diagnostic;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use super::{ModelConfig, colon::WithColons};
use crate::proto;

/// What is wrong with a `config.pbtxt`, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PbtxtError {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// The line on which the span starts, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

#[expect(
    clippy::expect_used,
    reason = "the descriptors are compiled into the crate by its build script"
)]
static MODEL_CONFIG: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    DescriptorPool::decode(proto::DESCRIPTORS)
        .expect("the build script wrote a descriptor set")
        .get_message_by_name("inference.ModelConfig")
        .expect("grpc_service.proto imports model_config.proto, which defines ModelConfig")
});

impl ModelConfig {
    /// Parses the text of a `config.pbtxt`.
    pub fn parse_pbtxt(text: &str) -> Result<Self, PbtxtError> {
        let with_colons = WithColons::new(text);
        let message = DynamicMessage::parse_text_format(MODEL_CONFIG.clone(), &with_colons.text)
            .map_err(|error| {
                let span = with_colons.source_span(span_of(&error, &with_colons.text));
                PbtxtError::new(text, span, error.to_string())
            })?;
        let config: proto::ModelConfig = message
            .transcode_to()
            .map_err(|error| PbtxtError::new(text, 0..text.len(), error.to_string()))?;
        Ok(Self::of_proto(config))
    }
}

impl PbtxtError {
    fn new(text: &str, span: Range<usize>, message: String) -> Self {
        let before = text.as_bytes().get(..span.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self {
            span,
            line,
            message,
        }
    }
}

/// The place of an error; the end of the text where something is missing there.
fn span_of(error: &impl Diagnostic, text: &str) -> Range<usize> {
    let label = error.labels().and_then(|mut labels| labels.next());
    let Some(label) = label else {
        return text.len()..text.len();
    };
    let start = label.offset().min(text.len());
    start..(start + label.len()).min(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Dtype, InstanceKind, WarmupData};

    const FULL: &str = r#"
        name: "fraud_deep"          # a comment
        backend: "onnxruntime"
        max_batch_size: 64
        input [ { name: "features" data_type: TYPE_FP32 dims: [ 40 ] } ]
        output { name: "score", data_type: TYPE_FP32, dims: 1 }
        dynamic_batching { preferred_batch_size: [ 8, 16 ] default_queue_policy { } }
        instance_group [ { kind: KIND_CPU count: 2 } ]
        parameters { key: "gavel.features.features" value { string_value: "a, card.b,"
                                                                        " c ," } }
        model_warmup [ { name: "one" batch_size: 1
          inputs { key: "features" value { data_type: TYPE_FP32 dims: [40] zero_data: true } } } ]
        optimization { execution_accelerators { gpu_execution_accelerator : [ {
          name : "tensorrt" parameters { key: "precision_mode" value: "FP16" } } ] } }
    "#;

    #[test]
    fn reads_what_models_say() {
        let config = ModelConfig::parse_pbtxt(FULL).expect("it parses");
        assert_eq!(config.name, "fraud_deep");
        assert_eq!(config.inputs[0].dtype, Some(Dtype::Fp32));
        assert_eq!(config.outputs[0].dims, [1]);
        let batching = config.dynamic_batching.as_ref().expect("dynamic batching");
        assert_eq!(batching.preferred_batch_sizes, [8, 16]);
        assert!(batching.default_queue_policy.is_some());
        assert_eq!(config.instance_groups[0].kind, InstanceKind::Cpu);
        assert_eq!(
            config.warmups[0].inputs["features"].data,
            Some(WarmupData::Zero)
        );
        assert_eq!(
            config.gpu_accelerators[0].parameters["precision_mode"],
            "FP16"
        );
        let features = config.feature_list("features").expect("a feature list");
        assert_eq!(features, ["a", "card.b", "c"]);
        assert_eq!(config.feature_list("other"), None);
        assert_eq!(config.feature_tensors().collect::<Vec<_>>(), ["features"]);
    }

    #[test]
    fn reads_an_ensemble() {
        let text = r#"platform: "ensemble" ensemble_scheduling { step [
            { model_name: "a" model_version: -1 input_map { key: "x" value: "in" }
              output_map { key: "y" value: "mid" } },
            { model_name: "b" model_version: 2 input_map { key: "x" value: "mid" }
              output_map { key: "y" value: "out" } } ] }"#;
        let config = ModelConfig::parse_pbtxt(text).expect("it parses");
        assert!(config.is_ensemble());
        assert_eq!(config.ensemble_steps[1].version, 2);
        assert_eq!(config.ensemble_steps[0].output_map["y"], "mid");
    }

    #[track_caller]
    fn refuses(text: &str, line: usize, at: &str, words: &str) {
        let error = ModelConfig::parse_pbtxt(text).expect_err("it is wrong");
        assert_eq!(
            (error.line, &text[error.span.clone()]),
            (line, at),
            "{error}"
        );
        assert!(error.message.contains(words), "{error}");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        refuses(
            "name: \"m\"\nmax_batchsize: 4\n",
            2,
            "max_batchsize",
            "'max_batchsize' not found",
        );
        refuses("max_batch_size: \"4\"", 1, "\"4\"", "expected an integer");
        refuses(
            "input { data_type: TYPE_FLOAT }",
            1,
            "TYPE_FLOAT",
            "TYPE_FLOAT",
        );
        refuses("name: \"m\"\nname: \"n\"", 2, "\"n\"", "already set");
        refuses("input [ { dims [ 4 ] } ]", 1, "[", "expected ':'");
        refuses(
            "input [ { } ]\noutput [ { dim: 1 } ]",
            2,
            "dim",
            "'dim' not found",
        );
        refuses(
            "max_batch_size: 99999999999",
            1,
            "99999999999",
            "out of range",
        );
        refuses("name: \"m\"\ninput {\n", 3, "", "end of input");
    }

    proptest! {
        #[test]
        fn never_panics_and_spans_lie_in_the_text(text in "\\PC*") {
            if let Err(error) = ModelConfig::parse_pbtxt(&text) {
                prop_assert!(text.get(error.span).is_some());
            }
        }

        #[test]
        fn never_panics_on_nearly_right_text(
            from in 0..FULL.len(), len in 0..40_usize, put in "[a-z0-9{}\\[\\]:,\" \\\\\n<>-]{0,8}",
        ) {
            let text = format!("{}{put}{}", &FULL[..from], FULL.get(from + len..).unwrap_or(""));
            if let Err(error) = ModelConfig::parse_pbtxt(&text) {
                prop_assert!(text.get(error.span).is_some());
            }
        }
    }
}
