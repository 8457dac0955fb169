//! A question as it came, and the same question typed by its decision.
//!
//! `ingress` makes the first from JSON or protobuf; `typed` makes the second, naming every field that
//! is wrong at once.

use std::time::Duration;

use features::{Dtype, RequestRow, RequestSchema, Value};

use crate::{
    diagnostic::did_you_mean,
    rejection::{Rejection, Violation},
};

/// The longest entity key, in characters.
pub const MAX_KEY_CHARS: usize = 256;
/// The longest text input, in characters.
pub const MAX_TEXT_CHARS: usize = 4096;
/// The longest `id`, in characters.
pub const MAX_ID_CHARS: usize = 128;
/// Budgets above this are taken for a mistake (seconds sent as milliseconds, say).
pub const MAX_BUDGET: Duration = Duration::from_secs(600);

/// One question, before its decision has typed it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// Which decision.
    pub decision: String,
    /// The caller's own identifier; empty when it gave none.
    pub id: String,
    /// Entity keys, in the order they came.
    pub entities: Vec<(String, Scalar)>,
    /// Inputs, in the order they came.
    pub inputs: Vec<(String, Scalar)>,
    /// The caller's budget.
    pub budget_ms: Option<f64>,
}

/// A value as the caller wrote it.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A number with a fraction, or one too large for an integer.
    Number(f64),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
    /// True or false.
    Flag(bool),
    /// Named, but not given; the same as not named.
    Null,
}

/// A budget in milliseconds, checked.
pub fn budget(field: &str, ms: f64) -> Result<Duration, Violation> {
    let limit_ms = MAX_BUDGET.as_secs_f64() * 1e3;
    if ms > 0.0 && ms <= limit_ms {
        return Ok(Duration::from_secs_f64(ms / 1e3));
    }
    Err(Violation {
        field: field.into(),
        detail: format!(
            "{ms} is not a budget: expected milliseconds above 0 and at most {limit_ms}"
        ),
    })
}

impl Question {
    /// The question typed by `schema`, and its budget. Every wrong field is named in one rejection.
    pub fn typed(
        &self,
        schema: &RequestSchema,
    ) -> Result<(RequestRow, Option<Duration>), Rejection> {
        let mut wrong = Vec::new();
        let asked = self.budget_ms.map(|ms| budget("budget_ms", ms)).transpose();
        let asked = asked
            .map_err(|violation| wrong.push(violation))
            .ok()
            .flatten();
        if let Some(too_long) = longer_than(&self.id, MAX_ID_CHARS) {
            wrong.push(violation("id", too_long));
        }
        let entities = schema
            .entities
            .iter()
            .filter_map(|field| {
                let place = || format!("entities.{}", field.name);
                match find(&self.entities, &field.name) {
                    Some(scalar) => entity(scalar, field.dtype)
                        .map_err(|d| wrong.push(violation(place(), d)))
                        .ok(),
                    None => {
                        wrong.push(violation(
                            place(),
                            format!("is missing, expected {}", expected(field.dtype)),
                        ));
                        None
                    }
                }
            })
            .collect();
        let inputs = schema
            .inputs
            .iter()
            .map(|field| {
                let place = || format!("inputs.{}", field.name);
                match find(&self.inputs, &field.name) {
                    Some(scalar) => input(scalar, field.dtype)
                        .map_err(|d| wrong.push(violation(place(), d)))
                        .ok(),
                    None if field.required => {
                        wrong.push(violation(
                            place(),
                            format!("is missing, expected {}", expected(field.dtype)),
                        ));
                        None
                    }
                    // Its default is the feature row's to take, which marks it as missing.
                    None => None,
                }
            })
            .collect();
        unknown(
            "entities",
            &self.entities,
            schema.entities.iter().map(|f| f.name.as_str()),
            &mut wrong,
        );
        unknown(
            "inputs",
            &self.inputs,
            schema.inputs.iter().map(|f| f.name.as_str()),
            &mut wrong,
        );
        if wrong.is_empty() {
            Ok((RequestRow { entities, inputs }, asked))
        } else {
            Err(Rejection::violations(wrong))
        }
    }
}

