//! What must hold of every question that was read, whatever it was read from.

use axum::response::IntoResponse;
use features::{Dtype, RequestRow, Value};
use gateway::{
    rejection::Rejection,
    request::{Question, Scalar},
};
use serde_json::json;

use crate::SCHEMA;

/// Types the question by the repository's decision. Panics if what comes of it does not fit the
/// decision, or if a refusal has no form for callers.
pub fn typed(question: &Question) -> Option<RequestRow> {
    let (row, budget) = match question.typed(&SCHEMA) {
        Ok(typed) => typed,
        Err(rejection) => {
            assert!(!rejection.violations.is_empty());
            refuse(rejection);
            return None;
        }
    };
    assert!(budget.is_none_or(|budget| budget <= gateway::request::MAX_BUDGET));
    assert_eq!(row.entities.len(), SCHEMA.entities.len());
    for (field, value) in SCHEMA.entities.iter().zip(&row.entities) {
        assert!(value.is_of(field.dtype));
    }
    assert_eq!(row.inputs.len(), SCHEMA.inputs.len());
    for (field, value) in SCHEMA.inputs.iter().zip(&row.inputs) {
        match value {
            None => assert!(!field.required),
            Some(value) => assert!(fits(field.dtype, value), "{value:?} as {}", field.name),
        }
    }
    Some(row)
}

/// Numbers reach models in 32 bits, however they were written.
fn fits(dtype: Dtype, value: &Value) -> bool {
    let in_32_bits = |value: &Value| {
        value
            .as_f64()
            .is_some_and(|number| (number as f32).is_finite())
    };
    match dtype {
        Dtype::Float32 | Dtype::Float64 => value.is_of(Dtype::Float64) && in_32_bits(value),
        exact => value.is_of(exact),
    }
}

/// Writes a refusal as HTTP and as gRPC would carry it.
pub fn refuse(rejection: Rejection) {
    assert!(!rejection.detail.is_empty());
    let status = rejection.kind.status();
    assert_eq!(rejection.clone().into_response().status(), status);
    let response = tonic::Status::from(rejection).into_http::<()>();
    assert!(response.headers().contains_key("grpc-status"));
}

/// The question as JSON; `None` if it holds a number that JSON can't.
pub fn as_json(question: &Question) -> Option<String> {
    if question.budget_ms.is_some_and(|ms| !ms.is_finite()) {
        return None;
    }
    Some(format!(
        r#"{{"decision":{},"id":{},"entities":{{{}}},"inputs":{{{}}},"budget_ms":{}}}"#,
        json!(question.decision),
        json!(question.id),
        pairs(&question.entities)?,
        pairs(&question.inputs)?,
        json!(question.budget_ms),
    ))
}

fn pairs(pairs: &[(String, Scalar)]) -> Option<String> {
    let pair = |(name, scalar): &(String, Scalar)| {
        let value = match scalar {
            Scalar::Number(n) if !n.is_finite() => return None,
            Scalar::Number(n) => json!(n),
            Scalar::Integer(i) => json!(i),
            Scalar::Text(text) => json!(text),
            Scalar::Flag(flag) => json!(flag),
            Scalar::Null => json!(null),
        };
        Some(format!("{}:{value}", json!(name)))
    };
    let pairs: Option<Vec<String>> = pairs.iter().map(pair).collect();
    Some(pairs?.join(","))
}
