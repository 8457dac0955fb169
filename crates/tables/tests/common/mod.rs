//! Whole tables in and out, for the tests.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses some of it, and one that cannot go on ends here"
)]

use std::path::Path;

use tables::{Cell, Column, Reader, Row, RowError, Scalar, Writer};

pub(crate) fn column(name: &str, holds: Scalar) -> Column {
    Column {
        name: name.into(),
        holds,
        list: false,
    }
}

pub(crate) fn list(name: &str, holds: Scalar) -> Column {
    Column {
        list: true,
        ..column(name, holds)
    }
}

pub(crate) fn write(file: &Path, columns: &[Column], rows: &[Vec<Cell>]) {
    let mut writer = Writer::create(file, None, columns.to_vec()).unwrap();
    for row in rows {
        writer.write(row).unwrap();
    }
    writer.finish().unwrap();
}

pub(crate) fn read(file: &Path) -> Vec<Result<Row, RowError>> {
    let mut reader = Reader::open(file, None).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = reader.read().unwrap() {
        rows.push(row);
    }
    rows
}

/// The cells alone, of a table in which every row can be read.
pub(crate) fn cells(file: &Path) -> Vec<Vec<Cell>> {
    let rows = read(file).into_iter().map(Result::unwrap);
    rows.map(|row| row.fields.into_iter().map(|(_, cell)| cell).collect())
        .collect()
}
