//! Tensor bytes of every type, and what does not go into which.

use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;
use crate::feature_row::{Cell, StoreOutcome};
use crate::schema::{EntityField, InputField, RequestSchema};

const DTYPES: [Dtype; 5] = [
    Dtype::Bool,
    Dtype::Int64,
    Dtype::Float32,
    Dtype::Float64,
    Dtype::String,
];

/// A plan and a row of one input of each type.
fn row(bool: bool, int64: i64, float32: f32, float64: f64, string: &str) -> (Plan, FeatureRow) {
    let input = |dtype: Dtype| InputField {
        name: dtype.to_string(),
        dtype,
        required: true,
        default: None,
    };
    let inputs = DTYPES.map(input).to_vec();
    let schema = RequestSchema {
        entities: Vec::new(),
        inputs,
    };
    let names = DTYPES.map(|dtype| format!("request.{dtype}"));
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
fn a_list_fills_as_many_elements_as_its_type_says() {
    let catalog = Catalog::parse(
        r#"
        entities.id = "int64"
        [views.v]
        entity = "id"
        features.ids = { dtype = "int64[3]", default = [7, 8, 9] }
        features.one = { dtype = "float32", default = 0.5 }
        features.words = { dtype = "string[2]", default = "?" }
        "#,
    )
    .unwrap();
    let schema = RequestSchema {
        entities: vec![EntityField {
            name: "id".into(),
            dtype: Dtype::Int64,
        }],
        inputs: Vec::new(),
    };
    let names = ["v.ids", "v.one", "v.words"];
    let plan = Plan::compile(&catalog, &schema, &names).unwrap();
    let row = FeatureRow {
        layout: plan.layout.clone(),
        cells: plan.layout.blank.clone(),
        discarded_rows: 0,
        store: StoreOutcome::NotAsked,
    };
    let bytes = |dtype, features: &[&str], width| {
        let layout = plan.tensor(dtype, features).unwrap();
        assert_eq!(layout.width(), width);
        let mut out = Vec::new();
        layout.write(&row, &mut out);
        out
    };
    assert_eq!(
        bytes(TensorDtype::Fp32, &["v.one", "v.ids", "v.one"], 5),
        [0.5f32, 7.0, 8.0, 9.0, 0.5].map(f32::to_le_bytes).concat()
    );
    assert_eq!(
        bytes(TensorDtype::Int32, &["v.ids"], 3),
        [7i32, 8, 9].map(i32::to_le_bytes).concat()
    );
    assert_eq!(
        bytes(TensorDtype::Bytes, &["v.words"], 2),
        b"\x01\0\0\0?\x01\0\0\0?"
    );
    let errors = plan.tensor(TensorDtype::Fp32, &["v.words"]).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "feature `v.words` is string[2], which does not go into a tensor of FP32"
    );
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
    let accepted = |tensor: TensorDtype| DTYPES.map(|dtype| tensor.accepts(dtype));
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
