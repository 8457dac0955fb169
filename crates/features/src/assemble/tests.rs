//! Assembly from an embedded store: values, defaults and masks.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::catalog::Catalog;
use crate::feature_row::{Source, Status};
use crate::load::parse_line;
use crate::schema::{EntityField, InputField, RequestSchema};
use crate::tensor::TensorDtype;
use crate::value::{Dtype, Value};

const FEATURES: &str = r#"
[entities]
card_id = "string"
store_id = "int64"

[views.card]
entity = "card_id"
ttl = "90d"
[views.card.features]
txn_count_24h       = { dtype = "float32", default = 0.5 }
txn_amount_mean_30d = { dtype = "float32", default = 0.0 }
country             = { dtype = "string", default = "??" }

[views.store]
entity = "store_id"
[views.store.features]
risk = { dtype = "float64", default = 0.25 }

[derived]
amount_log            = { transform = "log1p", inputs = ["request.amount"] }
amount_over_card_mean = { transform = "ratio", inputs = ["request.amount", "card.txn_amount_mean_30d"], default = 1.0 }
hour                  = { transform = "hour_of_day", inputs = ["request.timestamp"], default = 12.0 }
hour_missing          = { transform = "is_missing", inputs = ["hour"] }
country_index         = { transform = "index", inputs = ["card.country"], vocabulary = ["CH", "DE"] }
"#;

fn schema() -> RequestSchema {
    let entity = |name: &str, dtype| EntityField {
        name: name.to_owned(),
        dtype,
    };
    let input = |name: &str, dtype, required| InputField {
        name: name.to_owned(),
        dtype,
        required,
        default: None,
    };
    RequestSchema {
        entities: vec![
            entity("card_id", Dtype::String),
            entity("store_id", Dtype::Int64),
        ],
        inputs: vec![
            input("amount", Dtype::Float64, true),
            input("timestamp", Dtype::Int64, false),
        ],
    }
}

const NAMES: [&str; 8] = [
    "request.amount",
    "card.txn_count_24h",
    "store.risk",
    "amount_log",
    "amount_over_card_mean",
    "hour",
    "hour_missing",
    "country_index",
];

fn request(card: &str, timestamp: Option<i64>) -> RequestRow {
    RequestRow {
        entities: vec![Value::String(card.into()), Value::Int64(7)],
        inputs: vec![Some(Value::Float64(30.0)), timestamp.map(Value::Int64)],
    }
}

fn now() -> SystemTime {
    humantime::parse_rfc3339("2019-08-31T10:00:00Z").unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(10)
}

struct Bench {
    catalog: Catalog,
    plan: Plan,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let catalog = Catalog::parse(FEATURES).unwrap();
        let plan = Plan::compile(&catalog, &schema(), &NAMES).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
        Bench {
            catalog,
            plan,
            store,
            _folder: folder,
        }
    }

    async fn put(&self, line: &str) {
        let row = parse_line(&self.catalog, line).unwrap();
        self.store.put(&self.catalog, &[row]).await.unwrap();
    }

    async fn assemble(&self, request: &RequestRow) -> FeatureRow {
        self.plan
            .assemble(&self.store, request, now(), soon())
            .await
    }

    fn value(&self, row: &FeatureRow, feature: &str) -> Value {
        row.value(self.plan.column(feature).unwrap()).clone()
    }
}

const CARD: &str = r#"{"view":"card","entity":{"card_id":"4022"},"event_time":"2019-08-30T10:00:00Z",
    "values":{"txn_count_24h":3.0,"txn_amount_mean_30d":12.0,"country":"DE"}}"#;
const STORE: &str = r#"{"view":"store","entity":{"store_id":7},"event_time":"2001-01-01T00:00:00Z","values":{"risk":0.75}}"#;

