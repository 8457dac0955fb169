//! A segment of the decision log: as it is, behind a header, and as what one block stores, behind a head
//! whose checksums fit. It is read to its end or refused, and every byte of it is a block's or damage.
#![no_main]

use std::io::Cursor;

use decision_log::{Piece, SegmentReader};
use libfuzzer_sys::fuzz_target;

fn with_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

fn header() -> Vec<u8> {
    with_crc([&b"GAVELLOG"[..], &1u32.to_le_bytes()].concat())
}

/// A block that stores `raw` in a zstd frame of one raw block (RFC 8878, 3.1.1): it is not compressed,
/// so that the fuzzer sees what it changes.
fn block(records: u32, raw: &[u8]) -> Vec<u8> {
    let length = raw.len() as u32;
    let frame_head = [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &length.to_le_bytes()].concat();
    let block_head = (length << 3 | 1).to_le_bytes();
    let stored = [&frame_head, &block_head[..3], raw].concat();
    let head = [
        &[0xb1, 0x0c, 0x6a, 0x7e][..],
        &records.to_le_bytes(),
        &[0; 16],
        &length.to_le_bytes(),
        &(stored.len() as u32).to_le_bytes(),
        &crc32fast::hash(&stored).to_le_bytes(),
    ];
    [with_crc(head.concat()), stored].concat()
}

/// Reads all of it; gives how many records there were.
fn read(bytes: &[u8]) -> usize {
    let Ok(mut reader) = SegmentReader::new(Cursor::new(bytes)) else {
        return 0;
    };
    let mut records = 0;
    let mut damaged = 0;
    while let Some(piece) = reader.next_piece().expect("memory can be read") {
        match piece {
            Piece::Damage(damage) => {
                assert!(damage.at + damage.bytes <= bytes.len() as u64);
                assert_eq!(damage.is_cut, damage.at + damage.bytes == bytes.len() as u64);
                damaged += damage.bytes;
            }
            Piece::Block(block) => {
                if let Ok(read) = reader.records(&block).expect("memory can be read") {
                    assert_eq!(read.len(), block.records() as usize);
                    records += read.len();
                }
            }
        }
    }
    assert!(damaged <= bytes.len() as u64);
    records
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&[&header(), bytes].concat());
    let (records, raw) = match bytes {
        [] => (0, bytes),
        [records, raw @ ..] => (u32::from(*records), raw),
    };
    let whole = [header(), block(records, raw)].concat();
    let of_one = read(&whole);
    let twice = [&whole[..], &block(records, raw)].concat();
    assert_eq!(read(&twice), 2 * of_one);
});
