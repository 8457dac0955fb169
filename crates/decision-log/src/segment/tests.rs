//! Segments that were cut at every byte and damaged in every byte.

use std::io::Cursor;

use proptest::{collection::vec, prelude::*, strategy::ValueTree};

use super::*;
use crate::{
    block::{Batch, header},
    codec::tests::{assert_same, record, record_of, schema},
};

/// A segment of these blocks, and where each ends.
fn segment(blocks: &[Vec<Record>]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = header().to_vec();
    let mut batch = Batch::new().unwrap();
    let mut ends = Vec::new();
    for records in blocks {
        for record in records {
            assert!(batch.push(record));
        }
        bytes.extend(batch.take_block().unwrap());
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// Every record that can be read, and all damage.
fn read(bytes: &[u8]) -> Result<(Vec<Record>, Vec<Damage>), ReadError> {
    let mut reader = SegmentReader::new(Cursor::new(bytes))?;
    let (mut records, mut damages) = (Vec::new(), Vec::new());
    while let Some(piece) = reader.next_piece()? {
        match piece {
            Piece::Damage(damage) => damages.push(damage),
            Piece::Block(block) => match reader.records(&block)? {
                Ok(read) => records.extend(read),
                Err(damage) => damages.push(damage),
            },
        }
    }
    Ok((records, damages))
}

fn assert_all_same(a: &[Record], b: &[Record]) {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).for_each(|(a, b)| assert_same(a, b));
}

/// Blocks of which some share a schema.
fn blocks() -> impl Strategy<Value = Vec<Vec<Record>>> {
    let shared = schema().prop_flat_map(|schema| vec(record_of(schema), 1..4));
    let mixed = vec(record(), 1..3);
    vec(prop_oneof![shared, mixed], 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_come_back_in_order(blocks in blocks()) {
        let (bytes, _) = segment(&blocks);
        let (records, damages) = read(&bytes).unwrap();
        prop_assert_eq!(damages, []);
        assert_all_same(&records, &blocks.concat());
        let mut reader = SegmentReader::new(Cursor::new(&bytes)).unwrap();
        let Some(Piece::Block(first)) = reader.next_piece().unwrap() else { panic!("no block") };
        let times = blocks[0].iter().map(|record| record.received_us);
        prop_assert_eq!(first.first_us(), times.clone().min().unwrap());
        prop_assert_eq!(first.last_us(), times.max().unwrap());
        prop_assert_eq!(first.records() as usize, blocks[0].len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_segment_cut_at_any_byte_is_read_up_to_the_cut(blocks in blocks()) {
        let (bytes, ends) = segment(&blocks);
        for length in 0..=bytes.len() {
            let (records, damages) = read(&bytes[..length]).unwrap();
            let whole = ends.iter().filter(|end| **end <= length).count();
            assert_all_same(&records, &blocks[..whole].concat());
            let end = match whole {
                0 if length < HEADER_BYTES => 0,
                0 => HEADER_BYTES,
                whole => ends[whole - 1],
            };
            let left = (length - end) as u64;
            match &*damages {
                [] => prop_assert_eq!(left, 0),
                [cut] => prop_assert_eq!((cut.at, cut.bytes, cut.is_cut), (end as u64, left, true)),
                more => prop_assert!(false, "{:?}", more),
            }
        }
    }

    #[test]
    fn a_flipped_bit_costs_its_own_block_alone(blocks in blocks(), bit in 0u8..8) {
        let (whole, ends) = segment(&blocks);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            if at < HEADER_BYTES {
                prop_assert!(read(&bytes).is_err());
                continue;
            }
            let (records, damages) = read(&bytes).unwrap();
            let hit = ends.iter().filter(|end| **end <= at).count();
            let others = blocks.iter().enumerate().filter(|(i, _)| *i != hit);
            let others: Vec<Record> = others.flat_map(|(_, records)| records.clone()).collect();
            assert_all_same(&records, &others);
            prop_assert_eq!(damages.len(), 1, "byte {} of {}", at, whole.len());
            let start = if hit == 0 { HEADER_BYTES } else { ends[hit - 1] };
            prop_assert_eq!(damages[0].at, start as u64);
            prop_assert_eq!(damages[0].bytes, (ends[hit] - start) as u64);
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = read(&bytes);
        let _ = read(&[&header()[..], &bytes].concat());
    }
}

#[test]
fn what_follows_a_cut_is_found_again() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut sample = || record().new_tree(&mut runner).unwrap().current();
    let blocks = [vec![sample(), sample()], vec![sample()]];
    let (bytes, ends) = segment(&blocks);
    // Blocks whose first byte is gone, longer than what a search looks at at a time.
    let torn = &bytes[HEADER_BYTES + 1..ends[0]];
    let mut mended = bytes[..HEADER_BYTES].to_vec();
    while mended.len() < 3 * WINDOW_BYTES {
        mended.extend_from_slice(torn);
    }
    let at = mended.len();
    mended.extend_from_slice(&bytes[ends[0]..]);
    let (records, damages) = read(&mended).unwrap();
    assert_all_same(&records, &blocks[1]);
    let damaged: u64 = damages.iter().map(|damage| damage.bytes).sum();
    assert_eq!(damaged, (at - HEADER_BYTES) as u64);
}

#[test]
fn another_file_and_a_newer_one_are_refused_in_words() {
    let said = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(said(b"PAR1").contains("no segment of a decision log"));
    assert!(said(b"GAVELLOG but nothing that was written by it").contains("no segment"));
    let mut newer = header();
    newer[8] = 9;
    let crc = crc32fast::hash(&newer[..12]);
    newer[12..].copy_from_slice(&crc.to_le_bytes());
    assert!(said(&newer).contains("version 9"));
}
