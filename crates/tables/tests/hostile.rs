//! Files that are broken: an error that says where, the rest is read, and nothing panics.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::path::PathBuf;

use common::{column, list, read, write};
use proptest::prelude::*;
use tables::{Cell, Position, Reader, Scalar};
use tempfile::TempDir;

fn golden(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read(folder.join(name)).unwrap()
}

fn file(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    file
}

/// Reads to the end, or to an error of the whole; gives the numbers of rows and of lost rows.
fn exhaust(file: &std::path::Path) -> Result<(u64, u64), String> {
    let mut reader = Reader::open(file, None).map_err(|error| error.to_string())?;
    let (mut rows, mut lost) = (0, 0);
    while let Some(row) = reader.read().map_err(|error| error.to_string())? {
        match row {
            Ok(_) => rows += 1,
            Err(error) => lost += error.rows,
        }
        if rows > 100_000 {
            break;
        }
    }
    Ok((rows, lost))
}

#[test]
fn csv_goes_on_behind_a_bad_row() {
    let folder = TempDir::new().unwrap();
    let text = b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n\"x\ny\",4\n5\n6,7,8\n\xff,9\n10,\"11\"".to_vec();
    let rows = read(&file(&folder, "t.csv", text));
    let said: Vec<_> = rows
        .iter()
        .map(|row| match row {
            Ok(row) => format!("{}: {}", row.position, row.to_json()),
            Err(error) => format!("{}: {error} | {}", error.position, error.raw),
        })
        .collect();
    assert_eq!(
        said,
        [
            r#"line 2: {"a":"1","b":"2"}"#,
            r#"line 4: {"a":"x\ny","b":"4"}"#,
            "line 6: the row has 1 field, and the header 2 | 5",
            "line 7: the row has 3 fields, and the header 2 | 6,7,8",
            "line 8: the row is not UTF-8 | \u{fffd},9",
            r#"line 9: {"a":"10","b":"11"}"#,
        ]
    );
}

#[test]
fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
    let folder = TempDir::new().unwrap();
    let mut text = b"a,b\n1,\"".to_vec();
    text.resize(40 << 20, b'x');
    let rows = read(&file(&folder, "t.csv", text));
    let error = rows[0].as_ref().unwrap_err();
    assert_eq!(rows.len(), 1);
    assert_eq!(error.position, Position::Line(2));
    assert!(
        error.why.contains("a quote open that is never closed"),
        "{error}"
    );
    assert!(error.raw.len() <= 16 << 20);

    let mut text = b"{\"a\":\"".to_vec();
    text.resize(40 << 20, b'x');
    text.extend_from_slice(b"\n{\"a\":1}");
    let rows = read(&file(&folder, "t.jsonl", text));
    assert!(rows[0].as_ref().unwrap_err().why.contains("at most 16 MiB"));
    assert_eq!(rows[1].as_ref().unwrap().position, Position::Line(2));
}

