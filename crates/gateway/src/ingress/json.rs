//! A question from JSON. Errors say the line and the column.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

use crate::{
    rejection::Rejection,
    request::{Question, Scalar},
};

/// What some editors and tools put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a question.
pub fn decode(body: &[u8]) -> Result<Question, Rejection> {
    if body.is_empty() {
        return Err(Rejection::invalid(
            "the body is empty, expected a JSON object such as examples/fraud.json",
        ));
    }
    if body.starts_with(BYTE_ORDER_MARK) {
        return Err(Rejection::invalid(
            "the body begins with a byte order mark (EF BB BF), expected JSON without one (RFC 8259, section 8.1)",
        ));
    }
    // Serde would take the values of an array for the fields, in their order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Rejection::invalid(
            "the body is a JSON array, expected one object such as examples/fraud.json",
        ));
    }
    let written: Written = serde_json::from_slice(body)
        .map_err(|error| Rejection::invalid(format!("not a question in JSON: {error}")))?;
    Ok(Question {
        decision: written.decision,
        id: written.id.unwrap_or_default(),
        entities: written.entities.0,
        inputs: written.inputs.0,
        budget_ms: written.budget_ms,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    decision: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    entities: Pairs,
    #[serde(default)]
    inputs: Pairs,
    #[serde(default)]
    budget_ms: Option<f64>,
}

/// A JSON object of scalars, in order; a name that comes twice is an error, since either value could
/// have been meant.
#[derive(Default)]
struct Pairs(Vec<(String, Scalar)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs: Vec<(String, Scalar)> = Vec::with_capacity(8);
                while let Some(name) = map.next_key::<String>()? {
                    if pairs.iter().any(|(earlier, _)| *earlier == name) {
                        return Err(de::Error::custom(format_args!("`{name}` is given twice")));
                    }
                    if pairs.len() == MAX_PAIRS {
                        return Err(de::Error::custom(format_args!(
                            "more than {MAX_PAIRS} names in one object"
                        )));
                    }
                    pairs.push((name, map.next_value()?));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

/// More names than any decision types; keeps the check for duplicates from growing with the square.
pub(super) const MAX_PAIRS: usize = 512;

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl Visitor<'_> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number, true or false")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar::Flag(flag))
            }

            fn visit_i64<E>(self, i: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(i))
            }

            fn visit_u64<E>(self, u: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(u).map_or(Scalar::Number(u as f64), Scalar::Integer))
            }

            fn visit_f64<E>(self, n: f64) -> Result<Scalar, E> {
                Ok(Scalar::Number(n))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
                Ok(Scalar::Text(text))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Null)
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> String {
        decode(body.as_bytes()).unwrap_err().detail
    }

    #[test]
    fn the_contracts_example_is_read() {
        let question = decode(
            br#"{"decision":"fraud","id":"tx-1","entities":{"card_id":"4022"},
                "inputs":{"amount":129.9,"currency":"EUR","n":3,"here":true,"none":null},"budget_ms":50}"#,
        )
        .unwrap();
        assert_eq!(question.decision, "fraud");
        assert_eq!(
            question.entities,
            [("card_id".to_owned(), Scalar::Text("4022".into()))]
        );
        assert_eq!(question.inputs[0].1, Scalar::Number(129.9));
        assert_eq!(question.inputs[2].1, Scalar::Integer(3));
        assert_eq!(question.inputs[4].1, Scalar::Null);
        assert_eq!(question.budget_ms, Some(50.0));
    }

    #[test]
    fn errors_say_where() {
        assert!(
            error("{\"decision\":\"fraud\",\n  \"inputs\": {\"amount\": }}")
                .contains("line 2 column 24")
        );
        assert!(
            error("{\"decision\":\"fraud\",\"budgetms\":5}").contains("unknown field `budgetms`")
        );
        assert!(error("{}").contains("missing field `decision`"));
        assert!(error("").contains("the body is empty"));
        assert!(error("\u{feff}{\"decision\":\"fraud\"}").contains("byte order mark"));
        assert!(error(r#" ["fraud", "tx-1"]"#).contains("a JSON array, expected one object"));
        assert!(error("{\"decision\":\"fraud\"} x").contains("trailing characters"));
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        assert!(error(r#"{"decision":"f","inputs":{"a":1,"a":2}}"#).contains("`a` is given twice"));
    }

    #[test]
    fn nesting_huge_numbers_and_broken_text_are_errors() {
        let deep = format!(r#"{{"decision":"f","inputs":{{"a":{}"#, "[".repeat(100_000));
        assert!(error(&deep).contains("expected text, a number, true or false"));
        assert!(error(r#"{"decision":"f","inputs":{"a":1e999}}"#).contains("number out of range"));
        assert!(
            decode(b"{\"decision\":\"\xff\"}")
                .unwrap_err()
                .detail
                .contains("unicode")
        );
        let many = (0..600)
            .map(|i| format!("\"k{i}\":1"))
            .collect::<Vec<_>>()
            .join(",");
        assert!(
            error(&format!(r#"{{"decision":"f","inputs":{{{many}}}}}"#))
                .contains("more than 512 names")
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body: Vec<u8>) {
            let _ = decode(&body);
        }
    }
}
