//! What is written is read back, in each format as far as the format can say it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{cells, column, list, read, write};
use proptest::prelude::*;
use tables::{Cell, Column, Format, Position, Scalar, TableError, Writer};
use tempfile::TempDir;

fn columns() -> Vec<Column> {
    vec![
        column("flag", Scalar::Bool),
        column("id", Scalar::Int64),
        column("x", Scalar::Float32),
        column("y", Scalar::Float64),
        column("name, \"quoted\"", Scalar::Text),
        column("at", Scalar::Timestamp),
        list("numbers", Scalar::Int64),
        list("words", Scalar::Text),
        list("floats", Scalar::Float32),
    ]
}

fn nullable(cell: impl Strategy<Value = Cell> + 'static) -> BoxedStrategy<Cell> {
    prop_oneof![1 => Just(Cell::Null), 3 => cell].boxed()
}

fn float32() -> impl Strategy<Value = Cell> {
    any::<f32>()
        .prop_filter("finite", |x| x.is_finite())
        .prop_map(|x| Cell::Float(f64::from(x)))
}

fn row() -> impl Strategy<Value = Vec<Cell>> {
    let listed = |cell: BoxedStrategy<Cell>| {
        nullable(prop::collection::vec(cell, 0..4).prop_map(Cell::List))
    };
    (
        nullable(any::<bool>().prop_map(Cell::Bool)),
        nullable(any::<i64>().prop_map(Cell::Int)),
        nullable(float32()),
        nullable(
            any::<f64>()
                .prop_filter("finite", |y| y.is_finite())
                .prop_map(Cell::Float),
        ),
        nullable(any::<String>().prop_map(Cell::Text)),
        nullable((0..253_402_300_800_000_000_i64).prop_map(Cell::Timestamp)),
        listed(nullable(any::<i64>().prop_map(Cell::Int))),
        listed(nullable(any::<String>().prop_map(Cell::Text))),
        listed(nullable(float32())),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i)| vec![a, b, c, d, e, f, g, h, i])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parquet(rows in prop::collection::vec(row(), 0..40)) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("t.parquet");
        write(&file, &columns(), &rows);
        prop_assert_eq!(cells(&file), rows);
    }

    #[test]
    fn json_lines(rows in prop::collection::vec(row(), 0..20)) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("t.jsonl");
        write(&file, &columns(), &rows);
        // The shortest digits of a float32, and times as text: what JSON says of the same cells.
        let read = cells(&file);
        prop_assert_eq!(read.len(), rows.len());
        for (read, row) in read.iter().zip(&rows) {
            for ((read, cell), column) in read.iter().zip(row).zip(columns()) {
                let wanted = match (column.holds, cell) {
                    (Scalar::Timestamp, Cell::Timestamp(_)) => {
                        Cell::from_json(&cell.to_json()).unwrap()
                    }
                    _ => cell.clone(),
                };
                prop_assert_eq!(narrow(column.holds, read.clone()), wanted);
            }
        }
    }

    #[test]
    fn csv(rows in prop::collection::vec(row(), 0..20)) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("t.csv");
        let again = folder.path().join("again.csv");
        write(&file, &columns(), &rows);
        let read = cells(&file);
        prop_assert_eq!(read.len(), rows.len());
        for (read, row) in read.iter().zip(&rows) {
            match &row[4] {
                Cell::Text(text) if !text.is_empty() => {
                    prop_assert_eq!(&read[4], &Cell::Untyped(text.clone()));
                }
                _ => prop_assert_eq!(&read[4], &Cell::Null),
            }
        }
        // Text that was never typed goes back as it came.
        write(&again, &columns(), &read);
        prop_assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(&again).unwrap());
    }
}

/// Floats as a float32 column holds them; JSON's were read as float64, or as ints.
fn narrow(holds: Scalar, cell: Cell) -> Cell {
    match (holds, cell) {
        (Scalar::Float32, Cell::Float(value)) => Cell::Float(f64::from(value as f32)),
        (Scalar::Float32, Cell::List(cells)) => {
            Cell::List(cells.into_iter().map(|cell| narrow(holds, cell)).collect())
        }
        (_, cell) => cell,
    }
}

#[test]
fn row_groups_follow_each_other() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("t.parquet");
    let rows: Vec<_> = (0..300_000).map(|i| vec![Cell::Int(i)]).collect();
    write(&file, &[column("n", Scalar::Int64)], &rows);
    let read = read(&file);
    assert_eq!(read.len(), rows.len());
    let last = read.last().unwrap().as_ref().unwrap();
    assert_eq!(last.fields[0].1, Cell::Int(299_999));
    let Position::Row { group, row } = last.position else {
        unreachable!("a Parquet row has a row's position")
    };
    assert_eq!((group, row), (3, 300_000 - 2 * (128 << 10)));
}

#[test]
fn a_file_appears_when_it_is_whole() {
    let folder = TempDir::new().unwrap();
    for name in ["t.csv", "t.jsonl", "t.parquet"] {
        let file = folder.path().join(name);
        std::fs::write(&file, "before").unwrap();
        let columns = vec![column("n", Scalar::Int64)];
        let mut writer = Writer::create(&file, None, columns.clone()).unwrap();
        writer.write(&[Cell::Int(1)]).unwrap();
        drop(writer);
        assert_eq!(std::fs::read(&file).unwrap(), b"before", "{name}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

        write(&file, &columns, &[vec![Cell::Int(1)]]);
        assert_eq!(cells(&file).len(), 1, "{name}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    for format in [Format::Csv, Format::JsonLines, Format::Parquet] {
        let columns = vec![column("n", Scalar::Int64)];
        let mut writer = Writer::create("/dev/full".as_ref(), Some(format), columns).unwrap();
        let written = (0..400_000).try_for_each(|i| writer.write(&[Cell::Int(i * 7919)]));
        let error = written
            .and_then(|()| writer.finish())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("cannot write /dev/full: "), "{error}");
        assert!(error.contains("No space left"), "{error}");
    }
}

#[test]
fn a_cell_that_does_not_fit_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("t.parquet");
    let mut writer = Writer::create(&file, None, columns()).unwrap();
    let error = writer
        .write(&[Cell::Bool(true), Cell::Text("seven".into())])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the column `id` of {} holds int64, and \"seven\" is not one",
            file.display()
        )
    );
    let cells = [Cell::Null, Cell::Untyped("7".into())];
    writer.write(&cells).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&file).len(), 1);
}

#[test]
fn the_name_says_the_format() {
    for name in ["table", "table.txt", "table.csv.gz", "-"] {
        let error = Writer::create(name.as_ref(), None, Vec::new()).unwrap_err();
        assert!(matches!(error, TableError::UnknownFormat { .. }), "{name}");
    }
    assert_eq!(Format::of("a.CSV".as_ref()).unwrap(), Format::Csv);
    assert_eq!("ndjson".parse(), Ok(Format::JsonLines));
    assert!("xlsx".parse::<Format>().is_err());
}
