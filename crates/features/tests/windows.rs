//! From an event's JSON to a decision's features, through the embedded store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends here"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use features::windows::{Applied, State};
use features::{
    Catalog, EntityField, FeatureRow, Plan, RequestRow, RequestSchema, StateWrite, Store, Value,
};
use tokio::time::Instant;

const FEATURES: &str = r#"
entities.card_id = "string"

[events.payment]
id = "id"
time = "timestamp"
lateness = "1h"
[events.payment.fields]
card_id = "string"
amount = { type = "float64", path = "payment.amount" }

[views.velocity]
entity = "card_id"
events = "payment"
ttl = "30d"
[views.velocity.features]
count_1h     = { dtype = "float32", default = -1.0, aggregate = "count", window = "1h" }
sum_24h      = { dtype = "float32", default = -1.0, aggregate = "sum", of = "amount", window = "24h" }
max_1h       = { dtype = "float32", default = -1.0, aggregate = "max", of = "amount", window = "1h" }
last_amounts = { dtype = "float32[3]", default = 0.0, aggregate = "last_n", of = "amount" }
"#;

const NAMES: [&str; 4] = [
    "velocity.count_1h",
    "velocity.sum_24h",
    "velocity.max_1h",
    "velocity.last_amounts",
];

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn values(plan: &Plan, row: &FeatureRow) -> Vec<Value> {
    let value = |name: &&str| row.value(plan.column(name).unwrap()).clone();
    NAMES.iter().map(value).collect()
}

fn numbers(count: f32, sum: f32, max: f32, last: [f32; 3]) -> Vec<Value> {
    let mut all: Vec<Value> = [count, sum, max].map(Value::Float32).into();
    all.push(Value::List(last.map(Value::Float32).into()));
    all
}

#[tokio::test]
async fn a_window_is_measured_at_the_moment_of_the_decision() {
    let catalog = Catalog::parse(FEATURES).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
    let events = catalog.event_type("payment").unwrap();
    let view = catalog.window_view("velocity").unwrap();
    let schema = RequestSchema {
        entities: vec![EntityField {
            name: "card_id".to_owned(),
            dtype: features::Dtype::String,
        }],
        inputs: Vec::new(),
    };
    let plan = Plan::compile(&catalog, &schema, &NAMES).unwrap();
    let request = RequestRow {
        entities: vec![Value::String("4022".into())],
        inputs: Vec::new(),
    };
    let assemble = async |seconds: u64| {
        let until = Instant::now() + Duration::from_secs(10);
        plan.assemble(&store, &request, at(seconds), until).await
    };

    let row = assemble(1_600_000_000).await;
    assert_eq!(values(&plan, &row), numbers(-1.0, -1.0, -1.0, [0.0; 3]));
    assert_eq!(row.missing().count(), 4);

    let mut state = State::new(&view);
    for (json, applied) in [
        (
            r#"{"id":1,"timestamp":1600000000,"card_id":"4022","payment":{"amount":10}}"#,
            Applied::Counted,
        ),
        (
            r#"{"id":2,"timestamp":1600001800,"card_id":"4022","payment":{"amount":2.5}}"#,
            Applied::Counted,
        ),
        (
            r#"{"id":1,"timestamp":1600000000,"card_id":"4022","payment":{"amount":10}}"#,
            Applied::Duplicate,
        ),
        (
            r#"{"id":3,"timestamp":1599990000,"card_id":"4022","payment":{"amount":7}}"#,
            Applied::Late,
        ),
    ] {
        let event = events
            .parse_json(json.as_bytes(), at(1_600_001_900))
            .unwrap();
        assert_eq!(view.entity(&event).as_deref(), Some(&*request.entities));
        assert_eq!(state.apply(&event, None), applied, "{json}");
    }
    let write = StateWrite {
        key: catalog.state_key("velocity", &request.entities).unwrap(),
        expected: 0,
        bytes: state.encode(1),
        expires_in: view.ttl(),
    };
    assert_eq!(features::revision(&write.bytes), Some(1));
    assert_eq!(store.swap_states(&[write], &[]).await.unwrap(), [true]);

    // Right after the second event; when the first has left the hour; when both have; a day later.
    let last = [2.5, 10.0, 0.0];
    let row = assemble(1_600_001_800).await;
    assert_eq!(values(&plan, &row), numbers(2.0, 12.5, 10.0, last));
    assert_eq!(row.event_time_us("velocity"), Some(1_600_001_800_000_000));
    let row = assemble(1_600_000_000 + 3_661).await;
    assert_eq!(values(&plan, &row), numbers(1.0, 12.5, 2.5, last));
    let row = assemble(1_600_001_800 + 3_661).await;
    assert_eq!(values(&plan, &row), numbers(0.0, 12.5, -1.0, last));
    assert_eq!(row.null().collect::<Vec<_>>(), ["velocity.max_1h"]);
    let row = assemble(1_600_001_800 + 25 * 3_600).await;
    assert_eq!(values(&plan, &row), numbers(0.0, 0.0, -1.0, last));
    assert_eq!(row.stale().count(), 0);
    let row = assemble(1_600_001_800 + 31 * 86_400).await;
    assert_eq!(row.stale().count(), 3);
}

#[test]
fn rows_of_a_view_from_events_are_not_loaded() {
    let catalog = Catalog::parse(FEATURES).unwrap();
    let line = r#"{"view":"velocity","entity":{"card_id":"4022"},"values":{"count_1h":1}}"#;
    let error = features::load::parse_line(&catalog, line).unwrap_err();
    assert_eq!(
        error.to_string(),
        "view `velocity` is made from events: its rows come of those, by `gavel ingest`, and can't be loaded"
    );
}
