//! A real Feast's repository, written by Feast's own `push` and `materialize`, read back whole: every
//! value of every type, null, absent, old and new, by one key and by several.
//!
//! Feast is in `.cache/feast` (scripts/feast.sh), and `feast/write.py` builds the repository and says
//! what Feast itself reads.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use features::{
    Catalog, Dtype, EntityField, FeastReadError, FeastRepository, FeatureRow, Plan, RequestRow,
    RequestSchema, Scalar, Status, Store, StoreOutcome, Value,
};
use serde_json::Value as Json;
use tempfile::TempDir;
use testkit::{Redis, RedisCluster, RedisSentinel};
use tokio::time::Instant;

const FEATURES: &str = r#"
[feast]
feature_store = "feature_store.yaml"
[feast.defaults]
"driver_stats.rating" = 2.5
[feast.lengths]
"user_lists.i64s" = 5
"user_lists.i32s" = 2
"user_lists.f64s" = 2
"user_lists.f32s" = 4
"user_lists.texts" = 4
"user_lists.flags" = 3
"user_lists.seens" = 2
"#;

/// Ages after which rows are stale, in microseconds, as write.py gives them; the others have none.
const DAY_US: i64 = 86_400_000_000;
const TTLS: [(&str, i64); 6] = [
    ("user_scalars", DAY_US),
    ("user_lists", 365 * DAY_US),
    ("card_merchant", DAY_US),
    ("driver_stats", 3 * DAY_US),
    ("globals", DAY_US),
    ("user_stream", DAY_US),
];

/// A repository, and what Feast reads of it.
struct World {
    folder: TempDir,
    expected: Vec<Json>,
}

impl World {
    /// Written by Feast with a `redis_type` and a `connection_string`.
    fn new(redis_type: &str, connection_string: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("../../.cache/feast/bin/python");
        assert!(
            python.exists(),
            "Feast is not installed: run `make test-deps`, which puts it into .cache/feast"
        );
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(python)
            .arg(root.join("tests/feast/write.py"))
            .arg(connection_string)
            .arg(folder.path())
            .args(["--redis-type", redis_type])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "write.py failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let expected = std::fs::read_to_string(folder.path().join("expected.json")).unwrap();
        let mut expected: Json = serde_json::from_str(&expected).unwrap();
        let expected = expected["rows"].as_array_mut().unwrap().split_off(0);
        assert!(expected.len() > 15, "{}", expected.len());
        World { folder, expected }
    }

    fn repository(&self) -> FeastRepository {
        FeastRepository::open(&self.folder.path().join("feature_store.yaml")).unwrap()
    }
}

fn entity(row: &Json) -> Vec<(String, String)> {
    let pairs = row["entity"].as_object().unwrap().iter();
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        number => number.to_string(),
    };
    pairs
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn name(json: &Json) -> &str {
    json.as_str().unwrap()
}

/// What the status of a stored value is at `now`.
fn status(row: &Json, feature: &Json, now_us: i64) -> Status {
    let ttl = TTLS.iter().find(|(view, _)| *view == name(&row["view"]));
    let age_us = now_us - row["event_time_us"].as_i64().unwrap_or(now_us);
    match name(&feature["status"]) {
        "present" if ttl.is_some_and(|(_, ttl)| age_us > *ttl) => Status::Stale,
        "present" => Status::Present,
        "null" => Status::Null,
        "missing" => Status::Missing,
        other => panic!("{other}"),
    }
}

