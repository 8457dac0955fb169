//! Bytes of a hash into cells, without a server.

use prost::Message;

use super::*;
use crate::catalog::Catalog;
use crate::feast::proto::{self, Kind};
use crate::feast::testing;
use crate::feature_row::Status;
use crate::plan::Plan;
use crate::schema::{EntityField, RequestSchema};
use crate::value::Dtype;

const DAY_US: i64 = 86_400_000_000;

/// A repository of two views of one entity, one of another, and one of none.
fn plan(features: &[&str]) -> Plan {
    let registry = testing::registry(&[
        ("a", &[("user_id", 2)], &[("x", 4, 0), ("y", 5, 0)]),
        (
            "b",
            &[("user_id", 2)],
            &[("l", 16, 3), ("s", 2, 0), ("x", 4, 0)],
        ),
        ("c", &[("store_id", 3)], &[("n", 7, 0)]),
        ("everywhere", &[], &[("rate", 5, 0)]),
    ]);
    let folder = testing::repository(&registry.encode_to_vec());
    let toml = "feast.feature_store = \"feature_store.yaml\"";
    let catalog = Catalog::parse_in(folder.path(), toml).unwrap();
    let entity = |name: &str, dtype| EntityField {
        name: name.to_owned(),
        dtype,
    };
    let schema = RequestSchema {
        entities: vec![
            entity("store_id", Dtype::Int64),
            entity("user_id", Dtype::String),
        ],
        inputs: Vec::new(),
    };
    Plan::compile(&catalog, &schema, features).unwrap()
}

fn stored(kind: Kind) -> Option<Vec<u8>> {
    Some(proto::Value { val: Some(kind) }.encode_to_vec())
}

fn at(seconds: i64) -> Option<Vec<u8>> {
    Some(proto::Span { seconds, nanos: 0 }.encode_to_vec())
}

fn statuses(row: &FeatureRow) -> Vec<(&str, Status)> {
    row.columns()
        .map(|column| (column.name, column.status))
        .collect()
}

fn value(row: &FeatureRow, plan: &Plan, feature: &str) -> Value {
    row.value(plan.column(feature).unwrap()).clone()
}

#[test]
fn views_of_one_entity_are_one_read_and_only_what_is_used_is_asked_for() {
    let plan = plan(&["b.x", "a.y", "c.n", "b.l", "everywhere.rate"]);
    let fields: Vec<usize> = plan
        .layout
        .feast
        .iter()
        .map(|read| read.fields.len())
        .collect();
    // Both views of the user, with their times; the store's; everybody's.
    assert_eq!(fields, [5, 2, 2]);
    let request = RequestRow {
        entities: vec![Value::Int64(7), Value::String("u".into())],
        inputs: Vec::new(),
    };
    let key = |read: usize| {
        let mut key = Vec::new();
        plan.layout.feast[read].write_key(&request, &mut key);
        key
    };
    let user = b"\x01\0\0\0\x02\0\0\0\x07\0\0\0user_id\x02\0\0\0\x01\0\0\0up";
    assert_eq!(key(0), user);
    assert_eq!(
        key(1),
        b"\x01\0\0\0\x02\0\0\0\x08\0\0\0store_id\x03\0\0\0\x04\0\0\0\x07\0\0\0p"
    );
    assert_eq!(
        key(2),
        b"\x01\0\0\0\x02\0\0\0\x0a\0\0\0__dummy_id\x02\0\0\0\0\0\0\0p"
    );
}

#[test]
fn an_entity_that_feast_cannot_have_is_asked_for_where_nobody_writes() {
    let plan = plan(&["c.n"]);
    let request = RequestRow {
        entities: vec![Value::Int64(1 << 40), Value::String("".into())],
        inputs: Vec::new(),
    };
    let mut key = Vec::new();
    plan.layout.feast[0].write_key(&request, &mut key);
    assert_eq!(key, b"\x01\0\0\0\x02\0\0\0\x08\0\0\0store_id");
}

#[test]
fn present_null_missing_and_stale_are_told_apart_by_view() {
    let plan = plan(&["a.x", "a.y", "b.l", "b.s", "b.x"]);
    let floats = proto::Floats { val: vec![1.5] };
    let values = vec![
        stored(Kind::Int64(0)),
        Some(Vec::new()),
        at(100),
        stored(Kind::FloatList(floats)),
        None,
        stored(Kind::Int64(5)),
        at(99),
    ];
    let mut row = FeatureRow::blank(plan.layout.clone());
    row.take_feast(0, Some(&values), 100 * 1_000_000 + DAY_US);
    assert_eq!(
        statuses(&row),
        [
            ("a.x", Status::Present),
            ("a.y", Status::Null),
            ("b.l", Status::Stale),
            ("b.s", Status::Missing),
            ("b.x", Status::Stale),
        ]
    );
    assert_eq!(value(&row, &plan, "b.x"), Value::Int64(5));
    let padded = [1.5, 0.0, 0.0].map(Value::Float32);
    assert_eq!(value(&row, &plan, "b.l"), Value::List(padded.into()));
    assert_eq!(row.event_time_us("a"), Some(100_000_000));
    assert_eq!(row.event_time_us("b"), Some(99_000_000));
    assert_eq!(row.discarded_rows(), 0);
}

#[test]
fn what_is_corrupt_or_of_another_type_is_missing_and_counted_and_the_rest_is_used() {
    let plan = plan(&["a.x", "a.y", "b.s"]);
    let values = vec![
        stored(Kind::String("no number".to_owned())),
        stored(Kind::Double(f64::NAN)),
        Some(vec![0xff]),
        stored(Kind::String("kept".to_owned())),
        at(0),
    ];
    let mut row = FeatureRow::blank(plan.layout.clone());
    row.take_feast(0, Some(&values), 1);
    // Without a time its age is not known: the view has a ttl.
    assert_eq!(
        statuses(&row),
        [
            ("a.x", Status::Missing),
            ("a.y", Status::Missing),
            ("b.s", Status::Present),
        ]
    );
    assert_eq!(value(&row, &plan, "b.s"), Value::String("kept".into()));
    assert_eq!(row.discarded_rows(), 1);
    assert!(!row.view_missing("a"));
}

#[test]
fn no_hash_and_no_key_are_missing() {
    let plan = plan(&["a.x", "b.s"]);
    for (stored, discarded) in [(Some(vec![None; 4]), 0), (None, 2), (Some(Vec::new()), 0)] {
        let mut row = FeatureRow::blank(plan.layout.clone());
        row.take_feast(0, stored.as_deref(), 0);
        assert!(row.view_missing("a") && row.view_missing("b"));
        assert_eq!(row.missing().count(), 2);
        assert_eq!(row.discarded_rows(), discarded);
    }
}
