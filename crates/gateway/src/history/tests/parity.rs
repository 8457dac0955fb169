//! The training set is what the online store answered: real payments both ways, every value compared.
//!
//! Online, payments are decided on at their moment and then posted as events into an embedded store.
//! Offline, `features history` replays their file for a spine of the same moments in another order.
//! Values and statuses must be the same to the bit: of stored, of missing and of derived features.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use features::{Catalog, FeatureRow, RequestRow, Store, Value};
use serde_json::Value as Json;
use tables::{Cell, Reader};
use tempfile::TempDir;
use tokio::time::Instant;

use super::super::{Files, Sight, make, output::cell};
use crate::{
    decision,
    diagnostic::Report,
    ingest::{Live, Typed, Types},
};

/// Payments of an ordinary run; `PAYMENTS` names another number, and `all` all 99,992.
const PAYMENTS: usize = 20_000;
/// Every so many payments one is sent twice.
const TWICE: usize = 50;

const FEATURES: &str = r#"
    entities = { card_id = "string", store_id = "string" }

    [events.payment]
    id = "id"
    time = "timestamp"
    [events.payment.fields]
    card_id = "string"
    store_id = "string"
    amount = "float64"
    currency = "string"
    customer_present = "bool"
    timestamp = "int64"
    lat = "float64"
    lng = "float64"

    [views.card]
    entity = "card_id"
    events = "payment"
    ttl = "90d"
    [views.card.features]
    count_1h = { dtype = "float32", default = 0.0, aggregate = "count", window = "1h" }
    count_24h = { dtype = "float32", default = 0.0, aggregate = "count", window = "24h" }
    count_30d = { dtype = "int64", default = 0, aggregate = "count", window = "30d" }
    sum_7d = { dtype = "float32", default = 0.0, aggregate = "sum", of = "amount", window = "7d" }
    sum_90d = { dtype = "float64", default = 0.0, aggregate = "sum", of = "amount", window = "90d" }
    mean_30d = { dtype = "float64", default = 0.0, aggregate = "mean", of = "amount", window = "30d" }
    min_30d = { dtype = "float32", default = 0.0, aggregate = "min", of = "amount", window = "30d" }
    max_30d = { dtype = "float32", default = 0.0, aggregate = "max", of = "amount", window = "30d" }
    stores_30d = { dtype = "float32", default = 0.0, aggregate = "distinct", of = "store_id", window = "30d" }
    last_at = { dtype = "int64", default = 0, aggregate = "last", of = "timestamp" }
    last_currency = { dtype = "string", default = "", aggregate = "last", of = "currency" }
    last_lat = { dtype = "float64", default = 0.0, aggregate = "last", of = "lat" }
    last_lng = { dtype = "float64", default = 0.0, aggregate = "last", of = "lng" }
    last_amounts = { dtype = "float32[5]", default = -1.0, aggregate = "last_n", of = "amount" }
    since = { dtype = "float64", default = -1.0, aggregate = "since_last" }
    share_24h = { dtype = "float32", default = 0.5, aggregate = "ratio", of = ["count_24h", "count_30d"] }

    [views.store]
    entity = "store_id"
    events = "payment"
    ttl = "90d"
    [views.store.features]
    count_24h = { dtype = "float32", default = 0.0, aggregate = "count", window = "24h" }
    count_7d = { dtype = "float32", default = 0.0, aggregate = "count", window = "7d" }
    mean_30d = { dtype = "float32", default = 0.0, aggregate = "mean", of = "amount", window = "30d" }
    present_30d = { dtype = "float32", default = 0.5, aggregate = "mean", of = "customer_present", window = "30d" }
    cards_30d = { dtype = "float32", default = 0.0, aggregate = "distinct", of = "card_id", window = "30d" }
    lat = { dtype = "float64", default = 0.0, aggregate = "last", of = "lat" }
    lng = { dtype = "float64", default = 0.0, aggregate = "last", of = "lng" }

    [derived]
    amount_over_card_mean = { transform = "ratio", inputs = ["request.amount", "card.mean_30d"], default = 1.0 }
    card_gap = { transform = "difference", inputs = ["request.timestamp", "card.last_at"], default = 7776000.0 }
    travel_km = { transform = "haversine_km", inputs = ["card.last_lat", "card.last_lng", "store.lat", "store.lng"] }
    card_is_new = { transform = "is_missing", inputs = ["card.last_at"] }
    hour_of_day = { transform = "hour_of_day", inputs = ["request.timestamp"], default = 12.0 }
