//! A question from protobuf and an answer to it: `proto/gavel/v1/decision.proto`.
//!
//! The generated types do not leave `ingress`.

use std::time::Duration;

use prost::Message;

use super::json::MAX_PAIRS;
use crate::{
    answer::Answer,
    rejection::Rejection,
    request::{Question, Scalar},
    tiers::SkipReason,
};

/// Generated from the public contract.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all
)]
pub mod v1 {
    tonic::include_proto!("gavel.v1");
}

/// The contract's descriptor, for reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gavel_descriptor.bin"));

/// Reads a question from a body.
pub fn decode(body: &[u8]) -> Result<Question, Rejection> {
    let message = v1::DecideRequest::decode(body)
        .map_err(|error| Rejection::invalid(format!("not a gavel.v1.DecideRequest: {error}")))?;
    question(message)
}

/// Makes a question of a message that has been read.
pub fn question(message: v1::DecideRequest) -> Result<Question, Rejection> {
    Ok(Question {
        decision: message.decision,
        id: message.id,
        entities: pairs("entities", message.entities)?,
        inputs: pairs("inputs", message.inputs)?,
        budget_ms: message.budget_ms,
    })
}

fn pairs(
    place: &str,
    map: std::collections::HashMap<String, v1::Value>,
) -> Result<Vec<(String, Scalar)>, Rejection> {
    if map.len() > MAX_PAIRS {
        return Err(Rejection::invalid(format!(
            "`{place}` has more than {MAX_PAIRS} names"
        )));
    }
    Ok(map
        .into_iter()
        .map(|(name, value)| {
            let scalar = match value.kind {
                Some(v1::value::Kind::Number(n)) => Scalar::Number(n),
                Some(v1::value::Kind::Integer(i)) => Scalar::Integer(i),
                Some(v1::value::Kind::Text(text)) => Scalar::Text(text),
                Some(v1::value::Kind::Flag(flag)) => Scalar::Flag(flag),
                None => Scalar::Null,
            };
            (name, scalar)
        })
        .collect())
}

/// Writes an answer as a message.
pub fn response(answer: Answer) -> v1::DecideResponse {
    let names = answer.scores.names.iter().map(|name| name.to_string());
    v1::DecideResponse {
        scores: names.zip(answer.scores.values).collect(),
        timings_us: answer
            .timings_us
            .stages()
            .map(|(stage, took)| (stage.to_owned(), micros(took)))
            .collect(),
        id: answer.id,
        decision: answer.decision.to_string(),
        action: answer.action.to_string(),
        tier: answer.tier.to_string(),
        model: answer.model.to_string(),
        model_version: answer.model_version.to_string(),
        arm: answer.arm.to_owned(),
        degraded: answer.degraded,
        skipped: answer
            .skipped
            .into_iter()
            .map(|skipped| v1::SkippedTier {
                tier: skipped.tier.to_string(),
                reason: reason(skipped.reason).into(),
            })
            .collect(),
        features: Some(v1::FeatureHealth {
            missing: answer.features.missing,
            null: answer.features.null,
            stale: answer.features.stale,
        }),
        reasons: answer
            .reasons
            .iter()
            .map(|reason| reason.to_string())
            .collect(),
    }
}

fn micros(took: Duration) -> u64 {
    took.as_micros() as u64
}

fn reason(reason: SkipReason) -> v1::SkipReason {
    match reason {
        SkipReason::Timeout => v1::SkipReason::Timeout,
        SkipReason::Infeasible => v1::SkipReason::Infeasible,
        SkipReason::BreakerOpen => v1::SkipReason::BreakerOpen,
        SkipReason::Overloaded => v1::SkipReason::Overloaded,
        SkipReason::Error => v1::SkipReason::Error,
        SkipReason::NotReady => v1::SkipReason::NotReady,
        SkipReason::FeaturesMissing => v1::SkipReason::FeaturesMissing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_message_are_refused_with_the_reason() {
        let error = decode(&[0xff, 0xff, 0xff]).unwrap_err();
        assert!(
            error.detail.starts_with("not a gavel.v1.DecideRequest:"),
            "{}",
            error.detail
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body: Vec<u8>) {
            let _ = decode(&body);
        }

        #[test]
        fn numbers_survive_as_they_are(number: f64, integer: i64, budget in proptest::option::of(0.0f64..1e5)) {
            let value = |kind| v1::Value { kind: Some(kind) };
            let message = v1::DecideRequest {
                decision: "fraud".into(),
                inputs: [
                    ("n".to_owned(), value(v1::value::Kind::Number(number))),
                    ("i".to_owned(), value(v1::value::Kind::Integer(integer))),
                ].into(),
                budget_ms: budget,
                ..Default::default()
            };
            let question = decode(&message.encode_to_vec()).unwrap();
            let input = |name: &str| question.inputs.iter().find(|(n, _)| n == name).map(|(_, s)| s.clone());
            let Some(Scalar::Number(n)) = input("n") else { panic!("not a number") };
            assert_eq!(n.to_bits(), number.to_bits());
            assert_eq!(input("i"), Some(Scalar::Integer(integer)));
            assert_eq!(question.budget_ms, budget);
        }
    }
}
