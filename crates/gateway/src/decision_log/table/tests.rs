//! The exported table, read back, with records of two shapes.

use std::time::Duration;

use decision_log::{LogWriter, Options, Skip, Status, Tensor, ViewRow};
use tables::Reader;

use super::{super::read::newest, *};

fn field(name: &str, dtype: &str) -> Field {
    Field {
        name: name.into(),
        dtype: dtype.into(),
    }
}

/// A decision with a column `card.a` of this type, which holds `value`.
fn record(decision: &str, dtype: &str, value: Value) -> Record {
    let schema = Schema {
        decision: decision.into(),
        entities: vec![field("card_id", "string")],
        inputs: vec![field("amount", "float64"), field("at", "int64")],
        columns: vec![field("card.a", dtype), field("card.l", "int64[2]")],
        views: vec!["card".into()],
        scores: vec!["fraud".into()],
    };
    let cell = |value, status| decision_log::Cell { value, status };
    let list = Value::List([Value::Int64(1), Value::Int64(2)].into());
    Record {
        schema: Arc::new(schema),
        received_us: 1_567_245_600_000_001,
        as_of_us: 1_567_245_600_000_000,
        id: "r1".into(),
        entities: vec![Value::Text("4022".into())],
        inputs: vec![Some(Value::Float64(0.1)), None],
        budget_us: 95_000,
        columns: vec![cell(value, Status::Stale), cell(list, Status::Null)],
        views: vec![ViewRow {
            found: true,
            event_time_us: Some(7),
        }],
        tensors: vec![Tensor {
            name: "x".into(),
            dtype: "FP32".into(),
            data: [0, 255].into(),
        }],
        tier: "secondary".into(),
        model: "m".into(),
        version: "3".into(),
        arm: "default".into(),
        scores: vec![0.1 + 0.2],
        action: "approve".into(),
        reasons: vec!["low".into(), "known".into()],
        skipped: vec![Skip {
            tier: "primary".into(),
            reason: "timeout".into(),
        }],
        timings_us: vec![("total".into(), 300)],
        late: false,
        in_sample: true,
    }
}

/// A log of these, and its folder.
fn log(records: &[Record]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        directory: folder.path().join("log"),
        segment_bytes: 1 << 20,
        segment_age: Duration::from_secs(60),
        max_bytes: 1 << 30,
    };
    let mut writer = LogWriter::new(options).unwrap();
    for record in records {
        assert!(writer.push(record, 0));
    }
    writer.close(0).unwrap();
    folder
}

fn exported(folder: &Path, filter: &Filter, file: &str) -> Vec<BTreeMap<String, Cell>> {
    let file = folder.join(file);
    export(&folder.join("log"), filter, &file, None).unwrap();
    let mut reader = Reader::open(&file, None).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = reader.read().unwrap() {
        let fields = row.unwrap().fields.into_iter();
        rows.push(
            fields
                .map(|(name, cell)| (name.to_string(), cell))
                .collect(),
        );
    }
    rows
}

#[cfg(unix)]
#[test]
fn not_everybody_may_read_the_table() {
    use std::os::unix::fs::PermissionsExt;
    let folder = log(&[record("fraud", "float32", Value::Float32(0.1))]);
    let file = folder.path().join("out.csv");
    export(&folder.path().join("log"), &Filter::default(), &file, None).unwrap();
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}");
}

#[test]
fn the_newest_are_found_without_reading_older_segments() {
    let folder = log(&[
        record("fraud", "float32", Value::Float32(0.1)),
        record("other", "float32", Value::Float32(0.1)),
    ]);
    let directory = folder.path().join("log");
    let older = directory.join("0000-older.decisions");
    std::fs::write(older, "no segment").unwrap();
    let newest = |last| newest(&directory, &Filter::default(), last).unwrap();
    let decisions = |records: Vec<Record>| -> Vec<String> {
        let records = records.into_iter();
        records.map(|r| r.schema.decision.to_string()).collect()
    };
    let (records, reading) = newest(1);
    assert_eq!(decisions(records), ["other"]);
    assert_eq!(reading.damaged, [], "it was not looked at");
    let (records, reading) = newest(3);
    assert_eq!(decisions(records), ["fraud", "other"]);
    assert_eq!(reading.damaged.len(), 1);
}

#[test]
fn each_value_is_in_a_column_of_its_own_with_its_type() {
    let mut other = record("other", "float32", Value::Float32(0.5));
    other.timings_us = vec![("primary".into(), 5)];
    other.tensors.clear();
    let folder = log(&[record("fraud", "float32", Value::Float32(0.1)), other]);
    let rows = exported(folder.path(), &Filter::default(), "out.parquet");
    assert_eq!(rows.len(), 2);
    let text = |text: &str| Cell::Text(text.into());
    for (name, expected) in [
        ("time", Cell::Timestamp(1_567_245_600_000_001)),
        ("as_of", Cell::Timestamp(1_567_245_600_000_000)),
        ("decision", text("fraud")),
        ("id", text("r1")),
        ("entities.card_id", text("4022")),
        ("inputs.amount", Cell::Float(0.1)),
        ("inputs.at", Cell::Null),
        ("model_version", text("3")),
        ("scores.fraud", Cell::Float(0.1 + 0.2)),
        ("reasons", Cell::List(vec![text("low"), text("known")])),
        ("skipped", Cell::List(vec![text("primary:timeout")])),
        ("degraded", Cell::Bool(true)),
        ("features.card.a", Cell::Float(f64::from(0.1_f32))),
        ("status.card.a", text("stale")),
        (
            "features.card.l",
            Cell::List(vec![Cell::Int(1), Cell::Int(2)]),
        ),
        ("status.card.l", text("null")),
        ("event_time.card", Cell::Timestamp(7)),
        ("timings_us.total", Cell::Int(300)),
        ("timings_us.primary", Cell::Null),
        ("tensors.x", Cell::Bytes(vec![0, 255])),
    ] {
        assert_eq!(rows[0].get(name), Some(&expected), "{name}");
    }
    assert_eq!(rows[1]["timings_us.primary"], Cell::Int(5));
    assert_eq!(rows[1]["tensors.x"], Cell::Null);

    let one = Filter {
        decision: Some("other".into()),
        ..Filter::default()
    };
    let rows = exported(folder.path(), &one, "out.jsonl");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["decision"], text("other"));
    assert!(!rows[0].contains_key("tensors.x"), "no such column");
}

#[test]
fn a_name_of_two_types_is_refused_and_one_of_them_alone_is_not() {
    let records = [
        record("fraud", "float32", Value::Float32(0.1)),
        record("other", "int64", Value::Int64(1)),
    ];
    let folder = log(&records);
    let log = folder.path().join("log");
    let out = folder.path().join("out.csv");
    let said = export(&log, &Filter::default(), &out, None)
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("`features.card.a` has one type in some"),
        "{said}"
    );
    assert!(!out.exists());
    let one = Filter {
        decision: Some("other".into()),
        ..Filter::default()
    };
    assert_eq!(export(&log, &one, &out, None).unwrap().records, 1);
    let other_name = export(&log, &one, Path::new("out.xyz"), None)
        .unwrap_err()
        .to_string();
    assert!(other_name.contains("--format"), "{other_name}");
}
