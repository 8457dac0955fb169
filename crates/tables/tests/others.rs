//! Files of pandas, DuckDB and Spark are read, and pyarrow and DuckDB read ours.
//!
//! The files in tests/golden were written by make_golden.py there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends here"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{cells, column, list, write};
use tables::{Cell, Reader, Scalar};
use tempfile::TempDir;

/// 2019-08-31T10:00:00.123456Z
const MOMENT: i64 = 1_567_245_600_123_456;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

#[test]
fn pandas() {
    let mut reader = Reader::open(&golden("pandas.parquet"), None).unwrap();
    let unread: Vec<_> = reader
        .unread()
        .iter()
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    assert_eq!(
        unread,
        [
            "map: it is a map",
            "deep: it is a list of something else than single values"
        ]
    );
    let mut rows = Vec::new();
    while let Some(row) = reader.read().unwrap() {
        rows.push(row.unwrap());
    }
    let column = |name: &str| -> Vec<Cell> {
        let cells = rows.iter().map(|row| row.get(name).unwrap().clone());
        cells.collect()
    };
    let at = |lat: Cell, name: &str| {
        Cell::Struct(vec![("lat".into(), lat), ("name".into(), text(name))])
    };
    let null = || Cell::Null;
    for (name, wanted) in [
        ("flag", [Cell::Bool(true), null(), Cell::Bool(false)]),
        ("small", [Cell::Int(1), null(), Cell::Int(-3)]),
        ("unsigned", [Cell::Int((1 << 32) - 1), null(), Cell::Int(0)]),
        ("huge", [Cell::Float(2_f64.powi(64)), null(), Cell::Int(0)]),
        ("id", [Cell::Int(1 << 40), null(), Cell::Int(-1)]),
        ("half", [Cell::Float(1.5), null(), Cell::Float(-2.0)]),
        (
            "x",
            [Cell::Float(f64::from(0.1_f32)), null(), Cell::Float(-2.5)],
        ),
        ("y", [Cell::Float(0.1), null(), Cell::Float(1e300)]),
        ("name", [text("é"), null(), text("")]),
        ("category", [text("a"), null(), text("a")]),
        (
            "blob",
            [Cell::Bytes(vec![0, 255]), null(), Cell::Bytes(vec![])],
        ),
        (
            "ms",
            [
                Cell::Timestamp(MOMENT - 456),
                null(),
                Cell::Timestamp(MOMENT - 456),
            ],
        ),
        (
            "us",
            [Cell::Timestamp(MOMENT), null(), Cell::Timestamp(MOMENT)],
        ),
        (
            "ns",
            [Cell::Timestamp(MOMENT), null(), Cell::Timestamp(MOMENT)],
        ),
        (
            "day",
            [
                Cell::Timestamp(1_567_209_600_000_000),
                null(),
                Cell::Timestamp(-86_400_000_000),
            ],
        ),
        ("price", [Cell::Float(123.45), null(), Cell::Float(-0.1)]),
        (
            "list",
            [
                Cell::List(vec![Cell::Int(1), Cell::Int(2), null()]),
                null(),
                Cell::List(vec![]),
            ],
        ),
        (
            "words",
            [
                Cell::List(vec![text("a")]),
                null(),
                Cell::List(vec![text("b"), text("")]),
            ],
        ),
        ("at", [at(Cell::Float(1.5), "x"), null(), at(null(), "y")]),
        ("last", [text("z"), null(), text("z")]),
    ] {
        assert_eq!(column(name), wanted, "{name}");
    }
}

#[test]
fn spark() {
    let tags = Cell::List(vec![text("a"), text("b")]);
    assert_eq!(
        cells(&golden("spark.parquet")),
        [
            vec![
                Cell::Timestamp(MOMENT),
                Cell::Float(1_234_567_890_123_456.8),
                Cell::Float(1.23),
                tags
            ],
            vec![Cell::Null; 4],
        ]
    );
}

#[test]
fn duckdb() {
    assert_eq!(
        cells(&golden("duckdb.parquet")),
        [
            vec![
                Cell::Int(1),
                text("a"),
                Cell::Float(0.5),
                Cell::Float(12.5),
                Cell::Timestamp(MOMENT),
                Cell::List(vec![Cell::Float(1.5), Cell::Null]),
                Cell::Bool(true),
            ],
            vec![Cell::Null; 7],
        ]
    );
}

#[test]
fn row_groups_and_pages() {
    let rows = cells(&golden("groups.parquet"));
    assert_eq!(rows.len(), 1000);
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row, &[Cell::Int(i as i64), text(&format!("row {}", i % 7))]);
    }
}

#[test]
fn pyarrow_and_duckdb_read_ours() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join(".cache/tables/venv/bin/python");
    assert!(
        python.exists(),
        "{} is not there: run scripts/tables.sh fetch (make test-deps does)",
        python.display()
    );
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ours.parquet");
    let columns = [
        column("flag", Scalar::Bool),
        column("id", Scalar::Int64),
        column("x", Scalar::Float32),
        column("y", Scalar::Float64),
        column("name", Scalar::Text),
        column("blob", Scalar::Bytes),
        column("at", Scalar::Timestamp),
        list("list", Scalar::Int64),
        list("floats", Scalar::Float32),
        list("words", Scalar::Text),
    ];
    let rows = [
        vec![
            Cell::Bool(true),
            Cell::Int(1 << 40),
            Cell::Float(0.5),
            Cell::Float(0.1),
            text("é"),
            Cell::Bytes(vec![0, 255]),
            Cell::Timestamp(MOMENT),
            Cell::List(vec![Cell::Int(1), Cell::Null, Cell::Int(3)]),
            Cell::List(vec![Cell::Float(0.5)]),
            Cell::List(vec![text("a"), text("")]),
        ],
        vec![],
        vec![
            Cell::Bool(false),
            Cell::Int(-1),
            Cell::Float(-2.5),
            Cell::Float(1e300),
            text(""),
            Cell::Bytes(vec![]),
            Cell::Timestamp(MOMENT),
            Cell::List(vec![]),
            Cell::List(vec![Cell::Null]),
            Cell::List(vec![]),
        ],
    ];
    write(&file, &columns, &rows);
    let checked = Command::new(&python)
        .arg(golden("check_ours.py"))
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}
