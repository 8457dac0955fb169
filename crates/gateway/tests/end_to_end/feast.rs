//! A Feast repository that changes under a gateway: `feast apply` is followed without a restart, and
//! what cannot be used changes nothing.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use testkit::Redis;

use crate::support::{
    ask::turn,
    eventually, files,
    gateway::{Gateway, Setup},
};

const PATH: &str = "/admin/features?decision=fraud&card_id=15566&store_id=2166";
const DAY_S: u64 = 86_400;
const HOUR_S: u64 = 3_600;
/// Feast's numbers of types.
const STRING: u64 = 2;
const INT64: u64 = 4;
const FLOAT: u64 = 6;

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A field of a protobuf message that is a number.
fn number(tag: u64, number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(tag << 3, &mut out);
    varint(number, &mut out);
    out
}

/// A field of a protobuf message that is a text, or a message of these fields.
fn field(tag: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = Vec::new();
    varint(tag << 3 | 2, &mut out);
    varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

/// As `feast apply` leaves it: project `shop`, with the view `card_stats`.
fn registry(ttl_s: u64, features: &[(&str, u64)]) -> Vec<u8> {
    let column = |(name, kind): (&str, u64)| [field(1, name), number(2, kind)].concat();
    let features = features.iter().map(|feature| field(4, column(*feature)));
    let spec = [
        field(1, "card_stats"),
        field(2, "shop"),
        features.collect::<Vec<_>>().concat(),
        field(6, number(1, ttl_s)),
        number(8, 1),
        field(12, column(("card_id", STRING))),
    ]
    .concat();
    [
        field(3, "1"),
        field(6, field(1, spec)),
        field(17, field(1, field(1, "shop"))),
    ]
    .concat()
}

/// What Feast pushes: `card_stats.count` is 3, and was two hours ago.
fn push(redis: &Redis) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let text = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let key = [
        &1_u32.to_le_bytes()[..],
        &2_u32.to_le_bytes(),
        &text("card_id"),
        &2_u32.to_le_bytes(),
        &text("15566"),
        b"shop",
    ]
    .concat();
    // murmur3 of `card_stats:count`.
    let count = [0xcd, 0x39, 0x6c, 0xc8];
    let words = [
        &key[..],
        &count,
        &number(4, 3),
        b"_ts:card_stats",
        &number(1, now.as_secs() - 2 * HOUR_S),
    ];
    let quoted = words.map(|word| {
        let escaped: String = word.iter().map(|byte| format!("\\{byte:03}")).collect();
        format!("'{escaped}'")
    });
    let script = format!("return redis.call('HSET', {})", quoted.join(", "));
    assert_eq!(redis.cli(&["EVAL", &script, "0"]).trim(), "2");
}

fn apply(repository: &Path, registry: &[u8]) {
    fs::write(repository.join("registry.db"), registry).unwrap();
}

fn store(repository: &Path, port: u16) {
    let yaml = format!(
        "project: shop\nregistry: registry.db\nonline_store: {{type: redis, connection_string: '127.0.0.1:{port}'}}\n"
    );
    fs::write(repository.join("feature_store.yaml"), yaml).unwrap();
}

/// The feature's value and its status, once the store has answered.
async fn seen(gateway: &Gateway, feature: &str) -> Option<(Value, String)> {
    let seen = gateway.admin(PATH).await.json();
    let features = seen["features"].as_array().unwrap();
    let shown = features.iter().find(|shown| shown["feature"] == feature)?;
    let status = shown["status"].as_str().unwrap().to_owned();
    (seen["store_outcome"] == "answered").then(|| (shown["value"].clone(), status))
}

async fn until_seen(gateway: &Gateway, feature: &str, value: f64, status: &str) {
    let what = format!("{feature} is {value} and {status}");
    eventually(&what, async || {
        let (found, of) = seen(gateway, feature).await?;
        (found.as_f64() == Some(value) && of == status).then_some(())
    })
    .await;
}

async fn until_refused(gateway: &Gateway, why: &str) {
    eventually(why, async || {
        let decisions = gateway.admin("/admin/decisions").await.json();
        let refused = decisions["feast"]["refused"].as_str()?;
        refused.contains(why).then_some(())
    })
    .await;
}

