//! Views whose rows are plain Redis hashes, beside packed ones, on a real Redis and a cluster.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::process::Command;
use std::time::{Duration, SystemTime};

use common::raw::command;
use features::{
    Catalog, Dtype, EntityField, FeatureRow, Plan, RequestRow, RequestSchema, Store, StoreOutcome,
    Value, load::parse_line,
};
use testkit::{Redis, RedisCluster};
use tokio::time::Instant;

const DEFINITIONS: &str = r#"
    entities = { card_id = "string", store_id = "int64" }

    [views.card]
    entity = "card_id"
    features.n = { dtype = "int64", default = -1 }

    [views.profile]
    entity = "card_id"
    hash = "profile:{card_id}"
    event_time_field = "at"
    ttl = "1h"
    [views.profile.features]
    age = { dtype = "int64", default = -1 }
    mean = { dtype = "float32", default = -1.0, field = "avg:90d" }
    rich = { dtype = "bool", default = false }
    segment = { dtype = "string", default = "none", field = "seg" }
    last = { dtype = "int64[3]", default = 0 }
    unused = { dtype = "int64", default = 0 }

    [views.visit]
    entity = ["store_id", "card_id"]
    hash = "{{{card_id}}}@{store_id}"
    features.count = { dtype = "float64", default = -1.0 }
"#;

const FEATURES: [&str; 7] = [
    "card.n",
    "profile.age",
    "profile.mean",
    "profile.rich",
    "profile.segment",
    "profile.last",
    "visit.count",
];

/// 2019-08-31T10:00:00Z
const NOW: u64 = 1_567_245_600;

struct Bench {
    catalog: Catalog,
    plan: Plan,
    store: Store,
}

impl Bench {
    fn new(url: &str) -> Self {
        let catalog = Catalog::parse(DEFINITIONS).unwrap();
        Store::serves(url, &catalog).unwrap();
        let entity = |name: &str, dtype| EntityField {
            name: name.to_owned(),
            dtype,
        };
        let schema = RequestSchema {
            entities: vec![
                entity("card_id", Dtype::String),
                entity("store_id", Dtype::Int64),
            ],
            inputs: Vec::new(),
        };
        let plan = Plan::compile(&catalog, &schema, &FEATURES).unwrap();
        let store = Store::open(url).unwrap();
        Bench {
            catalog,
            plan,
            store,
        }
    }

