//! The log on a real disk, at moments that the test names.

use std::{fs, io::BufReader, sync::Arc};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use super::*;
use crate::{
    SegmentReader,
    codec::tests::{assert_same, record_of, schema},
    directory::segments,
    segment::Piece,
};

const SECOND: i64 = 1_000_000;
const NOW: i64 = 1_764_000_000 * SECOND;

fn options(directory: &Path) -> Options {
    Options {
        directory: directory.to_owned(),
        segment_bytes: 1 << 20,
        segment_age: Duration::from_secs(3600),
        max_bytes: 1 << 30,
    }
}

/// Records of one schema.
fn records(count: usize) -> Vec<Record> {
    let mut runner = TestRunner::deterministic();
    let schema = schema().new_tree(&mut runner).unwrap().current();
    let record = record_of(Arc::clone(&schema));
    (0..count)
        .map(|_| record.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// All that the folder holds.
fn read(directory: &Path) -> Vec<Record> {
    let mut all = Vec::new();
    for segment in segments(directory).unwrap() {
        let file = BufReader::new(File::open(&segment.path).unwrap());
        let mut reader = SegmentReader::new(file).unwrap();
        while let Some(piece) = reader.next_piece().unwrap() {
            let Piece::Block(block) = piece else {
                panic!("{piece:?} in {segment:?}")
            };
            all.extend(reader.records(&block).unwrap().unwrap());
        }
    }
    all
}

fn open_and_closed(directory: &Path) -> (usize, usize) {
    let segments = segments(directory).unwrap();
    let open = segments.iter().filter(|segment| segment.is_open).count();
    (open, segments.len() - open)
}

#[test]
fn records_are_written_each_second_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::new(options(folder.path())).unwrap();
    writer.prepare().unwrap();
    let records = records(20);
    assert!(!writer.is_due(NOW), "nothing to write");
    for (i, record) in records.iter().enumerate() {
        let now = NOW + i as i64 * SECOND / 10;
        assert!(writer.push(record, now));
        assert_eq!(writer.is_due(now), i == 10, "a second after the first");
        if writer.is_due(now) {
            assert_eq!(writer.write(now).unwrap().records, 11);
            assert_eq!(open_and_closed(folder.path()), (1, 0));
            assert_eq!(read(folder.path()).len(), 11, "an open segment can be read");
        }
    }
    let written = writer.close(NOW + 3 * SECOND).unwrap();
    assert_eq!(written.records, 9);
    assert!(written.bytes > 0);
    assert_eq!(open_and_closed(folder.path()), (0, 1));
    read(folder.path())
        .iter()
        .zip(&records)
        .for_each(|(a, b)| assert_same(a, b));
    assert_eq!(
        writer.close(NOW).unwrap(),
        Written::default(),
        "there is nothing left"
    );
}

#[test]
fn a_segment_ends_when_it_is_full_or_old_and_the_oldest_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.segment_bytes = 1;
    options.max_bytes = 0;
    let mut writer = LogWriter::new(options.clone()).unwrap();
    let records = records(3);
    for (i, record) in records.iter().enumerate() {
        writer.push(record, NOW);
        // The clock stands still: names differ all the same.
        let written = writer.write(NOW).unwrap();
        assert_eq!((written.records, written.deleted), (1, 1), "block {i}");
    }
    assert_eq!(open_and_closed(folder.path()), (0, 0), "nothing may stay");

    options.max_bytes = 1 << 30;
    let mut writer = LogWriter::new(options.clone()).unwrap();
    for record in &records {
        writer.push(record, NOW);
        writer.write(NOW).unwrap();
    }
    assert_eq!(open_and_closed(folder.path()), (0, 3));
    read(folder.path())
        .iter()
        .zip(&records)
        .for_each(|(a, b)| assert_same(a, b));
    let newest = segments(folder.path()).unwrap().pop().unwrap();
    options.max_bytes = newest.bytes;
    assert_eq!(
        LogWriter::new(options.clone())
            .unwrap()
            .prepare()
            .unwrap()
            .deleted,
        2
    );
    assert_eq!(
        segments(folder.path()).unwrap(),
        [newest],
        "the newest stays"
    );

    options.segment_bytes = 1 << 20;
    let mut writer = LogWriter::new(options).unwrap();
    writer.push(&records[0], NOW);
    writer.write(NOW).unwrap();
    assert!(!writer.is_due(NOW + 3599 * SECOND));
    assert!(
        writer.is_due(NOW + 3600 * SECOND),
        "an hour after it was begun"
    );
    writer.write(NOW + 3600 * SECOND).unwrap();
    assert_eq!(open_and_closed(folder.path()).0, 0);
}

