//! The bytes of a segment: a header, then blocks, each of which can be read by itself.
//!
//! ```text
//!  header  "GAVELLOG" | version u32 | CRC-32 of these                                    16 bytes
//!  block   marker | records u32 | first, last time of receipt i64, i64 (µs)              40 bytes
//!          | length u32 | stored length u32 | CRC-32 of what is stored | CRC-32 of this head
//!          then what is stored: zstd of  ( 0 schema | 1 number of the schema, record )*
//! ```
//! Little endian. The schemas of a block's records are in the block, so that one that is damaged costs
//! no other; repeated text costs little once it is compressed.

use std::sync::Arc;

use crate::{
    bytes::{Malformed, Take, put_u64},
    codec::{put_record, put_schema, take_record, take_schema},
    record::{Record, Schema},
};

pub(crate) const HEADER_BYTES: usize = 16;
pub(crate) const HEAD_BYTES: usize = 40;
pub(crate) const VERSION: u32 = 1;
/// The most that a block may hold before it is compressed: a reader sets aside no more.
pub(crate) const MAX_BLOCK_BYTES: usize = 64 * 1024 * 1024;
const MAGIC: &[u8; 8] = b"GAVELLOG";
const MARKER: [u8; 4] = [0xb1, 0x0c, 0x6a, 0x7e];
const SCHEMA: u8 = 0;
const RECORD: u8 = 1;
/// Fast; a higher one saves a tenth of the bytes for twice the time.
const COMPRESSION_LEVEL: i32 = 1;

pub(crate) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// The format's version; `None` if this is no header.
pub(crate) fn version(header: &[u8; HEADER_BYTES]) -> Option<u32> {
    let [rest @ .., a, b, c, d] = header;
    let is_ours =
        rest.starts_with(MAGIC) && crc32fast::hash(rest) == u32::from_le_bytes([*a, *b, *c, *d]);
    let [.., a, b, c, d] = rest;
    is_ours.then(|| u32::from_le_bytes([*a, *b, *c, *d]))
}

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) records: u32,
    pub(crate) first_us: i64,
    pub(crate) last_us: i64,
    pub(crate) length: u32,
    pub(crate) stored: u32,
    pub(crate) crc: u32,
}

impl Head {
    fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&MARKER);
        put(&self.records.to_le_bytes());
        put(&self.first_us.to_le_bytes());
        put(&self.last_us.to_le_bytes());
        put(&self.length.to_le_bytes());
        put(&self.stored.to_le_bytes());
        put(&self.crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..HEAD_BYTES - 4]);
        bytes[HEAD_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` if these bytes are no head.
    pub(crate) fn of_bytes(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        // A search for the next head looks at every byte: the checksum is for what may be one.
        if !bytes.starts_with(&MARKER) {
            return None;
        }
        let mut take = Take::new(&bytes[MARKER.len()..]);
        let head = Self {
            records: u32::from_le_bytes(take.exactly().ok()?),
            first_us: i64::from_le_bytes(take.exactly().ok()?),
            last_us: i64::from_le_bytes(take.exactly().ok()?),
            length: u32::from_le_bytes(take.exactly().ok()?),
            stored: u32::from_le_bytes(take.exactly().ok()?),
            crc: u32::from_le_bytes(take.exactly().ok()?),
        };
        let crc = u32::from_le_bytes(take.exactly().ok()?);
        let whole = crc == crc32fast::hash(&bytes[..HEAD_BYTES - 4]);
        (whole && head.length as usize <= MAX_BLOCK_BYTES).then_some(head)
    }
}

/// Records on their way into one block.
pub(crate) struct Batch {
    raw: Vec<u8>,
    schemas: Vec<Arc<Schema>>,
    records: u32,
    first_us: i64,
    last_us: i64,
    compressor: zstd::bulk::Compressor<'static>,
}

impl Batch {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            raw: Vec::new(),
            schemas: Vec::new(),
            records: 0,
            first_us: i64::MAX,
            last_us: i64::MIN,
            compressor: zstd::bulk::Compressor::new(COMPRESSION_LEVEL)?,
        })
    }

    /// Adds a record; `false` if it alone is larger than a block may be.
    pub(crate) fn push(&mut self, record: &Record) -> bool {
        let (length, schemas) = (self.raw.len(), self.schemas.len());
        let number = self.schema(&record.schema);
        self.raw.push(RECORD);
        put_u64(&mut self.raw, number as u64);
        put_record(&mut self.raw, record);
        if self.raw.len() > MAX_BLOCK_BYTES {
            self.raw.truncate(length);
            self.schemas.truncate(schemas);
            return false;
        }
        self.records += 1;
        self.first_us = self.first_us.min(record.received_us);
        self.last_us = self.last_us.max(record.received_us);
        true
    }

    fn schema(&mut self, schema: &Arc<Schema>) -> usize {
        let mut known = self.schemas.iter();
        if let Some(number) = known.position(|k| Arc::ptr_eq(k, schema) || k == schema) {
            return number;
        }
        self.raw.push(SCHEMA);
        put_schema(&mut self.raw, schema);
        self.schemas.push(Arc::clone(schema));
        self.schemas.len() - 1
    }

    /// How much there is, before it is compressed.
    pub(crate) fn len_bytes(&self) -> usize {
        self.raw.len()
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// The block, and an empty batch after it.
    pub(crate) fn take_block(&mut self) -> std::io::Result<Vec<u8>> {
        let block = self.block();
        self.raw.clear();
        self.schemas.clear();
        self.records = 0;
        (self.first_us, self.last_us) = (i64::MAX, i64::MIN);
        block
    }

    fn block(&mut self) -> std::io::Result<Vec<u8>> {
        let stored = self.compressor.compress(&self.raw)?;
        let head = Head {
            records: self.records,
            first_us: self.first_us,
            last_us: self.last_us,
            length: self.raw.len() as u32,
            stored: stored.len() as u32,
            crc: crc32fast::hash(&stored),
        };
        let mut block = head.to_bytes().to_vec();
        block.extend_from_slice(&stored);
        Ok(block)
    }
}

/// Reads what a block stores, of which the checksum has been seen to be right.
pub(crate) fn read(head: &Head, stored: &[u8]) -> Result<Vec<Record>, Malformed> {
    let raw = zstd::bulk::decompress(stored, head.length as usize).map_err(|_| Malformed)?;
    let mut take = Take::new(&raw);
    let mut schemas: Vec<Arc<Schema>> = Vec::new();
    let mut records = Vec::new();
    while !take.is_empty() {
        match take.u8()? {
            SCHEMA => schemas.push(Arc::new(take_schema(&mut take)?)),
            RECORD => {
                let number = usize::try_from(take.u64()?).map_err(|_| Malformed)?;
                let schema = schemas.get(number).ok_or(Malformed)?;
                records.push(take_record(&mut take, schema)?);
            }
            _ => return Err(Malformed),
        }
    }
    if records.len() != head.records as usize {
        return Err(Malformed);
    }
    Ok(records)
}
