//! Reading a segment: its blocks, and what of it is damaged or was cut off.
//!
//! ```text
//!  header ─► block ─► block ─► (damage: up to the next head that is whole) ─► block ─► (the cut) end
//! ```

use std::io::{self, Read, Seek, SeekFrom};

use crate::{
    block::{self, HEAD_BYTES, HEADER_BYTES, Head, VERSION},
    error::ReadError,
    record::Record,
};

/// How much is searched for the next head at a time.
const WINDOW_BYTES: usize = 64 * 1024;

/// A segment that is read from its beginning to its end.
#[derive(Debug)]
pub struct SegmentReader<R> {
    source: R,
    /// Where the next block should begin.
    at: u64,
    length: u64,
}

/// A part of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Records.
    Block(Block),
    /// Bytes that are none.
    Damage(Damage),
}

/// A block: what it says of its records, which are read by [`SegmentReader::records`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    head: Head,
    at: u64,
}

/// Bytes that could not be read as records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin, in bytes from the segment's beginning.
    pub at: u64,
    /// How many they are.
    pub bytes: u64,
    /// How many records were in them, where that is known.
    pub records: Option<u32>,
    /// Whether the segment ends with them, as one does that was cut off while it was written.
    pub is_cut: bool,
}

impl Block {
    /// How many records are in it.
    pub fn records(&self) -> u32 {
        self.head.records
    }

    /// The earliest time of receipt, in microseconds since the Unix epoch.
    pub fn first_us(&self) -> i64 {
        self.head.first_us
    }

    /// The latest, likewise.
    pub fn last_us(&self) -> i64 {
        self.head.last_us
    }

    fn end(&self) -> u64 {
        self.at + HEAD_BYTES as u64 + u64::from(self.head.stored)
    }
}

impl<R: Read + Seek> SegmentReader<R> {
    /// Reads the header. An empty source is a segment without records: its writer had just begun.
    ///
    /// # Errors
    /// It is no segment, or a newer program's.
    pub fn new(mut source: R) -> Result<Self, ReadError> {
        let length = source.seek(SeekFrom::End(0))?;
        let mut reader = Self {
            source,
            at: 0,
            length,
        };
        if length < HEADER_BYTES as u64 {
            let mut begun = vec![0; length as usize];
            reader.read_at(0, &mut begun)?;
            return match block::header().starts_with(&begun) {
                true => Ok(reader),
                false => Err(ReadError::NoSegment),
            };
        }
        let mut header = [0; HEADER_BYTES];
        reader.read_at(0, &mut header)?;
        reader.at = HEADER_BYTES as u64;
        match block::version(&header) {
            Some(VERSION) => Ok(reader),
            Some(version) => Err(ReadError::Version(version)),
            None => Err(ReadError::NoSegment),
        }
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        if self.at >= self.length {
            return Ok(None);
        }
        // One whose end is not there was cut off.
        if let Some(block) = self.block_at(self.at)?
            && block.end() <= self.length
        {
            self.at = block.end();
            return Ok(Some(Piece::Block(block)));
        }
        let at = self.at;
        let next = match at < HEADER_BYTES as u64 {
            true => None,
            false => self.find_block(at + 1)?,
        };
        self.at = next.unwrap_or(self.length);
        Ok(Some(Piece::Damage(Damage {
            at,
            bytes: self.at - at,
            records: None,
            is_cut: next.is_none(),
        })))
    }

    /// The records of a block, or the damage to it.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn records(&mut self, block: &Block) -> io::Result<Result<Vec<Record>, Damage>> {
        let mut stored = vec![0; block.head.stored as usize];
        self.read_at(block.at + HEAD_BYTES as u64, &mut stored)?;
        let whole = crc32fast::hash(&stored) == block.head.crc;
        let records = whole.then(|| block::read(&block.head, &stored).ok());
        Ok(records.flatten().ok_or(Damage {
            at: block.at,
            bytes: block.end() - block.at,
            records: Some(block.head.records),
            is_cut: false,
        }))
    }

    fn block_at(&mut self, at: u64) -> io::Result<Option<Block>> {
        if self.length - at < HEAD_BYTES as u64 {
            return Ok(None);
        }
        let mut bytes = [0; HEAD_BYTES];
        self.read_at(at, &mut bytes)?;
        Ok(Head::of_bytes(&bytes).map(|head| Block { head, at }))
    }

    /// Where the next head is that is whole, with all that it says is stored after it.
    fn find_block(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut window = vec![0; WINDOW_BYTES + HEAD_BYTES - 1];
        let mut at = from;
        while self.length.saturating_sub(at) >= HEAD_BYTES as u64 {
            let length = (self.length - at).min(window.len() as u64) as usize;
            self.read_at(at, &mut window[..length])?;
            for (i, bytes) in window[..length].windows(HEAD_BYTES).enumerate() {
                let found = <&[u8; HEAD_BYTES]>::try_from(bytes).ok();
                let Some(head) = found.and_then(Head::of_bytes) else {
                    continue;
                };
                let at = at + i as u64;
                if (Block { head, at }).end() <= self.length {
                    return Ok(Some(at));
                }
            }
            at += WINDOW_BYTES as u64;
        }
        Ok(None)
    }

    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(at))?;
        self.source.read_exact(bytes)
    }
}

#[cfg(test)]
mod tests;
