//! What reading Feast's set-up costs here, beside the bare read: 25 views × 10 features of one entity.
//!
//! ```text
//! scripts/feast_bench.py        starts it, and compares with Feast in the same run
//! ```
//! Arguments: the folder of feature_store.yaml, and a Redis URL. For each number on standard input it
//! makes that many reads of each kind, in turns, and prints their times in microseconds as a line of
//! JSON: `gavel` (a plan's assembly of 250 features, decoded into a row, without a cache),
//! `gavel_cached` (the same behind the cache that the gateway has by default), `raw_one` (one HMGET of
//! the same fields) and `raw_each` (25 HMGETs of 11 fields in one pipeline, as Feast asks).

#![allow(clippy::unwrap_used, reason = "a tool for the one who runs it")]

use std::io::{BufRead, Cursor};
use std::path::Path;
use std::time::{Duration, SystemTime};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, cmd, pipe};
use features::{
    CacheLimits, Catalog, Dtype, EntityField, Plan, RequestRow, RequestSchema, Store, Value,
};
use serde_json::json;
use tokio::time::Instant;

const VIEWS: usize = 25;
const FEATURES: usize = 10;
const USER: &str = "u_1";
const PROJECT: &str = "bench";

/// As the gateway has it by default.
const CACHE: CacheLimits = CacheLimits {
    bytes: 16 << 20,
    ttl: Duration::from_millis(100),
};

type Fields = Vec<Option<Vec<u8>>>;

struct Bench {
    plan: Plan,
    store: Store,
    cached: Store,
    connection: MultiplexedConnection,
    key: Vec<u8>,
    /// By view.
    fields: Vec<Vec<Vec<u8>>>,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (folder, url) = (arguments.next().unwrap(), arguments.next().unwrap());
    let bench = Bench::new(Path::new(&folder), &url).await;
    for line in std::io::stdin().lock().lines() {
        let count: usize = line.unwrap().trim().parse().unwrap();
        let mut times: [Vec<f64>; 4] = Default::default();
        for _ in 0..count {
            times[0].push(bench.assemble(&bench.store).await);
            times[1].push(bench.assemble(&bench.cached).await);
            times[2].push(bench.raw_one().await);
            times[3].push(bench.raw_each().await);
        }
        let [gavel, cached, one, each] = times;
        let kinds =
            json!({ "gavel": gavel, "gavel_cached": cached, "raw_one": one, "raw_each": each });
        println!("{kinds}");
    }
}

impl Bench {
    async fn new(folder: &Path, url: &str) -> Self {
        let toml = "feast.feature_store = \"feature_store.yaml\"";
        let catalog = Catalog::parse_in(folder, toml).unwrap();
        let schema = RequestSchema {
            entities: vec![EntityField {
                name: "user_id".to_owned(),
                dtype: Dtype::String,
            }],
            inputs: Vec::new(),
        };
        let names: Vec<String> = catalog.feature_names().collect();
        assert_eq!(names.len(), VIEWS * FEATURES);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let client = Client::open(url).unwrap();
        let field = |name: String| {
            let hash = murmur3::murmur3_32(&mut Cursor::new(name), 0).unwrap();
            hash.to_le_bytes().to_vec()
        };
        let view = |v: usize| {
            let features = (0..FEATURES).map(|f| field(format!("view_{v}:f{f}")));
            let time = format!("_ts:view_{v}").into_bytes();
            features.chain([time]).collect()
        };
        Bench {
            plan: Plan::compile(&catalog, &schema, &names).unwrap(),
            store: Store::open_for(url, &catalog).unwrap(),
            cached: Store::open_for(url, &catalog).unwrap().with_cache(CACHE),
            connection: client.get_multiplexed_async_connection().await.unwrap(),
            key: [
                b"\x01\0\0\0\x02\0\0\0\x07\0\0\0user_id\x02\0\0\0",
                &(USER.len() as u32).to_le_bytes()[..],
                USER.as_bytes(),
                PROJECT.as_bytes(),
            ]
            .concat(),
            fields: (0..VIEWS).map(view).collect(),
        }
    }

    async fn assemble(&self, store: &Store) -> f64 {
        let request = RequestRow {
            entities: vec![Value::String(USER.into())],
            inputs: Vec::new(),
        };
        let started = Instant::now();
        let until = started + Duration::from_secs(1);
        let now = SystemTime::now();
        let row = self.plan.assemble(store, &request, now, until).await;
        let time = micros(started);
        assert_eq!(row.missing().count(), 0);
        time
    }

    async fn raw_one(&self) -> f64 {
        let mut connection = self.connection.clone();
        let started = Instant::now();
        let mut command = cmd("HMGET");
        command.arg(&self.key);
        for field in self.fields.iter().flatten() {
            command.arg(field);
        }
        let values: Fields = command.query_async(&mut connection).await.unwrap();
        let time = micros(started);
        assert!(values.iter().all(Option::is_some));
        time
    }

    async fn raw_each(&self) -> f64 {
        let mut connection = self.connection.clone();
        let started = Instant::now();
        let mut pipeline = pipe();
        for fields in &self.fields {
            pipeline.cmd("HMGET").arg(&self.key).arg(fields);
        }
        let values: Vec<Fields> = pipeline.query_async(&mut connection).await.unwrap();
        let time = micros(started);
        assert!(values.iter().flatten().all(Option::is_some));
        time
    }
}

fn micros(started: Instant) -> f64 {
    started.elapsed().as_nanos() as f64 / 1000.0
}