fn violation(field: impl Into<String>, detail: String) -> Violation {
    Violation {
        field: field.into(),
        detail,
    }
}

fn find<'q>(given: &'q [(String, Scalar)], name: &str) -> Option<&'q Scalar> {
    given
        .iter()
        .find(|(given, scalar)| given == name && *scalar != Scalar::Null)
        .map(|(_, scalar)| scalar)
}

fn unknown<'s>(
    place: &str,
    given: &[(String, Scalar)],
    known: impl Iterator<Item = &'s str> + Clone,
    wrong: &mut Vec<Violation>,
) {
    for (name, _) in given {
        if !known.clone().any(|k| k == name) {
            let hint = did_you_mean(name, known.clone()).unwrap_or_else(|| {
                format!(
                    "expected one of: {}",
                    known.clone().collect::<Vec<_>>().join(", ")
                )
            });
            let shown: String = name.chars().take(64).collect();
            wrong.push(violation(
                format!("{place}.{shown}"),
                format!("is not known to this decision; {hint}"),
            ));
        }
    }
}

/// What is wrong with a text of more characters than these; most are shorter even in bytes.
fn longer_than(text: &str, limit: usize) -> Option<String> {
    if text.len() <= limit {
        return None;
    }
    let characters = text.chars().count();
    (characters > limit)
        .then(|| format!("is {characters} characters long, expected at most {limit}"))
}

fn entity(scalar: &Scalar, dtype: Dtype) -> Result<Value, String> {
    let value = input(scalar, dtype)?;
    match &value {
        Value::String(key) if key.is_empty() => Err("is empty, expected a key".into()),
        Value::String(key) => longer_than(key, MAX_KEY_CHARS).map_or(Ok(value), Err),
        _ => Ok(value),
    }
}

fn input(scalar: &Scalar, dtype: Dtype) -> Result<Value, String> {
    match (scalar, dtype) {
        (Scalar::Number(n), Dtype::Float64 | Dtype::Float32) => finite(*n),
        (Scalar::Integer(i), Dtype::Float64 | Dtype::Float32) => Ok(Value::Float64(*i as f64)),
        (Scalar::Integer(i), Dtype::Int64) => Ok(Value::Int64(*i)),
        (Scalar::Number(n), Dtype::Int64) if n.fract() == 0.0 && n.abs() <= 9.0e15 => {
            Ok(Value::Int64(*n as i64))
        }
        (Scalar::Text(text), Dtype::String) => match longer_than(text, MAX_TEXT_CHARS) {
            None => Ok(Value::String(text.as_str().into())),
            Some(too_long) => Err(too_long),
        },
        (Scalar::Flag(flag), Dtype::Bool) => Ok(Value::Bool(*flag)),
        (other, dtype) => Err(format!("is {}, expected {}", found(other), expected(dtype))),
    }
}

/// Models compute in 32 bits: what does not fit there is not a number to them.
fn finite(n: f64) -> Result<Value, String> {
    if !n.is_finite() {
        return Err(format!("is {n}, expected a finite number"));
    }
    if n.abs() > f64::from(f32::MAX) {
        return Err(format!(
            "is {n:e}, expected a number of at most {:e}",
            f64::from(f32::MAX)
        ));
    }
    Ok(Value::Float64(n))
}

fn found(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Number(n) => format!("the number {n}"),
        Scalar::Integer(i) => format!("the number {i}"),
        Scalar::Text(_) => "text".into(),
        Scalar::Flag(flag) => format!("{flag}"),
        Scalar::Null => "null".into(),
    }
}

fn expected(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::Float64 | Dtype::Float32 => "a number",
        Dtype::Int64 => "a whole number",
        Dtype::String => "text",
        Dtype::Bool => "true or false",
        Dtype::List { .. } => "a list",
    }
}

#[cfg(test)]
mod tests {
    use features::{EntityField, InputField};

    use super::*;

    fn schema() -> RequestSchema {
        let input = |name: &str, dtype, required| InputField {
            name: name.into(),
            dtype,
            required,
            default: None,
        };
        RequestSchema {
            entities: vec![EntityField {
                name: "card_id".into(),
                dtype: Dtype::String,
            }],
            inputs: vec![
                input("amount", Dtype::Float64, true),
                input("currency", Dtype::String, true),
                input("timestamp", Dtype::Int64, false),
                input("customer_present", Dtype::Bool, false),
            ],
        }
    }

