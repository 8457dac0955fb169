//! What a decision sees of its features, on the command line and on the admin port; and lists,
//! nulls and moments on their way from a file to an answer.

use std::fs;

use serde_json::{Value, json};
use testkit::Redis;

use crate::support::{ask::turn, eventually, files, gateway::Setup};

const AT: &str = "2019-09-01T10:00:00Z";
const GET: [&str; 9] = [
    "features",
    "get",
    "--decision=fraud",
    "--entity=card_id=12374",
    "--entity=store_id=3705",
    "--input=amount=129.9",
    "--input=provider=VISA 16 digit",
    "--at",
    AT,
];
const PATH: &str = "/admin/features?decision=fraud&card_id=12374&store_id=3705\
    &request.amount=129.9&request.provider=VISA%2016%20digit&at=2019-09-01T10:00:00Z";
/// A day before [`AT`], with a null and with a feature that it does not say.
const CARD: &str = r#"{"view":"card","entity":{"card_id":"12374"},"event_time":"2019-08-31T10:00:00Z","values":{"txn_count_24h":3,"txn_count_30d":4,"txn_amount_mean_30d":null}}"#;

/// With views of rows that are loaded.
fn packed() -> Setup {
    Setup::new().decisions(files::pack_views)
}

/// With these rows in its store.
async fn load(setup: &Setup, rows: &str) {
    let file = setup.folder().join("rows.jsonl");
    fs::write(&file, rows).unwrap();
    setup.load(&file).await;
}

async fn get_json(setup: &Setup) -> Value {
    let got = setup.run(&[&GET[..], &["--json"]].concat()).await;
    assert!(got.status.success(), "{}", got.said);
    serde_json::from_str(&got.said).unwrap()
}

fn features(seen: &Value) -> &Vec<Value> {
    seen["features"].as_array().unwrap()
}

fn of<'s>(seen: &'s Value, feature: &str) -> &'s Value {
    let mut all = features(seen).iter();
    let found = all.find(|shown| shown["feature"] == feature);
    assert!(found.is_some(), "{feature}: {seen}");
    found.unwrap()
}