#[tokio::test]
async fn a_request_with_every_row_stored_misses_nothing() {
    let bench = Bench::new();
    bench.put(CARD).await;
    bench.put(STORE).await;
    let row = bench.assemble(&request("4022", Some(1_567_245_600))).await;
    assert_eq!(row.missing().collect::<Vec<_>>(), Vec::<&str>::new());
    // The store's view has no ttl, so that its row of 2001 is not stale.
    assert_eq!(row.stale().collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(row.store(), StoreOutcome::Answered);
    assert_eq!(bench.value(&row, "card.txn_count_24h"), Value::Float32(3.0));
    assert_eq!(bench.value(&row, "store.risk"), Value::Float64(0.75));
    assert_eq!(
        bench.value(&row, "amount_over_card_mean"),
        Value::Float64(2.5)
    );
    assert_eq!(bench.value(&row, "hour"), Value::Float64(10.0));
    assert_eq!(bench.value(&row, "hour_missing"), Value::Float64(0.0));
    assert_eq!(bench.value(&row, "country_index"), Value::Int64(2));

    let features = [
        "amount_over_card_mean",
        "card.txn_count_24h",
        "country_index",
    ];
    let layout = bench.plan.tensor(TensorDtype::Fp32, &features).unwrap();
    let mut bytes = Vec::new();
    layout.write(&row, &mut bytes);
    let expected = [2.5f32, 3.0, 2.0].map(f32::to_le_bytes).concat();
    assert_eq!((layout.width(), bytes), (3, expected));
}

#[tokio::test]
async fn what_is_absent_takes_its_default_and_is_masked() {
    let bench = Bench::new();
    bench.put(STORE).await;
    let row = bench.assemble(&request("unknown", None)).await;
    assert_eq!(
        row.missing().collect::<std::collections::BTreeSet<_>>(),
        [
            "amount_over_card_mean",
            "card.country",
            "card.txn_amount_mean_30d",
            "card.txn_count_24h",
            "country_index",
            "hour",
            "request.timestamp",
        ]
        .into()
    );
    assert!(row.view_missing("card") && !row.view_missing("store"));
    assert_eq!(bench.value(&row, "card.txn_count_24h"), Value::Float32(0.5));
    // The mean's default is 0, by which nothing is divided: the ratio's own default.
    assert_eq!(
        bench.value(&row, "amount_over_card_mean"),
        Value::Float64(1.0)
    );
    // An optional input without a default: the derived feature's default.
    assert_eq!(bench.value(&row, "hour"), Value::Float64(12.0));
    assert_eq!(bench.value(&row, "hour_missing"), Value::Float64(1.0));
    // Not in the vocabulary.
    assert_eq!(bench.value(&row, "country_index"), Value::Int64(0));
}

#[tokio::test]
async fn an_old_row_is_used_and_masked_as_stale() {
    let bench = Bench::new();
    bench.put(&CARD.replace("2019-08-30", "2019-05-30")).await;
    let row = bench.assemble(&request("4022", None)).await;
    assert_eq!(bench.value(&row, "card.txn_count_24h"), Value::Float32(3.0));
    assert_eq!(
        row.stale().collect::<std::collections::BTreeSet<_>>(),
        [
            "card.country",
            "card.txn_amount_mean_30d",
            "card.txn_count_24h"
        ]
        .into()
    );
    assert!(!row.view_missing("card"));
}

#[tokio::test]
async fn a_null_holds_its_default_while_its_row_is_there() {
    let bench = Bench::new();
    bench.put(r#"{"view":"card","entity":{"card_id":"4022"},"values":{"country":"CH","txn_count_24h":null}}"#).await;
    let row = bench.assemble(&request("4022", None)).await;
    assert!(!row.view_missing("card"));
    assert!(row.is_missing(bench.plan.column("card.txn_count_24h").unwrap()));
    assert_eq!(bench.value(&row, "card.txn_count_24h"), Value::Float32(0.5));
    assert_eq!(bench.value(&row, "country_index"), Value::Int64(1));
    // The mean is null because the row does not say it. What is derived from it is missing itself.
    assert_eq!(
        row.null().collect::<Vec<_>>(),
        ["card.txn_count_24h", "card.txn_amount_mean_30d"]
    );
    let missing: Vec<&str> = row.missing().collect();
    assert!(missing.contains(&"amount_over_card_mean"));
    assert!(!missing.contains(&"card.txn_count_24h"));
}

#[tokio::test]
async fn every_column_says_what_is_known_of_it() {
    let bench = Bench::new();
    let stored = CARD.replace("\"country\":\"DE\"", "\"country\":null");
    bench.put(&stored.replace("2019-08-30", "2019-05-30")).await;
    let row = bench.assemble(&request("4022", None)).await;
    let event_time = humantime::parse_rfc3339("2019-05-30T10:00:00Z").unwrap();
    let event_time = micros_since_epoch(event_time);
    assert_eq!(row.event_time_us("card"), Some(event_time));
    assert_eq!(row.event_time_us("store"), None);
    assert_eq!(row.event_time_us("no such view"), None);
    let column = |name: &str| row.columns().find(|column| column.name == name).unwrap();
    for (name, value, status, source, time) in [
        (
            "request.amount",
            Value::Float64(30.0),
            Status::Present,
            Source::Request,
            None,
        ),
        (
            "request.timestamp",
            Value::Int64(0),
            Status::Missing,
            Source::Request,
            None,
        ),
        (
            "card.txn_count_24h",
            Value::Float32(3.0),
            Status::Stale,
            Source::View("card"),
            Some(event_time),
        ),
        (
            "card.country",
            Value::String("??".into()),
            Status::Null,
            Source::View("card"),
            Some(event_time),
        ),
        (
            "store.risk",
            Value::Float64(0.25),
            Status::Missing,
            Source::View("store"),
            None,
        ),
        (
            "amount_over_card_mean",
            Value::Float64(2.5),
            Status::Present,
            Source::Derived,
            None,
        ),
        (
            "country_index",
            Value::Int64(0),
            Status::Missing,
            Source::Derived,
            None,
        ),
    ] {
        let found = column(name);
        assert_eq!((found.value, found.status), (&value, status), "{name}");
        assert_eq!(
            (found.source, found.event_time_us),
            (source, time),
            "{name}"
        );
    }
    let names: Vec<&str> = row.columns().map(|column| column.name).collect();
    assert_eq!(names, bench.plan.features().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_row_of_other_definitions_is_missing_and_counted() {
    let bench = Bench::new();
    let other = Catalog::parse(
        &FEATURES
            .replace("country ", "nation ")
            .replace("card.country", "card.nation"),
    )
    .unwrap();
    let line = CARD.replace("country", "nation");
    let row = parse_line(&other, &line).unwrap();
    let refused = bench
        .store
        .put(&bench.catalog, std::slice::from_ref(&row))
        .await;
    assert!(matches!(
        refused,
        Err(crate::StoreError::OtherCatalog { .. })
    ));
    bench.store.put(&other, &[row]).await.unwrap();
    let row = bench.assemble(&request("4022", None)).await;
    assert!(row.view_missing("card"));
    assert_eq!(row.discarded_rows(), 1);
}

#[tokio::test]
async fn a_number_that_is_not_finite_is_missing_wherever_it_comes_from() {
    let bench = Bench::new();
    let mut stored = parse_line(&bench.catalog, CARD).unwrap();
    let place = stored.view.feature("txn_count_24h").unwrap();
    stored.values[place] = Some(Value::Float32(f32::NAN));
    bench.store.put(&bench.catalog, &[stored]).await.unwrap();
    let mut asked = request("4022", None);
    asked.inputs[0] = Some(Value::Float64(f64::INFINITY));
    let row = bench.assemble(&asked).await;
    let missing: Vec<&str> = row.missing().collect();
    assert!(missing.contains(&"card.txn_count_24h") && missing.contains(&"request.amount"));
    assert_eq!(bench.value(&row, "card.txn_count_24h"), Value::Float32(0.5));
    assert_eq!(bench.value(&row, "amount_log"), Value::Float64(0.0));
}

#[tokio::test]
async fn an_event_time_in_the_future_is_fresh() {
    let bench = Bench::new();
    bench.put(&CARD.replace("2019-08-30", "2033-01-01")).await;
    let row = bench
        .plan
        .assemble(&bench.store, &request("4022", None), UNIX_EPOCH, soon())
        .await;
    assert_eq!(row.stale().count(), 0);
    assert!(!row.view_missing("card"));
}

#[tokio::test]
async fn a_list_has_the_length_of_its_type_whatever_was_stored() {
    let catalog = Catalog::parse(
        r#"
        entities.card_id = "string"
        [views.card]
        entity = "card_id"
        features.last = { dtype = "int64[3]", default = [-1, -2, -3] }
        features.vector = { dtype = "float32[2]", default = 0.5 }
        "#,
    )
    .unwrap();
    let mut schema = schema();
    schema.entities.truncate(1);
    let plan = Plan::compile(&catalog, &schema, &["card.last", "card.vector"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
    let int64s = |numbers: &[i64]| Value::List(numbers.iter().copied().map(Value::Int64).collect());
    let floats = |numbers: [f32; 2]| Value::List(numbers.map(Value::Float32).into());
    for (stored, last, vector, null) in [
        (
            r#"{"last":[7],"vector":[1.5]}"#,
            int64s(&[7, -2, -3]),
            floats([1.5, 0.5]),
            0,
        ),
        (
            r#"{"last":[7,8,9,10],"vector":[1,2,3]}"#,
            int64s(&[7, 8, 9]),
            floats([1.0, 2.0]),
            0,
        ),
        (
            r#"{"last":[],"vector":[1,2]}"#,
            int64s(&[-1, -2, -3]),
            floats([1.0, 2.0]),
            0,
        ),
        (
            r#"{"vector":null}"#,
            int64s(&[-1, -2, -3]),
            floats([0.5, 0.5]),
            2,
        ),
    ] {
        let line = format!(r#"{{"view":"card","entity":{{"card_id":"4022"}},"values":{stored}}}"#);
        let row = parse_line(&catalog, &line).unwrap();
        store.put(&catalog, &[row]).await.unwrap();
        let row = plan
            .assemble(&store, &request("4022", None), now(), soon())
            .await;
        let value = |feature| row.value(plan.column(feature).unwrap()).clone();
        assert_eq!(
            (value("card.last"), value("card.vector")),
            (last, vector),
            "{stored}"
        );
        assert_eq!(row.null().count(), null, "{stored}");
    }
}