async fn every_value_of_every_kind_is_shown(world: &World, now: SystemTime) {
    let repository = world.repository();
    let store = Store::open(repository.store_url()).unwrap();
    let now_us = now.duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    let mut seen = [0; 4];
    for row in &world.expected {
        let view = name(&row["view"]);
        let read = repository
            .read(&store, view, &entity(row), now)
            .await
            .unwrap();
        assert_eq!(read.event_time_us, row["event_time_us"].as_i64(), "{row}");
        let expected = row["features"].as_object().unwrap();
        let mut fields: HashMap<&str, _> = read
            .features
            .iter()
            .map(|field| (&*field.name, field))
            .collect();
        for (feature, expected) in expected {
            let field = fields
                .remove(&**feature)
                .unwrap_or_else(|| panic!("{view}.{feature}"));
            assert_eq!(
                field.status,
                status(row, expected, now_us),
                "{view}.{feature}"
            );
            assert_eq!(field.kind, expected["kind"].as_str(), "{view}.{feature}");
            assert_eq!(field.value, expected["value"], "{view}.{feature}");
            assert!(!field.is_corrupt);
            seen[field.status as usize] += 1;
        }
        // A stream view's own join key is a feature of it, too.
        assert!(
            fields.keys().all(|name| *name == "user_id"),
            "{:?}",
            fields.keys()
        );
    }
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}

async fn what_is_not_there_is_said(world: &World) {
    let repository = world.repository();
    let store = Store::open(repository.store_url()).unwrap();
    let user = [("user_id".to_owned(), "full".to_owned())];
    for (view, why) in [
        ("computed", "view `computed` is an on-demand view"),
        ("not_online", "view `not_online` is not online in Feast"),
        ("switched_off", "view `switched_off` is disabled in Feast"),
        (
            "user_scalrs",
            "Feast has no view `user_scalrs` (did you mean `user_scalars`?)",
        ),
    ] {
        let error = repository
            .read(&store, view, &user, SystemTime::now())
            .await
            .unwrap_err();
        assert!(matches!(error, FeastReadError::View { .. }));
        assert!(error.to_string().starts_with(why), "{error}");
    }
    let error = repository
        .read(&store, "globals", &user, SystemTime::now())
        .await
        .unwrap_err();
    assert!(matches!(error, FeastReadError::Entity { .. }), "{error}");
}

fn schema() -> RequestSchema {
    let entity = |name: &str, dtype| EntityField {
        name: name.to_owned(),
        dtype,
    };
    RequestSchema {
        entities: vec![
            entity("user_id", Dtype::String),
            entity("driver_id", Dtype::Int64),
            entity("card_id", Dtype::String),
            entity("Merchant", Dtype::Int64),
            entity("store_id", Dtype::Int64),
        ],
        inputs: Vec::new(),
    }
}

/// The row's entity; of other kinds of entity one that is not there.
fn request(row: &Json) -> RequestRow {
    let entities = schema().entities.into_iter().map(|field| {
        match (field.dtype, &row["entity"][&field.name]) {
            (_, Json::String(text)) => Value::String(text.as_str().into()),
            (_, Json::Number(number)) => Value::Int64(number.as_i64().unwrap()),
            (Dtype::String, _) => Value::String("not there".into()),
            (_, _) => Value::Int64(-123_456_789),
        }
    });
    RequestRow {
        entities: entities.collect(),
        inputs: Vec::new(),
    }
}

fn scalar(of: Scalar, json: &Json) -> Value {
    match of {
        Scalar::Bool => Value::Bool(json.as_bool().unwrap()),
        Scalar::Int64 => Value::Int64(json.as_i64().unwrap()),
        Scalar::Float32 => Value::Float32(json.as_f64().unwrap() as f32),
        Scalar::Float64 => Value::Float64(json.as_f64().unwrap()),
        Scalar::String => Value::String(name(json).into()),
    }
}

/// What a model gets of a stored value: a list cut or filled up with zeros.
fn value(dtype: Dtype, json: &Json) -> Value {
    let Dtype::List { of, length } = dtype else {
        return scalar(dtype.element(), json);
    };
    let zero = match of {
        Scalar::Bool => Json::from(false),
        Scalar::String => Json::from(""),
        _ => Json::from(0),
    };
    let elements = json.as_array().unwrap().iter();
    let padded = elements.chain(std::iter::repeat(&zero));
    let padded = padded.take(usize::from(length));
    Value::List(padded.map(|element| scalar(of, element)).collect())
}

