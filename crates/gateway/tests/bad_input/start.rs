//! Ports, stores, flags and rows that are wrong at start.

use std::fs;

use testkit::free_port;
use tokio::net::TcpListener;

use crate::{
    problem::assert_ended,
    support::{files, gateway::Setup},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_occupied_port_is_named_with_its_flag() {
    for flag in ["listen", "admin-listen"] {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let outcome = Setup::new().flag(flag, &address).run(&["serve"]).await;
        assert_ended(
            flag,
            &outcome,
            1,
            &[
                &address,
                &format!("--{flag}"),
                "another program has the port",
            ],
        );
    }
    let outcome = Setup::new()
        .flag("listen", "192.0.2.1:80")
        .run(&["serve"])
        .await;
    assert_ended(
        "no such address",
        &outcome,
        1,
        &["192.0.2.1:80", "--listen"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_is_explained() {
    let first = Setup::new();
    let store = format!("embedded:{}", first.folder().join("features").display());
    let mut first = first.start().await;
    let outcome = Setup::new().flag("store", &store).run(&["serve"]).await;
    assert_ended(
        "locked",
        &outcome,
        1,
        &["another process has the feature store", "features"],
    );
    let payments = files::root("examples/payments.jsonl");
    let payments = format!("--file={}=payment", payments.display());
    for words in [
        &["features", "load", "rows.jsonl"][..],
        &["ingest", &payments],
    ] {
        let setup = Setup::new().flag("store", &store);
        fs::write(setup.folder().join("rows.jsonl"), "").unwrap();
        let outcome = setup.run(words).await;
        let said = ["another process has the feature store"];
        assert_ended("writing into a locked one", &outcome, 1, &said);
    }
    first.assert_well().await;

    for (url, words) in [
        ("nonsense", ["\"nonsense\" is not a store", "embedded:PATH"]),
        (
            "embedded:",
            ["is not a store", "a folder's path is to follow"],
        ),
        ("redis://", ["is not a store", "redis"]),
        ("redis://user:secret@", ["is not a store", "redis"]),
        ("http://localhost", ["is not a store", "redis"]),
    ] {
        let outcome = Setup::new().flag("store", url).run(&["serve"]).await;
        assert_ended(url, &outcome, 1, &words);
        assert!(!outcome.said.contains("secret"), "{}", outcome.said);
    }

    let setup = Setup::new();
    let file = setup.folder().join("a-file");
    fs::write(&file, "not a store").unwrap();
    let store = format!("embedded:{}", file.display());
    let outcome = setup.flag("store", store).run(&["serve"]).await;
    assert_ended("a file", &outcome, 1, &["can't be opened", "a-file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_is_said_and_served_without() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let mut gateway = Setup::new().flag("store", url).start().await;
    for _ in 0..10 {
        let decision = gateway.decide(&files::payment()).await;
        assert_eq!(decision["tier"], "secondary", "{decision}");
        assert!(
            !decision["features"]["missing"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
    assert!(
        gateway.log().contains("the feature store is down"),
        "{}",
        gateway.log()
    );
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_are_wrong_are_refused_with_their_name() {
    for (flag, value) in [
        ("listen", "nowhere"),
        ("listen", "127.0.0.1:99999"),
        ("log-format", "xml"),
        ("listn", "127.0.0.1:0"),
    ] {
        let outcome = Setup::new()
            .without("listen")
            .flag(flag, value)
            .run(&["serve"])
            .await;
        assert_ended(flag, &outcome, 2, &[&format!("--{flag}")]);
    }
    for words in [&["serv"][..], &["features"], &["features", "load"], &[]] {
        let outcome = Setup::new().run(words).await;
        assert_ended(&words.join(" "), &outcome, 2, &["Usage: gavel"]);
    }
    for url in [
        "localhost",
        "ftp://localhost:8001",
        "http://",
        "http://a b:1",
    ] {
        let outcome = Setup::new().flag("triton", url).run(&["serve"]).await;
        assert_ended(url, &outcome, 1, &[url]);
    }
    for level in ["gateway=loud", "[[["] {
        let outcome = Setup::new().flag("log-level", level).run(&["serve"]).await;
        assert_ended(level, &outcome, 2, &["--log-level"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_wrong_are_named_by_line_and_the_rest_is_loaded() {
    let setup = Setup::new().decisions(files::pack_views);
    let file = setup.folder().join("rows.jsonl");
    let rows = [
        r#"{"view":"card","entity":{"card_id":"1"},"values":{"txn_count_24h":3.0}}"#,
        "not JSON",
        r#"{"view":"crad","entity":{"card_id":"1"},"values":{}}"#,
        r#"{"view":"card","entity":{},"values":{}}"#,
        r#"{"view":"card","entity":{"card_id":"1"},"values":{"txn_count_24h":"three"}}"#,
        r#"{"view":"card","entity":{"card_id":"1"},"values":{"txn_count_24h":1e400}}"#,
        r#"{"view":"card","entity":{"card_id":"1"},"event_time":"yesterday","values":{}}"#,
        "",
        r#"{"view":"store","entity":{"store_id":"1"},"values":{}}"#,
    ];
    fs::write(&file, rows.join("\n")).unwrap();
    let outcome = setup
        .run(&["features", "load", file.to_str().unwrap()])
        .await;
    let words = [
        "rows.jsonl:2:",
        "rows.jsonl:3:",
        "did you mean `card`?",
        "rows.jsonl:4:",
        "rows.jsonl:5:",
        "rows.jsonl:6:",
        "rows.jsonl:7:",
        "8 rows read: 2 written to the embedded store, 6 rejected; see ",
    ];
    assert_ended("rows", &outcome, 1, &words);
    let rejected = fs::read_to_string(setup.folder().join("rows.jsonl.rejected.jsonl")).unwrap();
    let rejected: Vec<serde_json::Value> = rejected
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rejected.len(), 6);
    assert_eq!(rejected[0]["position"], "line 2");
    assert_eq!(rejected[0]["raw"], "not JSON");
    assert_eq!(rejected[1]["row"]["view"], "crad");
    let outcome = setup.run(&["features", "load", "/nonexistent.jsonl"]).await;
    assert_ended("no file", &outcome, 1, &["/nonexistent.jsonl"]);
}