#[test]
fn a_csv_header_is_needed_and_unambiguous() {
    let folder = TempDir::new().unwrap();
    for (text, said) in [
        (&b""[..], "it is empty"),
        (b"\n\n", "it is empty"),
        (b"a,b,a\n1,2,3\n", "two columns `a`"),
        (b"\xff\n1\n", "not UTF-8"),
    ] {
        let error = exhaust(&file(&folder, "t.csv", text)).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn json_lines_go_on_behind_a_bad_line() {
    let folder = TempDir::new().unwrap();
    let text = b"{\"a\":1}\n\n[1]\n{\"a\":\n{\"a\":1,\"a\":2}\n\xff\n{\"b\":{\"c\":[null]}}\r\n";
    let rows = read(&file(&folder, "t.jsonl", text));
    let said: Vec<_> = rows
        .iter()
        .map(|row| match row {
            Ok(row) => format!("{}: {}", row.position, row.to_json()),
            Err(error) => format!("{}: {error} | {}", error.position, error.raw),
        })
        .collect();
    assert_eq!(
        said,
        [
            r#"line 1: {"a":1}"#,
            "line 3: the line is not a JSON object | [1]",
            "line 4: the line is not JSON: EOF while parsing a value at line 1 column 5 | {\"a\":",
            "line 5: the line is not JSON: the field `a` comes twice at line 1 column 10 | {\"a\":1,\"a\":2}",
            "line 6: the line is not UTF-8 | \u{fffd}",
            r#"line 7: {"b":{"c":[null]}}"#,
        ]
    );
}

#[test]
fn parquet_that_is_none_says_so() {
    let folder = TempDir::new().unwrap();
    let whole = golden("pandas.parquet");
    for bytes in [
        &whole[..0],
        &whole[..4],
        &whole[..whole.len() - 9],
        b"a,b\n1,2\n",
    ] {
        let error = exhaust(&file(&folder, "t.parquet", bytes)).unwrap_err();
        assert!(
            error.contains("t.parquet is not Parquet that can be read: "),
            "{error}"
        );
    }
    let error = exhaust(&file(&folder, "t.parquet", golden("gzip.parquet"))).unwrap_err();
    assert!(
        error.ends_with("write it with Snappy, Zstandard or uncompressed"),
        "{error}"
    );
    let error = exhaust(folder.path()).unwrap_err();
    assert!(error.contains("the format of"), "{error}");
    std::fs::create_dir(folder.path().join("d.parquet")).unwrap();
    let error = exhaust(&folder.path().join("d.parquet")).unwrap_err();
    assert!(error.contains("it is a folder"), "{error}");
    let error = exhaust(&folder.path().join("none.csv")).unwrap_err();
    assert!(error.contains("none.csv: No such file"), "{error}");
}

/// 1000 rows in groups of 300; the second group's first bytes are wiped out.
#[test]
fn parquet_goes_on_behind_a_bad_row_group() {
    let folder = TempDir::new().unwrap();
    let mut bytes = golden("groups.parquet");
    let second = bytes.len() * 3 / 10;
    bytes[second..second + 60].fill(0xa5);
    let rows = read(&file(&folder, "t.parquet", bytes));
    let lost: Vec<_> = rows.iter().filter_map(|row| row.as_ref().err()).collect();
    let good = rows.iter().filter(|row| row.is_ok()).count() as u64;
    assert!(!lost.is_empty());
    assert_eq!(
        good + lost.iter().map(|error| error.rows).sum::<u64>(),
        1000
    );
    assert!(good >= 600, "{good}");
    assert!(lost[0].why.contains("cannot be read"), "{}", lost[0]);
    assert!(matches!(
        lost[0].position,
        Position::Row { group: 1..=3, .. }
    ));
    let last = rows.last().unwrap().as_ref().unwrap();
    assert_eq!(last.get("n"), Some(&Cell::Int(999)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The Parquet library panics on some of these; no panic gets out, and no row is forgotten.
    #[test]
    fn no_parquet_file_panics(
        which in 0..4_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let names = ["pandas.parquet", "groups.parquet", "spark.parquet", "duckdb.parquet"];
        let mut bytes = golden(names[which]);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let folder = TempDir::new().unwrap();
        let _ = exhaust(&file(&folder, "t.parquet", bytes));
    }

    #[test]
    fn no_text_panics(bytes in prop::collection::vec(
        prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), Just(b'\r'), Just(b'{'), Just(b'}'), any::<u8>()],
        0..200,
    )) {
        let folder = TempDir::new().unwrap();
        let _ = exhaust(&file(&folder, "t.csv", &bytes));
        let _ = exhaust(&file(&folder, "t.jsonl", &bytes));
    }
}

#[test]
fn a_list_that_begins_in_the_middle_of_nowhere_is_an_error() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("t.parquet");
    let columns = [column("n", Scalar::Int64), list("l", Scalar::Int64)];
    let rows: Vec<_> = (0..50)
        .map(|i| vec![Cell::Int(i), Cell::List(vec![Cell::Int(i); 3])])
        .collect();
    write(&path, &columns, &rows);
    let whole = std::fs::read(&path).unwrap();
    for at in 4..whole.len() - 8 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        let _ = exhaust(&file(&folder, "u.parquet", bytes));
    }
}