    async fn put(&self, card: &str, n: i64) {
        let line =
            format!(r#"{{"view":"card","entity":{{"card_id":"{card}"}},"values":{{"n":{n}}}}}"#);
        let row = parse_line(&self.catalog, &line).unwrap();
        self.store.put(&self.catalog, &[row]).await.unwrap();
    }

    async fn read(&self, card: &str) -> FeatureRow {
        let request = RequestRow {
            entities: vec![Value::String(card.into()), Value::Int64(-7)],
            inputs: Vec::new(),
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        let until = Instant::now() + Duration::from_secs(5);
        let row = self.plan.assemble(&self.store, &request, now, until).await;
        assert_eq!(row.store(), StoreOutcome::Answered);
        row
    }

    fn value(&self, row: &FeatureRow, feature: &str) -> Value {
        row.value(self.plan.column(feature).unwrap()).clone()
    }
}

/// Each column's status, in the plan's order: `p`resent, `n`ull, `m`issing, `s`tale.
fn statuses(row: &FeatureRow) -> String {
    row.columns()
        .map(|column| column.status.name().chars().next().unwrap())
        .collect()
}

fn integers(values: [i64; 3]) -> Value {
    Value::List(values.map(Value::Int64).into())
}

#[tokio::test]
async fn hashes_and_rows_are_read_in_one_go() {
    let redis = Redis::start();
    let bench = Bench::new(&redis.url());
    let profile: [&[u8]; 14] = [
        b"HSET",
        b"profile:4022",
        b"age",
        b"44",
        b"avg:90d",
        b"12.5",
        b"rich",
        b"True",
        b"seg",
        b"gold",
        b"last",
        b"[7, 8]",
        b"at",
        b"1567245600",
    ];
    command(&redis, &profile);
    command(&redis, &[b"HSET", b"{4022}@-7", b"count", b"3"]);
    bench.put("4022", 5).await;
    command(&redis, &[b"CONFIG", b"RESETSTAT"]);
    let row = bench.read("4022").await;
    assert_eq!(statuses(&row), "ppppppp");
    let expected = [
        Value::Int64(5),
        Value::Int64(44),
        Value::Float32(12.5),
        Value::Bool(true),
        Value::String("gold".into()),
        integers([7, 8, 0]),
        Value::Float64(3.0),
    ];
    for (feature, expected) in FEATURES.iter().zip(expected) {
        assert_eq!(bench.value(&row, feature), expected, "{feature}");
    }
    assert_eq!(row.event_time_us("profile"), Some(NOW as i64 * 1_000_000));
    assert_eq!(row.event_time_us("visit"), None);
    let statistics = command(&redis, &[b"INFO", b"commandstats"]);
    for expected in ["cmdstat_mget:calls=1,", "cmdstat_hmget:calls=2,"] {
        assert!(statistics.contains(expected), "{statistics}");
    }
}

#[tokio::test]
async fn absent_null_unreadable_and_stale_are_told_apart() {
    let redis = Redis::start();
    let bench = Bench::new(&redis.url());
    let nothing = bench.read("nobody").await;
    assert_eq!(statuses(&nothing), "mmmmmmm");
    assert!(nothing.view_missing("profile") && nothing.view_missing("visit"));
    assert_eq!(nothing.discarded_rows(), 0);

    // An empty text is null, or the string that it is; what is not of its type is missing.
    let mixed: [&[u8]; 12] = [
        b"HSET",
        b"profile:a",
        b"age",
        b"",
        b"avg:90d",
        b"1,5",
        b"seg",
        b"",
        b"last",
        b"nothing",
        b"at",
        b"1567245600",
    ];
    command(&redis, &mixed);
    let row = bench.read("a").await;
    assert_eq!(statuses(&row), "mnmmpmm");
    assert_eq!(
        bench.value(&row, "profile.segment"),
        Value::String("".into())
    );
    assert_eq!(bench.value(&row, "profile.age"), Value::Int64(-1));
    assert_eq!(row.discarded_rows(), 1);
    assert!(!row.view_missing("profile"));

    // Older than an hour, or of an age that nobody knows.
    for at in [b"1567241000".as_slice(), b"2019-08-31T08:59:59Z", b"soon"] {
        command(&redis, &[b"HSET", b"profile:b", b"age", b"1", b"at", at]);
        let row = bench.read("b").await;
        assert_eq!(statuses(&row), "msmmmmm");
        assert_eq!(bench.value(&row, "profile.age"), Value::Int64(1));
        assert_eq!(row.discarded_rows(), u32::from(at == b"soon"));
    }
    command(&redis, &[b"HDEL", b"profile:b", b"at"]);
    assert_eq!(statuses(&bench.read("b").await), "msmmmmm");

    // A key of another type costs its own view alone.
    command(&redis, &[b"SET", b"profile:c", b"text"]);
    command(&redis, &[b"HSET", b"{c}@-7", b"count", b"2"]);
    bench.put("c", 9).await;
    let row = bench.read("c").await;
    assert_eq!(statuses(&row), "pmmmmmp");
    assert_eq!(row.discarded_rows(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_asked_for_all_of_it_side_by_side() {
    let cluster = RedisCluster::start();
    let bench = Bench::new(&cluster.url());
    let port = cluster.nodes[0].port().to_string();
    for i in 0..30 {
        let set = |key: &str, field: &str, value: &str| {
            let said = Command::new("redis-cli")
                .args(["-c", "-p", &port, "HSET", key, field, value])
                .output();
            assert!(said.unwrap().status.success());
        };
        set(&format!("profile:{i}"), "age", &i.to_string());
        set(&format!("{{{i}}}@-7"), "count", "0.5");
        bench.put(&i.to_string(), i).await;
    }
    for i in 0..30 {
        let row = bench.read(&i.to_string()).await;
        assert_eq!(bench.value(&row, "card.n"), Value::Int64(i));
        assert_eq!(bench.value(&row, "profile.age"), Value::Int64(i));
        assert_eq!(bench.value(&row, "visit.count"), Value::Float64(0.5));
    }
}

#[tokio::test]
async fn an_embedded_store_has_no_hashes_and_nobody_writes_them_here() {
    let catalog = Catalog::parse(DEFINITIONS).unwrap();
    let error = Store::serves("embedded:data/features", &catalog).unwrap_err();
    let sentence = error.to_string();
    assert!(
        sentence.contains("view `profile` is read from Redis hashes"),
        "{sentence}"
    );
    assert!(sentence.contains("embedded:data/features"), "{sentence}");

    let line = r#"{"view":"profile","entity":{"card_id":"a"},"values":{"age":1}}"#;
    let error = parse_line(&catalog, line).unwrap_err();
    assert!(error.to_string().contains("which others write"), "{error}");
}
