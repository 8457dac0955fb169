//! What is seen of an embedded store, and what is asked wrongly.

use std::{path::Path, time::UNIX_EPOCH};

use features::load::parse_line;
use serde_json::{Value as Json, json};

use super::*;
use crate::{decision, diagnostic::Report};

const FEATURES: &str = r#"
[entities]
card_id = "string"
[views.card]
entity = "card_id"
ttl = "1h"
[views.card.features]
count = { dtype = "float32", default = 0.0 }
last = { dtype = "int64[2]", default = 0 }
name = { dtype = "string", default = "?" }
[derived]
amount_log = { transform = "log1p", inputs = ["request.amount"] }
"#;
const DECISION: &str = r#"
name = "fraud"
budget = "50ms"
[entities]
card_id = "string"
[request]
amount = "float"
present = "bool"
timestamp = { type = "int", optional = true, default = 7 }
[features]
as_of = "request.timestamp"
[[tiers]]
name = "rules"
kind = "rules"
table = "fraud.rules.toml"
[policy]
thresholds = [{ action = "approve" }]
"#;
const RULES: &str = r#"
[[rules]]
reason = "seen"
when = { "card.last" = { missing = true }, "card.name" = { eq = "x" }, "card.count" = { gt = 1 }, amount_log = { gt = 1 } }
scores = { fraud = 1.0 }
[[rules]]
reason = "otherwise"
scores = { fraud = 0.0 }
"#;
const ROW: &str = r#"{"view":"card","entity":{"card_id":"4022"},"event_time":"2019-08-31T10:00:00Z","values":{"count":0.1,"last":[5]}}"#;

struct Bench {
    definition: Definition,
    plan: Plan,
    store: Store,
    _folder: tempfile::TempDir,
}

fn config(folder: &Path) -> crate::config::Config {
    crate::config::Config {
        decisions: folder.join("decisions"),
        ..Default::default()
    }
}

async fn bench(decision: &str) -> (Bench, String) {
    let folder = tempfile::tempdir().unwrap();
    let decisions = folder.path().join("decisions");
    std::fs::create_dir(&decisions).unwrap();
    for (name, text) in [
        ("features.toml", FEATURES),
        ("fraud.toml", decision),
        ("fraud.rules.toml", RULES),
    ] {
        std::fs::write(decisions.join(name), text).unwrap();
    }
    let mut report = Report::default();
    let config = config(folder.path());
    let (definition, _, plan) = super::plan(&config, "fraud", &mut report)
        .unwrap_or_else(|error| panic!("{error}: {}", report.render(false)));
    let store = Store::open(&format!(
        "embedded:{}",
        folder.path().join("store").display()
    ));
    let store = store.unwrap();
    let catalog = decision::read_folder(&config.decisions, &mut report)
        .unwrap()
        .catalog;
    let row = parse_line(&catalog, ROW).unwrap();
    store.put(&catalog, &[row]).await.unwrap();
    let bench = Bench {
        definition,
        plan,
        store,
        _folder: folder,
    };
    (bench, report.render(false))
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

impl Bench {
    async fn see(
        &self,
        entities: &[(&str, &str)],
        inputs: &[(&str, &str)],
    ) -> Result<Seen<'_>, String> {
        let asked = Asked {
            entities: pairs(entities),
            inputs: pairs(inputs),
            at: None,
        };
        see(&self.definition, &self.plan, &self.store, &asked).await
    }
}

fn of<'j>(json: &'j Json, feature: &str) -> &'j Json {
    let mut features = json["features"].as_array().unwrap().iter();
    features
        .find(|shown| shown["feature"] == feature)
        .unwrap_or_else(|| panic!("{feature}: {json}"))
}

#[tokio::test]
async fn a_decision_sees_values_with_their_status_age_and_source() {
    let (bench, warnings) = bench(DECISION).await;
    assert_eq!(warnings, "");
    // Half an hour and a second after the row's event.
    let inputs = [("timestamp", "1567247401"), ("amount", "0")];
    let seen = bench.see(&[("card_id", "4022")], &inputs).await.unwrap();
    assert!(seen.is_answered());
    let json = seen.json();
    assert_eq!(json["decision"], "fraud");
    assert_eq!(json["at"], "2019-08-31T10:30:01Z");
    assert_eq!(
        (&json["store"], &json["store_outcome"]),
        (&json!("embedded"), &json!("answered"))
    );
    assert_eq!(
        *of(&json, "card.last"),
        json!({"feature": "card.last", "value": [5, 0], "status": "present", "source": "view",
            "view": "card", "event_time": "2019-08-31T10:00:00Z", "age_s": 1801.0})
    );
    assert_eq!(of(&json, "card.count")["value"].to_string(), "0.1");
    assert_eq!(of(&json, "card.name")["status"], "null");
    assert_eq!(
        *of(&json, "amount_log"),
        json!({"feature": "amount_log", "value": 0.0, "status": "present", "source": "derived"})
    );

    let table = seen.table();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "fraud at 2019-08-31T10:30:01Z");
    assert_eq!(
        lines[1],
        "FEATURE         VALUE  STATUS   EVENT TIME            AGE     SOURCE"
    );
    let line = "card.last       [5,0]  present  2019-08-31T10:00:00Z  30m 1s  view card (embedded)";
    assert!(lines.contains(&line), "{table}");
    let line = "request.amount  0.0    present  -                     -       request";
    assert!(lines.contains(&line), "{table}");
}

