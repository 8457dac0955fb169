//! What is kept, what is not, and what a full queue and a bad disk do.

use std::{path::Path, sync::Arc};

use decision_log::{Schema, Value};
use features::{Catalog, EntityField, Plan, RequestRow, RequestSchema, Store};
use tokio::time::Instant;

use super::*;
use crate::{
    answer::{FeatureHealth, Scores, Timings},
    decision_log::read::{Filter, read},
    tiers::{SkipReason, Skipped},
};

const FEATURES: &str = "
    entities = { card_id = 'string' }
    views.card = { entity = 'card_id', features = { a = { dtype = 'float32', default = 0.5 } } }
";

fn answer(id: &str, degraded: bool) -> Answer {
    let skipped = Skipped {
        tier: "primary".into(),
        reason: SkipReason::Timeout,
    };
    Answer {
        id: id.into(),
        decision: "d".into(),
        action: "approve".into(),
        scores: Scores {
            names: ["s".into()].into(),
            values: vec![0.1 + 0.2],
        },
        tier: "rules".into(),
        model: "d.rules".into(),
        model_version: "abc".into(),
        arm: "default",
        degraded,
        skipped: degraded.then_some(skipped).into_iter().collect(),
        features: FeatureHealth::default(),
        timings_us: Timings {
            total: Duration::from_millis(3),
            tiers: vec![("rules".into(), Duration::from_micros(2))],
            ..Timings::default()
        },
        reasons: vec!["because".into()],
    }
}

async fn basis(card: &str) -> Basis {
    let catalog = Catalog::parse(FEATURES).unwrap();
    let schema = RequestSchema {
        entities: vec![EntityField {
            name: "card_id".into(),
            dtype: features::Dtype::String,
        }],
        inputs: vec![],
    };
    let plan = Plan::compile(&catalog, &schema, &["card.a"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
    let request = RequestRow {
        entities: vec![features::Value::String(card.into())],
        inputs: vec![],
    };
    let now = SystemTime::now();
    let field = |name: &str, dtype: &str| decision_log::Field {
        name: name.into(),
        dtype: dtype.into(),
    };
    Basis {
        schema: Arc::new(Schema {
            decision: "d".into(),
            entities: vec![field("card_id", "string")],
            inputs: vec![],
            columns: vec![field("card.a", "float32")],
            views: vec!["card".into()],
            scores: vec!["s".into()],
        }),
        features: plan.assemble(&store, &request, now, Instant::now()).await,
        request,
        tensors: vec![],
        as_of: now,
        budget: Duration::from_millis(95),
    }
}

fn config(directory: &Path) -> DecisionLogConfig {
    let mut config = DecisionLogConfig::default();
    config.set_directory(directory.to_owned());
    config
}

fn read_all(directory: &Path) -> Vec<decision_log::Record> {
    let mut records = Vec::new();
    let each = |record| {
        records.push(record);
        Ok(std::ops::ControlFlow::Continue(()))
    };
    let reading = read(directory, &Filter::default(), each).unwrap();
    assert_eq!(reading.damaged, []);
    records
}

#[tokio::test]
async fn what_was_handed_over_before_the_end_is_on_disk_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = DecisionLog::start(&config(folder.path()), &broker::Options::default()).unwrap();
    for i in 0..50 {
        log.keep(
            &answer(&format!("r{i}"), i % 2 == 0),
            basis("c").await,
            i == 7,
        );
    }
    log.close().await;
    let records = read_all(folder.path());
    assert_eq!(records.len(), 50);
    for (i, record) in records.iter().enumerate() {
        assert_eq!(*record.id, format!("r{i}"));
        assert_eq!(record.late, i == 7);
        assert_eq!(record.skipped.len(), (i + 1) % 2);
    }
    let record = &records[7];
    assert_eq!(record.entities, [Value::Text("c".into())]);
    assert_eq!(record.columns[0].value, Value::Float32(0.5), "the default");
    assert_eq!(record.columns[0].status, decision_log::Status::Missing);
    assert!(!record.views[0].found);
    assert_eq!(record.scores[0].to_bits(), (0.1f64 + 0.2).to_bits());
    assert_eq!(record.budget_us, 95_000);
    let stages: Vec<&str> = record
        .timings_us
        .iter()
        .map(|(stage, _)| &**stage)
        .collect();
    assert_eq!(stages, ["total", "decode", "features", "rules", "policy"]);
    assert_eq!(record.timings_us[0].1, 3000);
    log.close().await;
}

#[tokio::test]
async fn a_full_queue_drops_and_never_waits() {
    let counters = Counters::new();
    let (log, entries) = DecisionLog::queued(3, Sample::new(1.0, None), counters);
    for i in 0..5 {
        log.keep(&answer(&i.to_string(), false), basis("c").await, false);
    }
    let kept = entries
        .try_iter()
        .map(|entry| entry.into_record().id.to_string());
    assert_eq!(kept.collect::<Vec<_>>(), ["0", "1", "2"]);
    log.keep(&answer("5", false), basis("c").await, false);
    assert_eq!(entries.try_iter().count(), 1, "there is room again");
}

#[tokio::test]
async fn degraded_and_late_decisions_are_kept_of_every_entity() {
    let (log, entries) = DecisionLog::queued(9, Sample::new(0.0, None), Counters::new());
    log.keep(&answer("on time", false), basis("c").await, false);
    log.keep(&answer("degraded", true), basis("c").await, false);
    log.keep(&answer("late", false), basis("c").await, true);
    let records: Vec<_> = entries
        .try_iter()
        .map(|entry| entry.into_record())
        .collect();
    let ids: Vec<&str> = records.iter().map(|record| &*record.id).collect();
    assert_eq!(ids, ["degraded", "late"]);
    assert!(records.iter().all(|record| !record.in_sample));
}

#[tokio::test]
async fn a_folder_that_was_named_must_be_one_and_the_default_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taken");
    std::fs::write(&file, "").unwrap();
    let mut config = config(&file.join("log"));
    let said = DecisionLog::start(&config, &broker::Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("taken/log") && said.contains("--decision-log"),
        "{said}"
    );
    config.is_named = false;
    let log = DecisionLog::start(&config, &broker::Options::default()).unwrap();
    log.keep(&answer("1", false), basis("c").await, false);
    log.close().await;
    std::fs::remove_file(&file).unwrap();
    let log = DecisionLog::start(&config, &broker::Options::default()).unwrap();
    log.keep(&answer("2", false), basis("c").await, false);
    log.close().await;
    assert_eq!(read_all(&config.directory).len(), 1);
}

#[tokio::test]
async fn a_log_that_is_off_keeps_nothing() {
    let log = DecisionLog::off();
    log.keep(&answer("1", true), basis("c").await, true);
    log.close().await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.enabled = false;
    let log = DecisionLog::start(&config, &broker::Options::default()).unwrap();
    log.keep(&answer("1", true), basis("c").await, true);
    log.close().await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