/// The secondary tier, as the admin port shows it.
async fn secondary(gateway: &Gateway) -> Value {
    gateway.admin("/admin/decisions").await.json()["decisions"][0]["tiers"][1].clone()
}

async fn until_reloaded(gateway: &Gateway, outcome: &str, times: u32) {
    let name = format!("gavel_feast_reloads_total{{outcome=\"{outcome}\"}} ");
    eventually(&name, async || {
        let page = gateway.admin("/metrics").await;
        let page = String::from_utf8_lossy(&page.body).into_owned();
        let count = page.lines().find_map(|line| line.strip_prefix(&name))?;
        (count.parse::<u32>().unwrap() >= times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feast_apply_is_followed_and_what_does_not_fit_changes_nothing() {
    let _turn = turn().lock().await;
    let redis = Redis::start();
    push(&redis);
    let setup = Setup::new()
        .decisions(|folder| {
            let features = folder.join("features.toml");
            let feast = "\n[feast]\nfeature_store = \"../feature_repo/feature_store.yaml\"\nrefresh = \"1s\"\n";
            let text = fs::read_to_string(&features).unwrap() + feast;
            fs::write(features, text).unwrap();
            let condition = "\"card.last_txn_at\" = { missing = true }";
            let of_feast = "\"card_stats.count\" = { gte = 3 }";
            files::edit(&folder.join("fraud.rules.toml"), condition, of_feast);
        })
        .models(|models| {
            let config = models.join("fraud_secondary/config.pbtxt");
            files::edit(&config, "card.txn_count_30d", "card_stats.recent");
        });
    let repository = setup.folder().join("feature_repo");
    fs::create_dir(&repository).unwrap();
    store(&repository, redis.port());
    let first = registry(DAY_S, &[("count", INT64)]);
    apply(&repository, &first);
    let mut gateway = setup.start().await;
    until_seen(&gateway, "card_stats.count", 3.0, "present").await;
    let tier = secondary(&gateway).await;
    assert_eq!(tier["ready"], false, "{tier}");
    let why = tier["why"].as_str().unwrap();
    assert!(why.contains("card_stats.recent"), "{why}");

    // Feast is writing its file.
    let both = [("count", INT64), ("recent", FLOAT)];
    let second = registry(HOUR_S, &both);
    apply(&repository, &second[..second.len() / 2]);
    until_refused(&gateway, "registry.db").await;
    until_reloaded(&gateway, "failed", 3).await;
    until_seen(&gateway, "card_stats.count", 3.0, "present").await;
    assert_eq!(gateway.log().matches("stay in force").count(), 1);

    // It has written: the ttl is shorter, and the model has what it waited for.
    apply(&repository, &second);
    until_seen(&gateway, "card_stats.count", 3.0, "stale").await;
    until_seen(&gateway, "card_stats.recent", 0.0, "missing").await;
    let decisions = gateway.admin("/admin/decisions").await.json();
    assert!(decisions["feast"]["refused"].is_null(), "{decisions}");
    assert_eq!(secondary(&gateway).await["ready"], true);
    let decision = gateway.decide(&files::payment()).await;
    assert_eq!(decision["tier"], "secondary", "{decision}");
    until_reloaded(&gateway, "changed", 1).await;

    // What the tier reads is gone; then what a rule reads, and then it is of another type.
    apply(&repository, &first);
    until_refused(&gateway, "the tier `secondary` of the decision `fraud`").await;
    apply(&repository, &registry(HOUR_S, &both[1..]));
    until_refused(&gateway, "the decision `fraud` does not fit it: ").await;
    apply(
        &repository,
        &registry(HOUR_S, &[("count", STRING), both[1]]),
    );
    until_refused(&gateway, "is string, but it is compared with").await;
    until_seen(&gateway, "card_stats.count", 3.0, "stale").await;
    let decision = gateway.decide(&files::payment()).await;
    assert_eq!(decision["tier"], "secondary", "{decision}");

    // Another Redis is for the next start.
    apply(&repository, &second);
    store(&repository, 1);
    until_refused(&gateway, "restart Gavel to follow it").await;
    store(&repository, redis.port());
    until_reloaded(&gateway, "unchanged", 1).await;
    until_seen(&gateway, "card_stats.count", 3.0, "stale").await;
    gateway.assert_well().await;
}