"#;

struct Payment {
    json: Json,
    line: String,
    card: String,
    store: String,
    at: u64,
}

fn payments() -> Vec<Payment> {
    let file = root(".cache/fraud/payments.jsonl");
    let opened = File::open(&file).unwrap_or_else(|error| {
        panic!(
            "{}: {error}: run scripts/fraud_events.sh (make test-deps does)",
            file.display()
        )
    });
    let count = match std::env::var("PAYMENTS").as_deref() {
        Ok("all") => usize::MAX,
        Ok(number) => number.parse().unwrap(),
        Err(_) => PAYMENTS,
    };
    let lines = BufReader::new(opened).lines().take(count);
    let payments = lines.map(|line| {
        let line = line.unwrap();
        let json: Json = serde_json::from_str(&line).unwrap();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Payment {
            card: text("card_id"),
            store: text("store_id"),
            at: json["timestamp"].as_u64().unwrap(),
            json,
            line,
        }
    });
    payments.collect()
}

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// The fraud decision of the repository, with features that are made from events.
fn fraud(folder: &TempDir) -> (Catalog, Sight) {
    let decisions = folder.path().join("decisions");
    fs::create_dir(&decisions).unwrap();
    for name in ["fraud.toml", "fraud.rules.toml"] {
        fs::copy(root("decisions").join(name), decisions.join(name)).unwrap();
    }
    fs::write(decisions.join("features.toml"), FEATURES).unwrap();
    let mut report = Report::default();
    let read = decision::read_folder(&decisions, &mut report).unwrap();
    assert_eq!(report.errors(), 0, "{}", report.render(false));
    let sight = Sight::of_decision(&read.catalog, &read.definitions["fraud"]).unwrap();
    assert!(sight.left_out.is_empty());
    (read.catalog, sight)
}

fn request(sight: &Sight, payment: &Payment) -> RequestRow {
    let text = |text: &str| Value::String(text.into());
    let entity = |name: &str| match name {
        "card_id" => text(&payment.card),
        _ => text(&payment.store),
    };
    let input = |name: &str| match &payment.json[name] {
        Json::Bool(value) => Value::Bool(*value),
        Json::String(value) => text(value),
        Json::Number(number) if name == "timestamp" => Value::Int64(number.as_i64().unwrap()),
        number => Value::Float64(number.as_f64().unwrap()),
    };
    let schema = &sight.schema;
    let inputs = schema.inputs.iter();
    RequestRow {
        entities: schema
            .entities
            .iter()
            .map(|field| entity(&field.name))
            .collect(),
        inputs: inputs.map(|field| Some(input(&field.name))).collect(),
    }
}

/// Decides on payments at their moments, and posts each before the next decision that could see it:
/// those of a batch share neither card nor store.
async fn online(
    catalog: &Catalog,
    sight: &Sight,
    folder: &TempDir,
    payments: &[Payment],
) -> Vec<FeatureRow> {
    let url = format!("embedded:{}", folder.path().join("store").display());
    let store = Store::open(&url).unwrap();
    let types = Types::new(Arc::new(catalog.clone()));
    let live = Live::start(types, store.clone());
    let kind = catalog.event_type("payment").unwrap();
    let typed = |payment: &Payment| Typed {
        kind: Arc::clone(kind),
        event: kind
            .parse_json(payment.line.as_bytes(), SystemTime::now())
            .unwrap(),
    };
    let mut seen = Vec::with_capacity(payments.len());
    let (mut batch, mut busy): (Vec<Typed>, HashSet<&str>) = (Vec::new(), HashSet::new());
    let mut duplicates = 0;
    for (i, payment) in payments.iter().enumerate() {
        let names = [payment.card.as_str(), payment.store.as_str()];
        if names.iter().any(|name| busy.contains(name)) {
            duplicates += live
                .post(std::mem::take(&mut batch))
                .await
                .unwrap()
                .duplicates;
            busy.clear();
        }
        let moment = UNIX_EPOCH + Duration::from_secs(payment.at);
        let until = Instant::now() + Duration::from_secs(60);
        let request = request(sight, payment);
        seen.push(sight.plan.assemble(&store, &request, moment, until).await);
        busy.extend(names);
        batch.push(typed(payment));
        if i % TWICE == 0 {
            batch.push(typed(payment));
        }
    }
    duplicates += live.post(batch).await.unwrap().duplicates;
    assert_eq!(duplicates as usize, payments.len().div_ceil(TWICE));
    seen
}

