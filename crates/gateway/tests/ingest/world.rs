//! Definitions with views from events, payments to fill them, and what the store then says.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use features::{Catalog, Store, Value, windows::evaluate};
use serde_json::json;
use tokio::{process::Child, time::timeout};

use crate::support::gateway::Setup;

/// Longer than an ingestion takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(180);
pub(crate) const CARDS: usize = 60;
const STORES: usize = 7;

/// Lateness is as long as the payments span, so that their order does not matter.
const FEATURES: &str = r#"
[entities]
card_id = "string"
store_id = "string"

[events.payment]
id = "id"
time = "timestamp"
lateness = "1h"
[events.payment.fields]
card_id = "string"
store_id = "string"
amount = "float64"

[events.login]
time = "at"
time_unit = "rfc3339"
[events.login.fields]
card_id = "string"

[views.velocity]
entity = "card_id"
events = "payment"
ttl = "90d"
[views.velocity.features]
count_10m = { dtype = "float32", default = 0.0, aggregate = "count", window = "10m" }
count_7d = { dtype = "float32", default = 0.0, aggregate = "count", window = "7d" }
sum_7d = { dtype = "float64", default = 0.0, aggregate = "sum", of = "amount", window = "7d" }
max_7d = { dtype = "float64", default = 0.0, aggregate = "max", of = "amount", window = "7d" }
stores_7d = { dtype = "float32", default = 0.0, aggregate = "distinct", of = "store_id", window = "7d" }
last_amount = { dtype = "float64", default = 0.0, aggregate = "last", of = "amount" }

[views.shop]
entity = "store_id"
events = "payment"
ttl = "90d"
[views.shop.features]
count_7d = { dtype = "float32", default = 0.0, aggregate = "count", window = "7d" }
sum_7d = { dtype = "float64", default = 0.0, aggregate = "sum", of = "amount", window = "7d" }

[views.logins]
entity = "card_id"
events = "login"
ttl = "90d"
[views.logins.features]
count_7d = { dtype = "float32", default = 0.0, aggregate = "count", window = "7d" }
"#;

/// Says by its action how often a card was used.
const DECISION: &str = r#"
name = "velocity"
budget = "500ms"
[entities]
card_id = "string"
[request]
amount = "float"
[features]
slice = "400ms"
[[tiers]]
name = "rules"
kind = "rules"
table = "velocity.rules.toml"
[policy]
thresholds = [ { below = 0.5, action = "few" }, { action = "many" } ]
"#;
const RULES: &str = r#"
[[rules]]
reason = "often"
when = { "velocity.count_7d" = { gte = 3.0 } }
scores = { risk = 0.9 }
[[rules]]
reason = "much"
when = { "velocity.sum_7d" = { gte = 1000000.0 } }
scores = { risk = 0.8 }
[[rules]]
reason = "else"
scores = { risk = 0.1 }
"#;

/// A gateway's setup with these definitions.
pub(crate) fn setup() -> Setup {
    let setup = Setup::new().without("onnxruntime");
    let folder = setup.folder().join("definitions");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("features.toml"), FEATURES).unwrap();
    fs::write(folder.join("velocity.toml"), DECISION).unwrap();
    fs::write(folder.join("velocity.rules.toml"), RULES).unwrap();
    setup.flag("decisions", folder).flag("log-level", "info")
}

pub(crate) fn catalog() -> Catalog {
    Catalog::parse(FEATURES).unwrap()
}

/// Seconds since 1970, a quarter of an hour ago.
pub(crate) fn start() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now.as_secs() - 900) as f64
}

/// A payment; amounts are whole, so that sums do not depend on their order.
pub(crate) fn payment(number: usize, start: f64) -> serde_json::Value {
    let mixed = number.wrapping_mul(2_654_435_761) >> 7;
    json!({
        "type": "payment",
        "id": format!("p{number}"),
        // Within 13 minutes, out of order.
        "timestamp": start + ((mixed % 780_000) as f64) / 1e3,
        "card_id": format!("c{}", mixed % CARDS),
        "store_id": format!("s{}", number % STORES),
        "amount": mixed % 500,
    })
}

pub(crate) fn lines(numbers: std::ops::Range<usize>, start: f64) -> String {
    let lines = numbers.map(|number| format!("{}\n", payment(number, start)));
    lines.collect()
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

pub(crate) type Values = BTreeMap<String, Vec<Option<Value>>>;

/// What the store says of every card and store at one moment. An embedded store must be free.
pub(crate) async fn values(url: &str, start: f64) -> Values {
    let (catalog, store) = (catalog(), Store::open(url).unwrap());
    let moment = (start * 1e6) as i64 + 840_000_000;
    let mut values = Values::new();
    for (view, prefix, count) in [("velocity", "c", CARDS), ("shop", "s", STORES)] {
        let view = catalog.window_view(view).unwrap();
        for number in 0..count {
            let name = format!("{prefix}{number}");
            let entity = [Value::String(name.as_str().into())];
            let key = catalog.state_key(view.name(), &entity).unwrap();
            let stored = store.read_states(&[key]).await.unwrap().remove(0);
            let mut row = Vec::new();
            if let Some(bytes) = stored {
                evaluate(&view, &bytes, moment, |_, value| row.push(value)).unwrap();
            }
            values.insert(format!("{}/{name}", view.name()), row);
        }
    }
    values
}

/// Payments in all, by what the store says.
pub(crate) fn total(values: &Values) -> u64 {
    let counts = values.iter().filter(|(name, _)| name.starts_with("shop/"));
    let count = |row: &Vec<Option<Value>>| row.first()?.as_ref()?.as_f64();
    counts
        .map(|(_, row)| count(row).unwrap_or(0.0) as u64)
        .sum()
}

/// What an undisturbed run makes of a file of payments, in a store of its own.
pub(crate) async fn undisturbed(text: &str, start: f64) -> Values {
    let setup = setup();
    let file = write(setup.folder(), "undisturbed.jsonl", text);
    let source = format!("{}=payment", file.display());
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    values(&store_url(&setup), start).await
}

/// The embedded store of a setup.
pub(crate) fn store_url(setup: &Setup) -> String {
    format!("embedded:{}", setup.folder().join("features").display())
}

/// Waits for a process to end by itself, well.
pub(crate) async fn ended_well(mut child: Child, setup: &Setup) {
    match timeout(LONG, child.wait()).await {
        Ok(status) => {
            let status = status.unwrap();
            assert!(status.success(), "{status}:\n{}", setup.said());
        }
        Err(_) => panic!("it went on running:\n{}", setup.said()),
    }
}

/// Asks a process to end: SIGTERM.
pub(crate) fn terminate(child: &Child) {
    let pid = child.id().unwrap().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(kill.unwrap().success());
}