/// A plan of a gateway without Triton lacks what only the primary reads; what it has is the same.
fn assert_is_part(of_gateway: &Value, offline: &Value) {
    assert!(features(of_gateway).len() > 20, "{of_gateway}");
    for shown in features(of_gateway) {
        assert_eq!(shown, of(offline, shown["feature"].as_str().unwrap()));
    }
    for key in ["decision", "at", "store", "store_outcome"] {
        assert_eq!(of_gateway[key], offline[key], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_decision_sees_is_shown_from_the_files_and_from_the_gateway() {
    let _turn = turn().lock().await;
    let setup = packed();
    load(&setup, CARD).await;
    let offline = get_json(&setup).await;
    assert_eq!(
        *of(&offline, "card.txn_count_24h"),
        json!({"feature": "card.txn_count_24h", "value": 3.0, "status": "present", "source": "view",
            "view": "card", "event_time": "2019-08-31T10:00:00Z", "age_s": 86400.0})
    );
    assert_eq!(of(&offline, "card.txn_amount_mean_30d")["status"], "null");
    assert_eq!(of(&offline, "amount_over_card_mean")["status"], "missing");
    assert_eq!(of(&offline, "request.amount")["value"], 129.9);
    assert_eq!(of(&offline, "request.timestamp")["status"], "missing");
    assert_eq!(
        (&offline["store"], &offline["at"]),
        (&json!("embedded"), &json!(AT))
    );

    let table = setup.run(&GET).await;
    let line = "card.txn_count_24h";
    let line = table
        .said
        .lines()
        .find(|shown| shown.starts_with(line))
        .unwrap();
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let expected = "3.0 present 2019-08-31T10:00:00Z 1day view card (embedded)";
    assert_eq!(words.join(" "), expected, "{}", table.said);

    let gateway = setup.start().await;
    assert_is_part(&gateway.admin(PATH).await.json(), &offline);
    // The store is the gateway's: whoever asks it directly is told whom to ask.
    let refused = gateway.setup().run(&GET).await;
    assert_eq!(refused.status.code(), Some(1));
    let url = refused.said.split('\'').nth(1).unwrap();
    assert!(
        refused.said.contains("ask that one: curl '"),
        "{}",
        refused.said
    );
    let path = url.strip_prefix(&gateway.admin_url()).unwrap();
    assert_is_part(&gateway.admin(path).await.json(), &offline);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_both_may_ask_at_once() {
    let _turn = turn().lock().await;
    let mut redis = Redis::start();
    let setup = packed().flag("store", redis.url());
    load(&setup, CARD).await;
    let gateway = setup.start().await;
    let seen = eventually("the store answers", async || {
        let seen = gateway.admin(PATH).await.json();
        (seen["store_outcome"] == "answered").then_some(seen)
    })
    .await;
    let offline = get_json(gateway.setup()).await;
    assert_eq!(offline["store"], "redis");
    assert_eq!(of(&offline, "card.txn_count_24h")["age_s"], 86400.0);
    assert_is_part(&seen, &offline);

    redis.kill();
    let down = gateway.setup().run(&GET).await;
    assert_eq!(down.status.code(), Some(1));
    assert!(down.said.contains("can't be reached"), "{}", down.said);
    eventually("the gateway shows that the store is gone", async || {
        let seen = gateway.admin(PATH).await.json();
        (seen["store_outcome"] == "unavailable").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_answered_in_words() {
    let _turn = turn().lock().await;
    let gateway = Setup::new().start().await;
    for (query, status, words) in [
        ("", 400, "`decision` is missing"),
        (
            "?decision=farud&card_id=1",
            404,
            "there is no decision `farud`; decisions here: ",
        ),
        (
            "?decision=fraud&card_id=1",
            400,
            "`entities.store_id` is missing, expected text",
        ),
        (
            "?decision=fraud&card_id=&store_id=1",
            400,
            "`entities.card_id` is empty",
        ),
        (
            "?decision=fraud&card_id=1&store_id=1&crad=1",
            400,
            "`entities.crad`",
        ),
        (
            "?decision=fraud&card_id=1&store_id=1&request.amount=x",
            400,
            "`inputs.amount` is text, expected a number",
        ),
        (
            "?decision=fraud&card_id=1&store_id=1&at=noon",
            400,
            "`at` is \"noon\"",
        ),
    ] {
        let answer = gateway.admin(&format!("/admin/features{query}")).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(answer.text().contains(words), "{query}: {answer:?}");
        let example = answer
            .text()
            .contains("as in /admin/features?decision=fraud&card_id=4022");
        assert_eq!(example, status == 400, "{query}: {answer:?}");
    }
    let setup = gateway.stop().await;
    for (words, said) in [
        (
            &["--decision=frauds"][..],
            "there is no decision `frauds` (did you mean `fraud`?)",
        ),
        (
            &["--decision=fraud", "--entity=card_id"],
            "expected a name and a value, such as card_id=4022",
        ),
        (
            &["--decision=fraud", "--at=noon"],
            "expected a time such as 2019-08-31T10:00:00Z",
        ),
        (
            &["--decision=fraud", "--entity=card_id=1"],
            "`entities.store_id` is missing",
        ),
    ] {
        let outcome = setup.run(&[&["features", "get"], words].concat()).await;
        assert!(
            !outcome.status.success() && outcome.said.contains(said),
            "{}",
            outcome.said
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_is_told_and_counted_apart_from_what_is_missing() {
    let _turn = turn().lock().await;
    let setup = packed();
    load(&setup, CARD).await;
    let gateway = setup.start().await;
    let before = gateway.metrics().await;
    let answer = gateway.decide(&files::payment()).await;
    let told = |list: &str, feature: &str| {
        let names = answer["features"][list].as_array().unwrap();
        names.iter().any(|name| name == feature)
    };
    assert!(told("null", "card.txn_amount_mean_30d"), "{answer}");
    assert!(!told("missing", "card.txn_amount_mean_30d"), "{answer}");
    assert!(told("missing", "amount_over_card_mean"), "{answer}");
    let after = gateway.metrics().await;
    let feature = [("feature", "card.txn_amount_mean_30d")];
    let grown = |name: &str| after.sum(name, &feature) - before.sum(name, &feature);
    assert_eq!(grown("gavel_features_null_total"), 1.0);
    assert_eq!(grown("gavel_features_missing_total"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_says_its_moment_finds_its_rows_fresh() {
    let _turn = turn().lock().await;
    // The payment's timestamp is 7 August 2019.
    let card = CARD.replace("2019-08-31", "2019-08-01");
    let mut stale = Vec::new();
    for as_of in [true, false] {
        let setup = Setup::new().decisions(|folder| {
            files::pack_views(folder);
            if !as_of {
                let file = folder.join("fraud.toml");
                files::edit(&file, "as_of = \"request.timestamp\"", "");
            }
        });
        load(&setup, &card).await;
        let gateway = setup.start().await;
        let answer = gateway.decide(&files::payment()).await;
        let names = answer["features"]["stale"].as_array().unwrap();
        stale.push(names.iter().any(|name| name == "card.txn_count_24h"));
        gateway.stop().await;
    }
    assert_eq!(stale, [false, true]);
}

/// The same numbers, as two features and as one list, are the same to a model.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_fills_its_columns_of_a_model() {
    let _turn = turn().lock().await;
    let setup = packed();
    load(&setup, CARD).await;
    let gateway = setup.start().await;
    let by_names = gateway.decide(&files::payment()).await;
    gateway.stop().await;

    let setup = Setup::new()
        .decisions(|folder| {
            files::pack_views(folder);
            let view = "[views.recent]\nentity = \"card_id\"\n[views.recent.features]\ncounts = { dtype = \"float32[2]\", default = 0.0 }\n\n[derived]\n";
            files::edit(&folder.join("features.toml"), "[derived]\n", view);
        })
        .models(|folder| {
            let file = folder.join("fraud_secondary/config.pbtxt");
            files::edit(&file, "card.txn_count_24h, card.txn_count_30d", "recent.counts");
        });
    let counts = r#"{"view":"recent","entity":{"card_id":"12374"},"values":{"counts":[3,4,5]}}"#;
    load(&setup, &format!("{CARD}\n{counts}")).await;
    let gateway = setup.start().await;
    let by_list = gateway.decide(&files::payment()).await;
    assert_eq!(by_list["tier"], "secondary", "{by_list}");
    assert_eq!(by_list["scores"], by_names["scores"]);

    // A width that does not fit is found before anything is served.
    let setup = gateway.stop().await.decisions(|folder| {
        files::pack_views(folder);
        let view = "[views.recent]\nentity = \"card_id\"\n[views.recent.features]\ncounts = { dtype = \"float32[3]\", default = 0.0 }\n\n[derived]\n";
        files::edit(&folder.join("features.toml"), "[derived]\n", view);
    });
    let checked = setup.run(&["check"]).await;
    assert!(!checked.status.success());
    let said = "has the shape [17], but the features that are named for it fill 18 elements";
    assert!(checked.said.contains(said), "{}", checked.said);
}