#[test]
fn what_a_killed_writer_left_is_closed_and_what_another_writes_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(2);
    let mut killed = LogWriter::new(options(folder.path())).unwrap();
    killed.push(&records[0], NOW);
    killed.write(NOW).unwrap();
    let mut other = LogWriter::new(options(folder.path())).unwrap();
    other.push(&records[1], NOW + 1);
    other.write(NOW + 1).unwrap();
    drop(killed);
    assert_eq!(open_and_closed(folder.path()), (2, 0));
    LogWriter::new(options(folder.path()))
        .unwrap()
        .prepare()
        .unwrap();
    assert_eq!(open_and_closed(folder.path()), (1, 1));
    other.push(&records[1], NOW + 2);
    assert_eq!(other.close(NOW + 2).unwrap().records, 1);
    assert_eq!(read(folder.path()).len(), 3);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("log");
    fs::write(&directory, "a file is in the way").unwrap();
    let mut writer = LogWriter::new(options(&directory)).unwrap();
    let said = writer.prepare().unwrap_err().to_string();
    assert!(said.contains(directory.to_str().unwrap()), "{said}");
    let records = records(3);
    writer.push(&records[0], NOW);
    let error = writer.write(NOW).unwrap_err();
    assert_eq!(error.records, 1);
    fs::remove_file(&directory).unwrap();
    writer.push(&records[1], NOW);
    assert_eq!(writer.write(NOW).unwrap().records, 1);
    let back = read(&directory);
    assert_eq!(back.len(), 1);
    assert_same(&back[0], &records[1]);
}

#[test]
fn a_folder_that_is_deleted_under_its_writer_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("log");
    let mut writer = LogWriter::new(options(&directory)).unwrap();
    let records = records(2);
    writer.push(&records[0], NOW);
    writer.write(NOW).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    writer.push(&records[1], NOW);
    assert_eq!(writer.write(NOW).unwrap().records, 1);
    let back = read(&directory);
    assert_eq!(back.len(), 1, "what is counted as written is there");
    assert_same(&back[0], &records[1]);
}

#[test]
fn what_was_written_is_told_though_the_segment_cannot_be_closed() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(2);
    for ends in [false, true] {
        let mut writer = LogWriter::new(options(folder.path())).unwrap();
        writer.push(&records[0], NOW);
        writer.write(NOW).unwrap();
        let open = segments(folder.path()).unwrap().pop().unwrap();
        assert!(open.is_open);
        fs::create_dir(open.path.with_extension("")).unwrap();
        writer.push(&records[1], NOW);
        let written = match ends {
            false => writer.write(NOW + 3600 * SECOND),
            true => writer.close(NOW),
        };
        let error = written.unwrap_err();
        assert_eq!((error.records, error.written.records), (0, 1), "{error}");
    }
    assert_eq!(read(folder.path()).len(), 4);
}

#[test]
fn other_files_are_no_segments() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.txt", ".probe-1", "b.open", "decisions"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    fs::create_dir(folder.path().join("c.decisions")).unwrap();
    assert_eq!(segments(folder.path()).unwrap(), []);
}