#[tokio::test]
async fn what_nobody_knows_is_shown_as_missing() {
    let (bench, _) = bench(DECISION).await;
    let seen = bench.see(&[("card_id", "nobody")], &[]).await.unwrap();
    let json = seen.json();
    let now = humantime::parse_rfc3339(json["at"].as_str().unwrap()).unwrap();
    assert!(
        now > UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        "now: {json}"
    );
    assert_eq!(of(&json, "card.name")["value"], "?");
    for missing in ["card.name", "request.amount", "amount_log"] {
        let shown = of(&json, missing);
        assert_eq!(shown["status"], "missing");
        assert_eq!(shown.get("event_time"), None);
    }
    let seen = bench.see(&[("card_id", "4022")], &[]).await.unwrap();
    assert_eq!(of(&seen.json(), "card.count")["status"], "stale");
}

#[tokio::test]
async fn a_model_that_cannot_be_read_shows_every_feature_and_says_why() {
    let tier = "[[tiers]]\nname = \"primary\"\nkind = \"triton\"\nmodel = \"nowhere\"\n[[tiers]]\nname = \"rules\"";
    let decision = DECISION.replacen("[[tiers]]\nname = \"rules\"", tier, 1);
    let (bench, warnings) = bench(&decision).await;
    assert!(
        warnings.contains("there is no model `nowhere`"),
        "{warnings}"
    );
    assert!(warnings.contains("so every feature is shown"), "{warnings}");
    let seen = bench.see(&[("card_id", "4022")], &[]).await.unwrap();
    let json = seen.json();
    assert_eq!(
        json["features"].as_array().unwrap().len(),
        3 + 3 + 1,
        "{json}"
    );
    assert_eq!(of(&json, "request.present")["status"], "missing");
}

#[tokio::test]
async fn what_does_not_fit_the_decision_is_said_all_at_once() {
    let (bench, _) = bench(DECISION).await;
    let inputs = [("amount", "much"), ("timestmap", "1")];
    let said = bench.see(&[("store_id", "1")], &inputs).await.unwrap_err();
    for words in [
        "`entities.card_id` is missing",
        "`inputs.amount` is text, expected a number",
        "`entities.store_id`",
        "did you mean `timestamp`?",
    ] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

#[test]
fn a_decision_that_is_not_there_is_an_error_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let decisions = folder.path().join("decisions");
    std::fs::create_dir(&decisions).unwrap();
    let mut report = Report::default();
    let failed = super::plan(&config(folder.path()), "fraud", &mut report).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "the decisions and features cannot be read"
    );
    std::fs::write(decisions.join("features.toml"), FEATURES).unwrap();
    std::fs::write(decisions.join("fraud.toml"), DECISION).unwrap();
    std::fs::write(decisions.join("fraud.rules.toml"), RULES).unwrap();
    let failed = super::plan(&config(folder.path()), "frauds", &mut Report::default());
    assert_eq!(
        failed.unwrap_err().to_string(),
        "there is no decision `frauds` (did you mean `fraud`?)"
    );
}

#[test]
fn the_same_question_to_a_gateway_is_a_url_that_a_shell_takes() {
    let asked = Asked {
        entities: pairs(&[("card_id", "a b&'é")]),
        inputs: pairs(&[("amount", "1.5")]),
        at: Some(UNIX_EPOCH),
    };
    assert_eq!(
        url("0.0.0.0:9090".parse().unwrap(), "fraud", &asked),
        "http://127.0.0.1:9090/admin/features?decision=fraud&card_id=a%20b%26%27%C3%A9&request.amount=1.5&at=1970-01-01T00:00:00Z"
    );
    let asked = Asked::default();
    assert_eq!(
        url("[fe80::1]:1".parse().unwrap(), "x", &asked),
        "http://[fe80::1]:1/admin/features?decision=x"
    );
}
