//! Every transform against the values of `golden/make_golden.py`, through the public interface; and
//! whole payments against what training had.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "golden/fraud.rs"]
mod fraud;

use std::time::SystemTime;

use features::{Catalog, Dtype, InputField, Plan, RequestRow, RequestSchema, Store, Value};
use serde_json::{Map, Value as Json};
use tokio::time::Instant;

const CASES: &str = include_str!("golden/transforms.json");
/// Taken where a transform has no finite result.
const DEFAULT: i64 = -987_654_321;

#[tokio::test]
async fn every_transform_agrees_with_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
    let cases: Vec<Map<String, Json>> = serde_json::from_str(CASES).unwrap();
    assert!(cases.len() > 1000);
    for case in cases {
        let definition = case["definition"].as_object().unwrap();
        let inputs: Vec<Value> = case["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(value)
            .collect();
        let catalog = Catalog::parse(&toml(definition, inputs.len())).unwrap();
        let fields = inputs.iter().enumerate().map(|(i, input)| InputField {
            name: format!("i{i}"),
            dtype: dtype(input),
            required: true,
            default: None,
        });
        let schema = RequestSchema {
            entities: Vec::new(),
            inputs: fields.collect(),
        };
        let plan = Plan::compile(&catalog, &schema, &["x"]).unwrap();
        let request = RequestRow {
            entities: Vec::new(),
            inputs: inputs.into_iter().map(Some).collect(),
        };
        let row = plan
            .assemble(&store, &request, SystemTime::now(), Instant::now())
            .await;
        assert_eq!(row.missing().count(), 0);

        let result = row.value(plan.column("x").unwrap());
        let expected = &case["expected"];
        let name = definition["transform"].as_str().unwrap();
        let agrees = match (result, expected) {
            (Value::Float64(x), Json::Null) => *x == DEFAULT as f64,
            (Value::Float64(x), expected) => close(name, *x, expected.as_f64().unwrap()),
            (Value::Int64(x), expected) => Some(*x) == expected.as_i64(),
            _ => false,
        };
        assert!(agrees, "{case:?}: {result:?}");
    }
}

/// Within rounding: C libraries differ by a unit in the last place in `log1p`, and by a few in the
/// chain of functions of a distance, which the arcsine enlarges for antipodes.
fn close(transform: &str, x: f64, expected: f64) -> bool {
    let tolerance = match transform {
        "log1p" => expected.abs() * 4.0 * f64::EPSILON,
        "haversine_km" if expected > 20_000.0 => 1e-3,
        "haversine_km" => 1e-6,
        _ => 0.0,
    };
    (x - expected).abs() <= tolerance
}

fn value(json: &Json) -> Value {
    match json {
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::String(text.as_str().into()),
        json => json
            .as_i64()
            .map_or_else(|| Value::Float64(json.as_f64().unwrap()), Value::Int64),
    }
}

fn toml(definition: &Map<String, Json>, inputs: usize) -> String {
    let mut text = "[derived.x]\n".to_owned();
    for (key, value) in definition {
        // Strings, numbers and lists of them look the same in JSON and in TOML.
        text += &format!("{key} = {value}\n");
    }
    let inputs: Vec<String> = (0..inputs).map(|i| format!("\"request.i{i}\"")).collect();
    text += &format!("inputs = [{}]\n", inputs.join(", "));
    if definition["transform"] != "is_missing" {
        text += &format!("default = {DEFAULT}\n");
    }
    text
}

fn dtype(input: &Value) -> Dtype {
    match input {
        Value::String(_) => Dtype::String,
        Value::Int64(_) => Dtype::Int64,
        Value::Bool(_) => Dtype::Bool,
        _ => Dtype::Float64,
    }
}
