//! Tensor bytes of every type, and what does not go into which.

use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;
use crate::feature_row::{Cell, StoreOutcome};
use crate::schema::{InputField, RequestSchema};

/// A plan and a row of one input of each type.
fn row(bool: bool, int64: i64, float32: f32, float64: f64, string: &str) -> (Plan, FeatureRow) {
    let input = |dtype: Dtype| InputField {
        name: dtype.name().to_owned(),
        dtype,
        required: true,
        default: None,
    };
    let inputs = Dtype::ALL.map(input).to_vec();
    let schema = RequestSchema {
        entities: Vec::new(),
        inputs,
    };
    let names = Dtype::ALL.map(|dtype| format!("request.{dtype}"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = Plan::compile(&Catalog::parse("").unwrap(), &schema, &names).unwrap();
    let values = [
        Value::Bool(bool),
        Value::Int64(int64),
        Value::Float32(float32),
        Value::Float64(float64),
        Value::String(Arc::from(string)),
    ];
    let row = FeatureRow {
        layout: plan.layout.clone(),
        cells: values.map(Cell::present).to_vec(),
        discarded_rows: 0,
        store: StoreOutcome::NotAsked,
    };
    (plan, row)
}

fn write(plan: &Plan, row: &FeatureRow, dtype: TensorDtype, features: &[&str]) -> Vec<u8> {
    let layout = plan.tensor(dtype, features).unwrap();
    assert_eq!(layout.width(), features.len());
    // Rows are appended: what is there stays.
    let mut out = vec![0xaa];
    layout.write(row, &mut out);
    assert_eq!(out.remove(0), 0xaa);
    out
}

const NUMBERS: [&str; 4] = [
    "request.bool",
    "request.int64",
    "request.float32",
    "request.float64",
];

#[test]
fn every_type_of_tensor_is_little_endian_and_in_order() {
    let (plan, row) = row(true, -2, 1.5, 0.1, "é");
    let bytes = |dtype, features: &[&str]| write(&plan, &row, dtype, features);
    assert_eq!(bytes(TensorDtype::Bool, &["request.bool"; 2]), [1, 1]);
    let both = ["request.int64", "request.bool"];
    assert_eq!(
        bytes(TensorDtype::Int32, &both),
        [(-2i32).to_le_bytes(), 1i32.to_le_bytes()].concat()
    );
    assert_eq!(
        bytes(TensorDtype::Int64, &both),
        [(-2i64).to_le_bytes(), 1i64.to_le_bytes()].concat()
    );
    assert_eq!(
        bytes(TensorDtype::Fp32, &NUMBERS),
        [1.0f32, -2.0, 1.5, 0.1].map(f32::to_le_bytes).concat()
    );
    assert_eq!(
        bytes(TensorDtype::Fp64, &NUMBERS),
        [1.0f64, -2.0, 1.5, 0.1].map(f64::to_le_bytes).concat()
    );
    assert_eq!(
        bytes(TensorDtype::Bytes, &["request.string"]),
        b"\x02\0\0\0\xc3\xa9"
    );
}

#[test]
fn out_of_range_is_the_nearest_that_fits() {
    let (plan, row) = row(false, i64::MIN, f32::MAX, -1e300, "");
    let bytes = |dtype, feature| write(&plan, &row, dtype, &[feature]);
    assert_eq!(
        bytes(TensorDtype::Int32, "request.int64"),
        i32::MIN.to_le_bytes()
    );
    assert_eq!(
        bytes(TensorDtype::Fp32, "request.float64"),
        f32::MIN.to_le_bytes()
    );
    assert_eq!(
        bytes(TensorDtype::Fp64, "request.float64"),
        (-1e300f64).to_le_bytes()
    );
    assert_eq!(bytes(TensorDtype::Bytes, "request.string"), [0; 4]);
}

#[test]
fn what_does_not_go_into_a_tensor_is_said_all_at_once() {
    let (plan, _) = row(true, 0, 0.0, 0.0, "");
    let errors = plan
        .tensor(
            TensorDtype::Fp32,
            &["request.string", "request.flaot32", "request.bool"],
        )
        .unwrap_err();
    let said: Vec<(String, Option<&str>)> = errors
        .iter()
        .map(|error| (error.to_string(), error.hint()))
        .collect();
    assert_eq!(
        said,
        [
            (
                "feature `request.string` is string, which does not go into a tensor of FP32"
                    .to_owned(),
                Some("derive a number from it with `index` or `hash_bucket`"),
            ),
            (
                "feature `request.flaot32` is not among those assembled".to_owned(),
                Some("did you mean `request.float32`?"),
            ),
        ]
    );
}

#[test]
fn accepted_types_are_the_documented_ones() {
    let accepted = |tensor: TensorDtype| Dtype::ALL.map(|dtype| tensor.accepts(dtype));
    assert_eq!(
        accepted(TensorDtype::Bool),
        [true, false, false, false, false]
    );
    assert_eq!(
        accepted(TensorDtype::Int32),
        [true, true, false, false, false]
    );
    assert_eq!(
        accepted(TensorDtype::Int64),
        [true, true, false, false, false]
    );
    assert_eq!(accepted(TensorDtype::Fp32), [true, true, true, true, false]);
    assert_eq!(accepted(TensorDtype::Fp64), [true, true, true, true, false]);
    assert_eq!(
        accepted(TensorDtype::Bytes),
        [false, false, false, false, true]
    );
}
