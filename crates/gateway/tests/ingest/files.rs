//! Files and standard input.

use std::{fs, process::Stdio};

use gateway::ingress::protobuf::v1;
use prost::Message as _;
use testkit::Redis;
use tokio::io::AsyncWriteExt as _;

use crate::{
    support::{eventually, files},
    world::{self, lines, payment, setup, store_url, total, undisturbed, values, write},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_makes_the_same_features_in_every_store() {
    let start = world::start();
    let text = lines(0..3000, start);
    let expected = undisturbed(&text, start).await;
    assert_eq!(total(&expected), 3000);
    let redis = Redis::start();
    let setup = setup().flag("store", redis.url());
    let file = write(setup.folder(), "events.jsonl", &text);
    // Without a type, each event says its own.
    let run = setup
        .run(&["ingest", "--file", file.to_str().unwrap()])
        .await;
    assert!(run.status.success(), "{}", run.said);
    assert!(run.said.contains("3,000 events"), "{}", run.said);
    assert_eq!(values(&redis.url(), start).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_on_where_it_was_left_and_not_twice() {
    let start = world::start();
    let setup = setup();
    let file = write(setup.folder(), "events.jsonl", &lines(0..500, start));
    let source = format!("{}=payment", file.display());
    for (text, said) in [
        (lines(0..500, start), "500 events"),
        (lines(0..500, start), "0 events"),
        (lines(0..700, start), "200 events"),
    ] {
        fs::write(&file, text).unwrap();
        let run = setup.run(&["ingest", "--file", &source]).await;
        assert!(
            run.status.success() && run.said.contains(said),
            "{}",
            run.said
        );
    }
    assert_eq!(total(&values(&store_url(&setup), start).await), 700);

    // What was read has changed: nobody knows what of it was counted.
    let changed = lines(0..700, start).replace("\"id\":\"p699\"", "\"id\":\"x699\"");
    fs::write(&file, changed).unwrap();
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(
        !run.status.success() && run.said.contains("has changed before it"),
        "{}",
        run.said
    );
    // Another beginning is another file.
    fs::write(&file, lines(1000..1010, start)).unwrap();
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(
        run.status.success() && run.said.contains("10 events"),
        "{}",
        run.said
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_defined_anew_is_filled_and_the_others_stay() {
    let start = world::start();
    let setup = setup();
    let text = lines(0..500, start);
    let file = write(setup.folder(), "events.jsonl", &text);
    let source = format!("{}=payment", file.display());
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    let definitions = setup.folder().join("definitions/features.toml");
    let (before, after) = ("window = \"10m\"", "window = \"3h\"");
    files::edit(&definitions, before, after);
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(
        run.status.success() && run.said.contains("from its beginning"),
        "{}",
        run.said
    );
    files::edit(&definitions, after, before);
    // The shops were not counted twice; the cards were, each time into states of their own.
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    let now = values(&store_url(&setup), start).await;
    assert_eq!(now, undisturbed(&text, start).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_and_late_events_are_told_and_left_out() {
    let start = world::start();
    let setup = setup();
    let mut text = lines(0..100, start);
    text.push_str(&lines(10..15, start));
    // Every card's newest is at least an hour newer than this.
    let mut late = payment(0, start - 3.0 * 3600.0);
    late["id"] = "late".into();
    text.push_str(&format!("{late}\n"));
    let file = write(setup.folder(), "events.jsonl", &text);
    let source = format!("{}=payment", file.display());
    let run = setup.run(&["ingest", "--file", &source]).await;
    assert!(run.status.success(), "{}", run.said);
    assert!(run.said.contains("1 late, 5 duplicates"), "{}", run.said);
    assert_eq!(total(&values(&store_url(&setup), start).await), 100);
}

/// The same payment as a message.
fn message(number: usize, start: f64) -> v1::Event {
    let json = payment(number, start);
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    let micros = (json["timestamp"].as_f64().unwrap() * 1e6).round() as i64;
    let value = |kind| v1::Value { kind: Some(kind) };
    v1::Event {
        r#type: text("type"),
        id: text("id"),
        time: Some(prost_types::Timestamp {
            seconds: micros / 1_000_000,
            nanos: (micros % 1_000_000) as i32 * 1000,
        }),
        fields: [
            ("card_id", v1::value::Kind::Text(text("card_id"))),
            ("store_id", v1::value::Kind::Text(text("store_id"))),
            (
                "amount",
                v1::value::Kind::Number(json["amount"].as_f64().unwrap()),
            ),
        ]
        .map(|(name, kind)| (name.to_owned(), value(kind)))
        .into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_makes_the_same_features_as_json() {
    let start = world::start();
    let expected = undisturbed(&lines(0..400, start), start).await;
    let setup = setup();
    let mut bytes = Vec::new();
    for number in 0..400 {
        bytes.extend(message(number, start).encode_length_delimited_to_vec());
    }
    let file = setup.folder().join("events.binpb");
    fs::write(&file, bytes).unwrap();
    let source = file.to_str().unwrap();
    let run = setup
        .run(&["ingest", "--format", "protobuf", "--file", source])
        .await;
    assert!(run.status.success(), "{}", run.said);
    assert_eq!(values(&store_url(&setup), start).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_counted_as_it_comes() {
    let start = world::start();
    let redis = Redis::start();
    let setup = setup().flag("store", redis.url());
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gavel"));
    command.current_dir(setup.folder()).kill_on_drop(true);
    command.args(["ingest", "--file", "-=payment", "--store", &redis.url()]);
    command
        .arg("--decisions")
        .arg(setup.folder().join("definitions"));
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(lines(0..10, start).as_bytes())
        .await
        .unwrap();
    eventually(
        "the first events are counted, and more may come",
        async || (total(&values(&redis.url(), start).await) == 10).then_some(()),
    )
    .await;
    input
        .write_all(lines(10..20, start).as_bytes())
        .await
        .unwrap();
    drop(input);
    world::ended_well(child, &setup).await;
    assert_eq!(total(&values(&redis.url(), start).await), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_ends_inside_an_event_is_read_up_to_it_and_the_rest_later() {
    let start = world::start();
    let text = lines(0..20, start);
    let mut messages = Vec::new();
    for number in 0..20 {
        messages.extend(message(number, start).encode_length_delimited_to_vec());
    }
    for (format, whole) in [("json", text.clone().into_bytes()), ("protobuf", messages)] {
        let setup = setup();
        let file = setup.folder().join("events");
        let source = file.to_str().unwrap();
        // Inside the last event; at its end, less that of its line; and all.
        for (length, torn) in [
            (whole.len() - 20, true),
            (whole.len() - 1, format == "protobuf"),
            (whole.len(), false),
        ] {
            fs::write(&file, &whole[..length]).unwrap();
            let run = setup
                .run(&["ingest", "--format", format, "--file", source])
                .await;
            assert!(run.status.success(), "{}", run.said);
            let told = run.said.contains("ends inside an event");
            assert_eq!(told, torn, "{format}, {length}: {}", run.said);
        }
        let dead = setup.folder().join("data/dead-letters.jsonl");
        assert!(!dead.exists(), "{format}: {:?}", fs::read_to_string(dead));
        let now = values(&store_url(&setup), start).await;
        assert_eq!(now, undisturbed(&text, start).await, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_small_files_none_is_read_twice() {
    let start = world::start();
    let setup = setup();
    let mut words = vec!["ingest".to_owned()];
    for number in 0..100 {
        // Without an id, so that nothing but the files' notes tells that they were read.
        let mut event = payment(number, start);
        event.as_object_mut().unwrap().remove("id");
        event["card_id"] = "c1".into();
        event["store_id"] = "s1".into();
        let file = write(
            setup.folder(),
            &format!("{number}.jsonl"),
            &event.to_string(),
        );
        words.extend(["--file".to_owned(), format!("{}=payment", file.display())]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for said in ["100 events", "0 events"] {
        let run = setup.run(&words).await;
        assert!(
            run.status.success() && run.said.contains(said),
            "{said}: {}",
            run.said
        );
    }
    assert_eq!(total(&values(&store_url(&setup), start).await), 100);
}