fn plan(catalog: &Catalog) -> Plan {
    let names: Vec<String> = catalog.feature_names().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Plan::compile(catalog, &schema(), &names).unwrap()
}

async fn assemble(plan: &Plan, store: &Store, row: &Json, now: SystemTime) -> FeatureRow {
    let until = Instant::now() + Duration::from_secs(5);
    plan.assemble(store, &request(row), now, until).await
}

async fn every_value_that_models_take_is_assembled(
    world: &World,
    store_url: &str,
    now: SystemTime,
) {
    let catalog = Catalog::parse_in(world.folder.path(), FEATURES).unwrap();
    let store = Store::open_for(store_url, &catalog).unwrap();
    store.ping().await.unwrap();
    let plan = plan(&catalog);
    let now_us = now.duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    let mut compared = 0;
    for row in &world.expected {
        let view = name(&row["view"]);
        let assembled = assemble(&plan, &store, row, now).await;
        assert_eq!(assembled.store(), StoreOutcome::Answered);
        assert_eq!(assembled.discarded_rows(), 0, "{row}");
        if !plan.reads_view(view) {
            // None of its types is one that models take.
            assert_eq!(view, "user_rich");
            continue;
        }
        assert_eq!(
            assembled.event_time_us(view),
            row["event_time_us"].as_i64(),
            "{row}"
        );
        for column in assembled.columns() {
            let Some(feature) = column.name.strip_prefix(&format!("{view}.")) else {
                continue;
            };
            if feature == "user_id" {
                continue;
            }
            let expected = &row["features"][feature];
            let json = &expected["value"];
            if json.to_string().contains("Infinity") {
                assert_eq!(
                    column.status,
                    Status::Missing,
                    "no model gets what is not finite"
                );
                continue;
            }
            assert_eq!(
                column.status,
                status(row, expected, now_us),
                "{}",
                column.name
            );
            if !json.is_null() {
                let dtype = plan.dtype(plan.column(column.name).unwrap());
                assert_eq!(*column.value, value(dtype, json), "{}", column.name);
            } else if column.name == "driver_stats.rating" {
                assert_eq!(*column.value, Value::Float32(2.5));
            }
            compared += 1;
        }
    }
    assert!(compared > 80, "{compared}");
}