    fn question() -> Question {
        Question {
            decision: "fraud".into(),
            entities: vec![("card_id".into(), Scalar::Text("4022".into()))],
            inputs: vec![
                ("amount".into(), Scalar::Number(129.9)),
                ("currency".into(), Scalar::Text("EUR".into())),
            ],
            ..Question::default()
        }
    }

    fn with_input(name: &str, scalar: Scalar) -> Result<RequestRow, Rejection> {
        let mut question = question();
        question.inputs.retain(|(n, _)| n != name);
        question.inputs.push((name.into(), scalar));
        question.typed(&schema()).map(|(row, _)| row)
    }

    #[test]
    fn a_good_question_is_typed_in_schema_order() {
        let (row, _) = question().typed(&schema()).unwrap();
        assert_eq!(row.entities, [Value::String("4022".into())]);
        assert_eq!(row.inputs[0], Some(Value::Float64(129.9)));
        assert_eq!(row.inputs[2], None);
    }

    #[test]
    fn an_input_that_was_not_sent_is_none_whatever_its_default() {
        let mut schema = schema();
        schema.inputs[2].default = Some(Value::Int64(7));
        let (row, _) = question().typed(&schema).unwrap();
        assert_eq!(row.inputs[2], None);
    }

    #[test]
    fn whole_numbers_are_numbers_and_whole_floats_are_integers() {
        assert_eq!(
            with_input("amount", Scalar::Integer(5)).unwrap().inputs[0],
            Some(Value::Float64(5.0))
        );
        assert_eq!(
            with_input("timestamp", Scalar::Number(7.0)).unwrap().inputs[2],
            Some(Value::Int64(7))
        );
        assert!(with_input("timestamp", Scalar::Number(7.5)).is_err());
        assert!(with_input("timestamp", Scalar::Number(1e300)).is_err());
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let bad = Question {
            id: "x".repeat(129),
            entities: vec![("card".into(), Scalar::Text("1".into()))],
            inputs: vec![
                ("amuont".into(), Scalar::Number(1.0)),
                ("currency".into(), Scalar::Integer(3)),
            ],
            ..question()
        };
        let rejection = bad.typed(&schema()).unwrap_err();
        let fields: Vec<&str> = rejection
            .violations
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "id",
                "entities.card_id",
                "inputs.amount",
                "inputs.currency",
                "entities.card",
                "inputs.amuont"
            ]
        );
        assert!(
            rejection.violations[5]
                .detail
                .contains("did you mean `amount`?")
        );
    }

    #[test]
    fn what_a_model_cannot_hold_is_refused() {
        for n in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e39, -1e300] {
            assert!(with_input("amount", Scalar::Number(n)).is_err(), "{n}");
        }
    }

    #[test]
    fn keys_are_neither_empty_nor_endless() {
        for key in [String::new(), "k".repeat(MAX_KEY_CHARS + 1)] {
            let bad = Question {
                entities: vec![("card_id".into(), Scalar::Text(key))],
                ..question()
            };
            assert!(bad.typed(&schema()).is_err());
        }
    }

    #[test]
    fn lengths_are_in_characters_as_the_document_counts_them() {
        let key = |key: String| Question {
            entities: vec![("card_id".into(), Scalar::Text(key))],
            ..question()
        };
        assert!(key("é".repeat(MAX_KEY_CHARS)).typed(&schema()).is_ok());
        assert!(key("é".repeat(MAX_KEY_CHARS + 1)).typed(&schema()).is_err());
    }

    #[test]
    fn null_is_the_same_as_not_given() {
        assert!(with_input("amount", Scalar::Null).is_err());
        assert_eq!(
            with_input("timestamp", Scalar::Null).unwrap().inputs[2],
            None
        );
    }

    #[test]
    fn absurd_budgets_are_named() {
        for ms in [0.0, -5.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(budget("budget_ms", ms).is_err(), "{ms}");
        }
        assert_eq!(
            budget("budget_ms", 0.5).unwrap(),
            Duration::from_micros(500)
        );
    }
}