/// Writes the events as a file, and a spine of the same moments in the order of scrambled ids.
fn files(folder: &TempDir, payments: &[Payment]) -> Files {
    let path = |name: &str| folder.path().join(name);
    let mut events = File::create(path("payments.jsonl")).unwrap();
    for (i, payment) in payments.iter().enumerate() {
        writeln!(events, "{}", payment.line).unwrap();
        if i % TWICE == 0 {
            writeln!(events, "{}", payment.line).unwrap();
        }
    }
    let mut order: Vec<usize> = (0..payments.len()).collect();
    order.sort_by_key(|i| (i.wrapping_mul(0x9e37_79b9) & 0xffff, *i));
    let mut spine = File::create(path("spine.jsonl")).unwrap();
    for i in order {
        let mut row = payments[i].json.clone();
        row["place"] = i.into();
        writeln!(spine, "{row}").unwrap();
    }
    Files {
        events: vec![(path("payments.jsonl"), None)],
        spine: path("spine.jsonl"),
        time: "timestamp".into(),
        out: path("train.parquet"),
        rejects: None,
        status: true,
    }
}

#[tokio::test]
async fn the_training_set_is_what_the_online_store_answered() {
    let payments = payments();
    let folder = TempDir::new().unwrap();
    let (catalog, sight) = fraud(&folder);
    let online = online(&catalog, &sight, &folder, &payments).await;

    let files = files(&folder, &payments);
    let made = make(&Arc::new(catalog), &sight, &files).unwrap();
    assert_eq!(made.rows, payments.len() as u64);
    assert_eq!((made.rejected, made.late, made.elsewhere), (0, 0, 0));

    let mut reader = Reader::open(&files.out, None).unwrap();
    let (mut compared, mut differ) = (0, Vec::new());
    let mut statuses: HashMap<&str, u64> = HashMap::new();
    while let Some(row) = reader.read().unwrap() {
        let row = row.unwrap();
        let Some(Cell::Int(place)) = row.get("place") else {
            panic!("the spine's own column is not carried through")
        };
        let seen = &online[*place as usize];
        for wanted in &sight.columns {
            let status = seen.status(wanted.column).name();
            *statuses.entry(status).or_default() += 1;
            let there = cell(seen.value(wanted.column));
            let here = row.get(&wanted.name).unwrap();
            let said = row.get(&format!("{}.status", wanted.name)).unwrap();
            compared += 1;
            if bits(here) != bits(&there) || *said != Cell::Text(status.to_owned()) {
                differ.push(format!(
                    "payment {place}, {}: {here:?} ({said:?}) in the training set, {there:?} ({status}) online",
                    wanted.name
                ));
            }
        }
    }
    println!(
        "{} payments, {compared} values compared, {} differ; {statuses:?}",
        payments.len(),
        differ.len()
    );
    assert_eq!(compared, payments.len() * sight.columns.len());
    assert!(sight.columns.len() >= 28, "{}", sight.columns.len());
    assert!(statuses["present"] > 0 && statuses["missing"] > 0);
    differ.truncate(10);
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// A float by its bits, so that a sign of zero counts too.
fn bits(cell: &Cell) -> String {
    match cell {
        Cell::Float(value) => format!("{:x}", value.to_bits()),
        Cell::List(cells) => cells.iter().map(|cell| bits(cell) + ",").collect(),
        other => format!("{other:?}"),
    }
}