async fn a_redis_that_is_down_costs_defaults(world: &World, mut redis: Redis, now: SystemTime) {
    let catalog = Catalog::parse_in(world.folder.path(), FEATURES).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let own = format!("embedded:{}", folder.path().display());
    let store = Store::open_for(&own, &catalog).unwrap();
    let plan = plan(&catalog);
    redis.kill();
    let row = assemble(&plan, &store, &world.expected[0], now).await;
    assert_ne!(row.store(), StoreOutcome::Answered);
    assert_eq!(row.missing().count(), plan.features().count());
    assert!(store.ping().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_feast_is_read_whole() {
    let redis = Redis::start();
    let world = World::new("redis", &format!("127.0.0.1:{}", redis.port()));
    let now = SystemTime::now();
    every_value_of_every_kind_is_shown(&world, now).await;
    what_is_not_there_is_said(&world).await;
    // Feast's Redis is the store itself; then another one.
    let shared = redis.url();
    every_value_that_models_take_is_assembled(&world, &shared, now).await;
    let folder = tempfile::tempdir().unwrap();
    let own = format!("embedded:{}", folder.path().display());
    every_value_that_models_take_is_assembled(&world, &own, now).await;
    let other = Redis::start();
    every_value_that_models_take_is_assembled(&world, &other.url(), now).await;
    assert!(world.repository().reread().unwrap().is_none());
    a_registry_that_is_cut_short_is_refused_or_whole(&world);
    what_is_null_as_a_whole_is_not_written(&world);
    a_user_who_may_only_read_reads_all(&world, &redis, now).await;
    a_redis_that_is_down_costs_defaults(&world, redis, now).await;
}

/// Reads what Feast wrote to a Redis that is not one server.
async fn is_read_whole(redis_type: &str, connection_string: &str, kind: &str) {
    let world = World::new(redis_type, connection_string);
    let repository = world.repository();
    let store = Store::open(repository.store_url()).unwrap();
    assert_eq!(store.kind(), kind);
    store.ping().await.unwrap();
    let now = SystemTime::now();
    every_value_of_every_kind_is_shown(&world, now).await;
    let folder = tempfile::tempdir().unwrap();
    let own = format!("embedded:{}", folder.path().display());
    every_value_that_models_take_is_assembled(&world, &own, now).await;
    every_value_that_models_take_is_assembled(&world, repository.store_url(), now).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_read_whole_with_braces_in_its_keys() {
    let cluster = RedisCluster::start();
    let url = cluster.url();
    let nodes = url.strip_prefix("redis-cluster://").unwrap();
    is_read_whole("redis_cluster", nodes, "redis-cluster").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_that_sentinels_watch_is_read_whole() {
    let redis = RedisSentinel::start();
    let url = redis.url();
    let rest = url.strip_prefix("redis-sentinel://:").unwrap();
    let (password, rest) = rest.split_once('@').unwrap();
    let (sentinels, _) = rest.split_once('/').unwrap();
    let connection_string = format!("{sentinels},password={password}");
    is_read_whole("redis_sentinel", &connection_string, "redis-sentinel").await;
}

/// With a user of Redis's that has what docs/operators.md says, and a password that URLs encode.
async fn a_user_who_may_only_read_reads_all(world: &World, redis: &Redis, now: SystemTime) {
    let rights = ["resetkeys", "%R~*", "-@all", "+mget", "+hmget", "+ping"];
    let user = ["ACL", "SETUSER", "reader", "on", ">p@ss:/1"];
    assert_eq!(redis.cli(&[&user[..], &rights].concat()).trim(), "OK");
    let file = world.folder.path().join("feature_store.yaml");
    let before = std::fs::read_to_string(&file).unwrap();
    let address = format!("127.0.0.1:{}", redis.port());
    let login = format!("{address},username=reader,password=p@ss:/1");
    assert!(before.contains(&address), "{before}");
    std::fs::write(&file, before.replace(&address, &login)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let own = format!("embedded:{}", folder.path().display());
    every_value_that_models_take_is_assembled(world, &own, now).await;
    std::fs::write(&file, before).unwrap();
}

/// `push` of a frame without a value writes no row.
fn what_is_null_as_a_whole_is_not_written(world: &World) {
    let is_nothing = |row: &&Json| row["entity"]["user_id"] == "nothing";
    let row = world.expected.iter().find(is_nothing).unwrap();
    let mut features = row["features"].as_object().unwrap().values();
    assert!(
        features.all(|feature| feature["status"] == "missing"),
        "{row}"
    );
    assert!(row["event_time_us"].is_null(), "{row}");
}

/// Feast's own file, cut at every length: what is read then has every view and every feature.
fn a_registry_that_is_cut_short_is_refused_or_whole(world: &World) {
    let path = world.folder.path().join("registry.db");
    let bytes = std::fs::read(&path).unwrap();
    let names = |catalog: &Catalog| catalog.feature_names().collect::<Vec<_>>();
    let parse = || Catalog::parse_in(world.folder.path(), FEATURES);
    let whole = names(&parse().unwrap());
    assert!(whole.len() > 20, "{whole:?}");
    let repository = world.repository();
    let mut refused = 0;
    for length in (0..bytes.len())
        .step_by(7)
        .chain(bytes.len() - 300..bytes.len())
    {
        std::fs::write(&path, &bytes[..length]).unwrap();
        match repository.reread() {
            Ok(changed) => assert!(changed.is_none(), "cut after {length} bytes"),
            Err(_) => refused += 1,
        }
    }
    std::fs::write(&path, &bytes).unwrap();
    assert!(refused > bytes.len() / 8, "{refused}");
    assert_eq!(names(&parse().unwrap()), whole);
}
