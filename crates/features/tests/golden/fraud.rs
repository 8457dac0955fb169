//! Payments that no model was trained on: their events counted one by one, and at each payment's
//! moment the same vectors, to the bit, that training had.
//!
//! `models/golden/fraud_rows.json` holds the vectors, `fraud_payments.jsonl` the events.

use std::collections::HashMap;
use std::fs;
use std::iter;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use features::windows::{Applied, State, WindowView};
use features::{
    Catalog, Dtype, EntityField, InputField, Plan, RequestRow, RequestSchema, StateKey, StateWrite,
    Store, TensorDtype, Value, revision,
};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use tokio::time::Instant;

#[derive(Deserialize)]
struct Golden {
    features: HashMap<String, Vec<String>>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    request: Json,
    /// Unix seconds.
    moment: u64,
    /// Then no row was found, whatever had happened.
    store_down: bool,
    vectors: HashMap<String, Vec<f32>>,
    missing: Vec<String>,
    null: Vec<String>,
}

/// What the fraud decision's callers send.
const INPUTS: [(&str, Dtype); 6] = [
    ("amount", Dtype::Float64),
    ("currency", Dtype::String),
    ("country", Dtype::String),
    ("provider", Dtype::String),
    ("customer_present", Dtype::Bool),
    ("timestamp", Dtype::Int64),
];
const ENTITIES: [&str; 2] = ["card_id", "store_id"];

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(file)).unwrap()
}

fn schema() -> RequestSchema {
    let entities = ENTITIES.map(|name| EntityField {
        name: name.into(),
        dtype: Dtype::String,
    });
    let inputs = INPUTS.map(|(name, dtype)| InputField {
        name: name.into(),
        dtype,
        required: name != "timestamp",
        default: None,
    });
    RequestSchema {
        entities: entities.into(),
        inputs: inputs.into(),
    }
}

fn request(json: &Json) -> RequestRow {
    let entity = |name| Value::String(json["entities"][name].as_str().unwrap().into());
    let input = |(name, _)| {
        Some(match json["inputs"].get(name)? {
            Json::Bool(value) => Value::Bool(*value),
            Json::String(text) => Value::String(text.as_str().into()),
            number if name == "timestamp" => Value::Int64(number.as_i64().unwrap()),
            number => Value::Float64(number.as_f64().unwrap()),
        })
    };
    RequestRow {
        entities: ENTITIES.map(entity).into(),
        inputs: INPUTS.map(input).into(),
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Counts an event for one entity: reads its state, applies the event, and writes it back.
async fn count(store: &Store, view: &WindowView, key: &StateKey, event: &features::events::Event) {
    let stored = store.read_states(std::slice::from_ref(key)).await;
    let stored = stored.unwrap().remove(0);
    let expected = stored.as_deref().and_then(revision).unwrap_or(0);
    let mut state = match &stored {
        Some(bytes) => State::decode(view, bytes).unwrap(),
        None => State::new(view),
    };
    assert_eq!(state.apply(event, None), Applied::Counted);
    let write = StateWrite {
        key: key.clone(),
        expected,
        bytes: state.encode(expected + 1),
        expires_in: None,
    };
    assert_eq!(store.swap_states(&[write], &[]).await.unwrap(), [true]);
}

#[tokio::test]
async fn events_counted_one_by_one_give_the_vectors_of_training() {
    let catalog = Catalog::parse(&read("decisions/features.toml")).unwrap();
    let mut golden: Golden = serde_json::from_str(&read("models/golden/fraud_rows.json")).unwrap();
    assert!(golden.rows.len() >= 50, "{} golden rows", golden.rows.len());
    golden.rows.sort_by_key(|row| row.moment);
    let payments = read("models/golden/fraud_payments.jsonl");
    let mut payments = payments.lines().peekable();
    let payment = catalog.event_type("payment").unwrap();

    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let path = folder.path().join(name);
        Store::open(&format!("embedded:{}", path.display())).unwrap()
    };
    let (store, nothing) = (open("store"), open("nothing"));
    let names: Vec<String> = catalog.feature_names().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = Plan::compile(&catalog, &schema(), &names).unwrap();
    let (mut counted, mut nulls) = (0, 0);
    for row in &golden.rows {
        let before = |line: &&str| {
            let event: Map<String, Json> = serde_json::from_str(line).unwrap();
            event["timestamp"].as_u64().unwrap() < row.moment
        };
        while let Some(line) = payments.next_if(before) {
            let event = payment.parse_json(line.as_bytes(), at(row.moment)).unwrap();
            for view in payment.views() {
                let entity = view.entity(&event).unwrap();
                let key = catalog.state_key(view.name(), &entity).unwrap();
                count(&store, view, &key, &event).await;
            }
            counted += 1;
        }
        let store = if row.store_down { &nothing } else { &store };
        let until = Instant::now() + Duration::from_secs(10);
        let seen = plan
            .assemble(store, &request(&row.request), at(row.moment), until)
            .await;
        let id = &row.request["id"];
        for (model, features) in &golden.features {
            let names: Vec<&str> = features.iter().map(String::as_str).collect();
            let mut bytes = Vec::new();
            let layout = plan.tensor(TensorDtype::Fp32, &names).unwrap();
            layout.write(&seen, &mut bytes);
            let expected = row.vectors[model].iter().map(|value| value.to_bits());
            let (found, rest) = bytes.as_chunks::<4>();
            // A list fills as many columns as it has elements.
            let columns: Vec<&str> = names
                .iter()
                .flat_map(|name| iter::repeat_n(*name, catalog.width(name).unwrap_or(1)))
                .collect();
            assert_eq!((found.len(), rest.len()), (columns.len(), 0));
            assert_eq!(row.vectors[model].len(), columns.len());
            for ((name, found), expected) in columns.iter().zip(found).zip(expected) {
                let values = [u32::from_le_bytes(*found), expected];
                let shown = values.map(f32::from_bits);
                assert_eq!(values[0], values[1], "{model}, {name} of {id}: {shown:?}");
            }
        }
        let sorted = |names: &mut dyn Iterator<Item = &str>| {
            let mut names: Vec<String> = names.map(str::to_owned).collect();
            names.sort();
            names
        };
        assert_eq!(sorted(&mut seen.missing()), row.missing, "{id}");
        assert_eq!(sorted(&mut seen.null()), row.null, "{id}");
        nulls += row.null.len();
    }
    assert!(counted > 100 && nulls > 10, "{counted} {nulls}");
}
