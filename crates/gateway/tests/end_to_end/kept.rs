//! The decision log on a real disk: which decisions are kept, and what becomes of it when the gateway is
//! killed, a segment is cut and the disk is full.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use broker::{Consumer, Delivery, Options, Start, Subscription};
use serde_json::Value;
use testkit::Kafka;
use tokio::time::{Instant, sleep, timeout_at};

use crate::support::{
    PATIENCE,
    ask::turn,
    eventually, files,
    gateway::{Gateway, Setup},
};

/// A payment of this card, told apart by its id.
fn payment(id: &str, card: &str) -> Value {
    let mut payment = files::payment();
    payment["id"] = id.into();
    payment["entities"]["card_id"] = card.into();
    payment
}

/// Without the tier that no Triton serves: answers are not degraded.
fn without_primary(folder: &Path) {
    let file = folder.join("fraud.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("[[tiers]]\nname = \"primary\"").unwrap();
    let (_, after) = rest.split_once("[[tiers]]").unwrap();
    fs::write(file, format!("{before}[[tiers]]{after}")).unwrap();
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("data/decisions")).unwrap();
    let mut segments: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    segments
}

/// Every record, as `gavel log show --json` writes it.
async fn records(setup: &Setup) -> Vec<Value> {
    let shown = setup
        .run(&["log", "show", "--last", "100000", "--json"])
        .await;
    assert!(shown.status.success(), "{}", shown.said);
    let lines = shown.said.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn outcomes(gateway: &Gateway, outcome: &str) -> f64 {
    let metrics = gateway.metrics().await;
    metrics.sum("gavel_decision_log_records_total", &[("outcome", outcome)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_kept_as_it_was_made() {
    let _turn = turn().lock().await;
    let setup = Setup::new();
    setup.load_examples().await;
    let gateway = setup.start().await;
    let mut payment = files::payment();
    payment["id"] = "r1".into();
    let answer = gateway.decide(&payment).await;
    // What is being written can be read once a second has passed.
    eventually("the record is on disk", async || {
        (outcomes(&gateway, "written").await == 1.0).then_some(())
    })
    .await;
    let shown = gateway
        .setup()
        .run(&["log", "show", "--id", "r1", "--json"])
        .await;
    assert!(shown.status.success(), "{}", shown.said);
    let record: Value = serde_json::from_str(shown.said.trim()).unwrap();
    for key in [
        "decision",
        "id",
        "action",
        "tier",
        "model",
        "model_version",
        "arm",
        "scores",
        "reasons",
        "degraded",
        "timings_us",
    ] {
        assert_eq!(record[key], answer[key], "{key}");
    }
    assert_eq!(record["entities"], payment["entities"]);
    assert_eq!(record["inputs"], payment["inputs"]);
    assert_eq!(record["skipped"]["primary"], "not_ready");
    assert_eq!(record["budget_us"], 50_000);
    assert_eq!(record["late"], false);
    assert!(
        record["features"]["amount_over_card_mean"].is_f64(),
        "{record}"
    );
    assert_eq!(record["tensors"]["features"]["dtype"], "FP32");
    let told = gateway.setup().run(&["log", "show"]).await;
    assert!(
        told.said.contains("amount_over_card_mean") && told.said.contains("r1"),
        "{}",
        told.said
    );
    let none = gateway.setup().run(&["log", "show", "--id", "r2"]).await;
    assert!(
        !none.status.success() && none.said.contains("no record"),
        "{}",
        none.said
    );
    let setup = gateway.stop().await;
    let listed = setup.run(&["log", "ls"]).await;
    assert!(
        listed.said.contains("1 record in 1 segment"),
        "{}",
        listed.said
    );
    assert!(
        !listed.said.contains(".open"),
        "it was closed: {}",
        listed.said
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_keeps_entities_whole() {
    let _turn = turn().lock().await;
    let setup = Setup::new()
        .decisions(without_primary)
        .config("[decision_log]\nsample = 0.3\nsample_by = 'card_id'\n");
    let gateway = setup.start().await;
    for round in 0..5 {
        for card in 0..40 {
            let answer = gateway
                .decide(&payment(&format!("{round}"), &format!("card-{card}")))
                .await;
            assert_eq!(answer["degraded"], false, "{answer}");
        }
    }
    let sampled_out = outcomes(&gateway, "sampled_out").await;
    let setup = gateway.stop().await;
    let records = records(&setup).await;
    let mut cards: BTreeMap<String, usize> = BTreeMap::new();
    for record in &records {
        // One that left late is kept whoever it is about.
        if record["late"] == false {
            *cards
                .entry(record["entities"]["card_id"].to_string())
                .or_default() += 1;
        }
        assert!(
            record["in_sample"] == true || record["late"] == true,
            "{record}"
        );
    }
    assert_eq!(records.len() as f64 + sampled_out, 200.0);
    assert!((4..=24).contains(&cards.len()), "about 12 of 40: {cards:?}");
    let late = records
        .iter()
        .filter(|record| record["late"] == true)
        .count();
    let whole = cards.values().filter(|decisions| **decisions == 5).count();
    assert!(whole + late >= cards.len(), "{cards:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_loses_a_second_at_most_and_the_next_goes_on() {
    let _turn = turn().lock().await;
    let gateway = Setup::new().start().await;
    for i in 0..50 {
        gateway.decide(&payment(&format!("before {i}"), "c")).await;
    }
    eventually("a second has passed", async || {
        (outcomes(&gateway, "written").await == 50.0).then_some(())
    })
    .await;
    gateway.decide(&payment("just now", "c")).await;
    let setup = gateway.kill9().await;
    let listed = setup.run(&["log", "ls"]).await;
    assert!(
        listed.said.contains(".open"),
        "nobody closed it: {}",
        listed.said
    );
    let kept = records(&setup).await;
    assert!((50..=51).contains(&kept.len()), "{}", kept.len());
    let replayed = setup.run(&["replay"]).await;
    assert!(replayed.status.success(), "{}", replayed.said);

    let gateway = setup.start().await;
    gateway.decide(&payment("after", "c")).await;
    let setup = gateway.stop().await;
    let all = records(&setup).await;
    assert_eq!(all.len(), kept.len() + 1);
    assert_eq!(all.last().unwrap()["id"], "after");
    let listed = setup.run(&["log", "ls"]).await;
    assert!(!listed.said.contains(".open"), "{}", listed.said);
    assert!(listed.said.contains("in 2 segments"), "{}", listed.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_was_cut_is_read_up_to_the_cut_and_said_so() {
    let _turn = turn().lock().await;
    let gateway = Setup::new().start().await;
    for i in 0..20 {
        gateway.decide(&payment(&format!("first {i}"), "c")).await;
    }
    eventually("the first block", async || {
        (outcomes(&gateway, "written").await == 20.0).then_some(())
    })
    .await;
    let [segment] = &segments(gateway.setup().folder())[..] else {
        panic!("one segment");
    };
    let first = fs::metadata(segment).unwrap().len();
    for i in 0..20 {
        gateway.decide(&payment(&format!("second {i}"), "c")).await;
    }
    let setup = gateway.stop().await;
    let [segment] = &segments(setup.folder())[..] else {
        panic!("one segment");
    };
    let whole = fs::metadata(segment).unwrap().len();
    assert!(whole > first + 100);
    let file = fs::File::options().write(true).open(segment).unwrap();
    file.set_len(whole - 7).unwrap();
    let left = format!(
        "read up to byte {first}, and the {} bytes that are left",
        whole - 7 - first
    );
    for words in [&["log", "ls"][..], &["log", "show"], &["replay"]] {
        let told = setup.run(words).await;
        assert!(told.said.contains(&left), "{words:?}: {}", told.said);
    }
    assert_eq!(records(&setup).await.len(), 20);
    let replayed = setup.run(&["replay"]).await;
    assert!(
        replayed.said.contains("20 decisions of the log"),
        "{}",
        replayed.said
    );
    assert_eq!(
        replayed.status.code(),
        Some(2),
        "a closed segment lacks what was in it"
    );

    // A gateway that starts again leaves it as it is.
    let gateway = setup.start().await;
    gateway.decide(&payment("after", "c")).await;
    let setup = gateway.stop().await;
    assert_eq!(records(&setup).await.len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_decisions_go_on_and_what_is_lost_is_counted_and_said_once() {
    let _turn = turn().lock().await;
    // The embedded store would be full as well.
    let setup = Setup::new()
        .flag("store", "redis://127.0.0.1:1")
        .files_of_at_most(16);
    let gateway = setup.start().await;
    let mut made = 0;
    // A block a second, of some kilobytes.
    while outcomes(&gateway, "failed").await == 0.0 {
        assert!(made < 20_000, "the disk is never full");
        for _ in 0..40 {
            made += 1;
            let payment = payment(&format!("payment {made}"), &format!("card {}", made * 7919));
            gateway.decide(&payment).await;
        }
    }
    sleep(Duration::from_millis(1200)).await;
    let (written, failed) = (
        outcomes(&gateway, "written").await,
        outcomes(&gateway, "failed").await,
    );
    assert_eq!(written + failed, f64::from(made), "all are counted");
    let answer = gateway.decide(&payment("on a full disk", "c")).await;
    assert!(answer["action"].is_string());
    sleep(Duration::from_millis(1200)).await;
    let log = gateway.log();
    let said = log.matches("decisions go on").count();
    assert_eq!(said, 1, "{log}");
    let setup = gateway.stop().await;
    let kept = records(&setup).await;
    assert!(kept.len() as f64 >= written, "{} of {written}", kept.len());
    let listed = setup.run(&["log", "ls"]).await;
    assert!(
        !listed.said.contains("bytes that are left"),
        "cut back to what is whole: {}",
        listed.said
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_go_to_kafka_as_well_and_an_absent_broker_costs_nobody_anything() {
    let _turn = turn().lock().await;
    let kafka = Kafka::start();
    let config = |brokers: &str| {
        format!("[kafka]\nbrokers = '{brokers}'\n[decision_log]\nkafka.topic = 'decisions'\n")
    };
    let gateway = Setup::new().config(&config(&kafka.brokers())).start().await;
    for i in 0..30 {
        gateway
            .decide(&payment(&i.to_string(), &format!("card-{}", i % 3)))
            .await;
    }
    let setup = gateway.stop().await;
    let logged = records(&setup).await;

    // A group is joined within half of its session timeout.
    let short = [("session.timeout.ms".to_owned(), "6000".to_owned())];
    let options = Options::new(&kafka.brokers(), short.into()).unwrap();
    let subscription = Subscription {
        group: "test".into(),
        topics: vec!["decisions".into()],
        start: Start::Earliest,
    };
    let mut consumer = Consumer::open(&options, &subscription).await.unwrap();
    let until = Instant::now() + PATIENCE;
    let mut messages = Vec::new();
    while messages.len() < 30 {
        let delivery = timeout_at(until, consumer.next())
            .await
            .expect("all decisions in time");
        if let Delivery::Records(records) = delivery {
            messages.extend(records.into_iter().map(|record| {
                let json: Value = serde_json::from_slice(&record.payload).unwrap();
                let key = record.key.unwrap();
                assert_eq!(json["entities"]["card_id"], *String::from_utf8_lossy(&key));
                json
            }));
        }
    }
    let by_id = |records: Vec<Value>| -> BTreeMap<String, Value> {
        let records = records.into_iter();
        records
            .map(|record| (record["id"].to_string(), record))
            .collect()
    };
    assert_eq!(
        by_id(messages),
        by_id(logged),
        "the same as in the segments"
    );

    let gateway = setup.config(&config("127.0.0.1:1")).start().await;
    for i in 30..40 {
        gateway.decide(&payment(&i.to_string(), "c")).await;
    }
    let setup = gateway.stop().await;
    assert_eq!(records(&setup).await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_to_is_an_error_where_it_was_named() {
    let _turn = turn().lock().await;
    let setup = Setup::new();
    let file = setup.folder().join("taken");
    fs::write(&file, "").unwrap();
    let setup = setup.flag("decision-log", file.join("log"));
    let ended = setup.run(&["serve"]).await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.said);
    assert!(
        ended.said.contains("taken/log") && ended.said.contains("--decision-log"),
        "{}",
        ended.said
    );

    let setup = setup.without("decision-log");
    fs::create_dir(setup.folder().join("data")).unwrap();
    fs::write(setup.folder().join("data/decisions"), "in the way").unwrap();
    let mut gateway = setup.start().await;
    gateway.decide(&files::payment()).await;
    gateway.assert_well().await;
    assert!(
        gateway
            .log()
            .contains("decisions are not kept until it can"),
        "{}",
        gateway.log()
    );

    let gateway = gateway.stop().await.flag("decision-log", "").start().await;
    gateway.decide(&files::payment()).await;
    assert_eq!(outcomes(&gateway, "failed").await, 0.0);
}
