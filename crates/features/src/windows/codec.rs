//! The bytes of a state.
//!
//! ```text
//! version:u8 = 2 | fingerprint:u64 | newest event:i64 µs | revision:u64       see `state_header`
//! | length:u32 of what is for writers | recent values | tracks | what is for writers: ids | origins
//!
//! recent values   per field: count:varint | (age:varint | value) newest first
//! tracks          per track and level: count:varint | tile newest first
//! tile            distance:varint | count:varint | folded
//! folded          of numbers: the one number's key:u64 if count is 1 and min or max is kept;
//!                 else those that are kept of sum:f64 | min:u64 | max:u64
//!                 of distinct values: how many:varint | hash:u64 each; or 0 | 512 registers:u8
//! ids             count:varint | (age:varint | hash:u64) newest first
//! origins         count:varint | (source:u64 | offset:i64) in the order they were heard of
//! ```
//! Little endian throughout; a varint is LEB128. An age is how long before the one before it, or
//! before the newest event, in microseconds; a distance is the same in tiles. A value is 8 bytes,
//! or a bool's 1, or a text's length:varint and UTF-8. The fingerprint is of the view and of
//! everything that says what is counted of an event, and how. What is for writers comes last, so
//! that a reader need not walk it.

use std::collections::VecDeque;

use super::WindowView;
use super::program::{Folds, Program, Track};
use super::recent::Newest;
use super::sketch::{EXACT, MAX_RANK, REGISTERS, Registers, Sketch};
use super::state::{MAX_IDS, MAX_ORIGINS, State};
use super::tiles::{Folded, Tile, Tiles};
use crate::events::FieldType;
use crate::row::Unreadable;
use crate::state_header::STATE_VERSION;
use crate::value::Value;

impl State {
    /// The state as it is stored under a revision, [`new_revision`](crate::new_revision) for a write.
    pub fn encode(&self, revision: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.push(STATE_VERSION);
        out.extend_from_slice(&self.program.fingerprint.to_le_bytes());
        out.extend_from_slice(&self.newest_us.to_le_bytes());
        out.extend_from_slice(&revision.to_le_bytes());
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        for newest in &self.recents {
            self.write_recent(&mut out, newest);
        }
        for (track, tiles) in self.program.tracks.iter().zip(&self.tracks) {
            self.write_track(&mut out, track, tiles);
        }
        let writers_at = out.len();
        self.write_ids(&mut out);
        varint(&mut out, self.origins.len() as u64);
        for (source, offset) in &self.origins {
            out.extend_from_slice(&source.to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
        let length = (out.len() - writers_at) as u32;
        out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        out
    }

    fn write_recent(&self, out: &mut Vec<u8>, newest: &Newest) {
        varint(out, newest.kept.len() as u64);
        let mut last = self.newest_us;
        for (time, value) in &newest.kept {
            varint(out, last.abs_diff(*time));
            last = *time;
            match value {
                Value::Bool(value) => out.push(u8::from(*value)),
                Value::Int64(value) => out.extend_from_slice(&value.to_le_bytes()),
                Value::Float32(value) => out.extend_from_slice(&value.to_le_bytes()),
                Value::Float64(value) => out.extend_from_slice(&value.to_le_bytes()),
                Value::String(text) => {
                    varint(out, text.len() as u64);
                    out.extend_from_slice(text.as_bytes());
                }
                // No field of an event is a list.
                Value::List(_) => {}
            }
        }
    }

    fn write_track(&self, out: &mut Vec<u8>, track: &Track, tiles: &Tiles) {
        for (level, tiles) in track.levels.iter().zip(&tiles.levels) {
            varint(out, tiles.len() as u64);
            let mut last = level.tile(self.newest_us);
            for tile in tiles.iter().rev() {
                varint(out, last.abs_diff(tile.index));
                last = tile.index;
                varint(out, tile.folded.count);
                write_folded(out, track.folds, tile);
            }
        }
    }

    fn write_ids(&self, out: &mut Vec<u8>) {
        varint(out, self.ids.len() as u64);
        let mut last = self.newest_us;
        for (time, hash) in self.ids.iter().rev() {
            varint(out, last.abs_diff(*time));
            last = *time;
            out.extend_from_slice(&hash.to_le_bytes());
        }
    }

    /// Reads what [`State::encode`] wrote.
    ///
    /// # Errors
    /// [`Unreadable::OtherFingerprint`] for a state that was written under other definitions,
    /// [`Unreadable::Corrupt`] for bytes that are no state.
    pub fn decode(view: &WindowView, bytes: &[u8]) -> Result<State, Unreadable> {
        let program = view.program();
        let (mut reader, head) = Reader::open(program, bytes)?;
        let mut state = State::new(view);
        state.newest_us = head.newest_us;
        state.revision = head.revision;
        read(&mut state, &mut reader).ok_or(Unreadable::Corrupt)?;
        Ok(state)
    }
}

fn write_folded(out: &mut Vec<u8>, folds: Folds, tile: &Tile) {
    let folded = &tile.folded;
    match folds {
        Folds::Events => {}
        Folds::Numbers { min, max, .. } if folded.count == 1 && (min || max) => {
            let key = if min { folded.min } else { folded.max };
            out.extend_from_slice(&key.to_le_bytes());
        }
        Folds::Numbers { sum, min, max, .. } => {
            if sum {
                out.extend_from_slice(&folded.sum.to_le_bytes());
            }
            if min {
                out.extend_from_slice(&folded.min.to_le_bytes());
            }
            if max {
                out.extend_from_slice(&folded.max.to_le_bytes());
            }
        }
        Folds::Distinct { .. } => match &tile.sketch {
            Sketch::Few(hashes) => {
                varint(out, hashes.len() as u64);
                for hash in hashes {
                    out.extend_from_slice(&hash.to_le_bytes());
                }
            }
            Sketch::Many(registers) => {
                varint(out, 0);
                out.extend_from_slice(&**registers);
            }
        },
    }
}

fn read(state: &mut State, reader: &mut Reader<'_>) -> Option<()> {
    let program = state.program.clone();
    for (recent, newest) in program.recents.iter().zip(&mut state.recents) {
        for _ in 0..reader.count(recent.length)? {
            let mut last = newest
                .kept
                .back()
                .map_or(state.newest_us, |(time, _)| *time);
            last = reader.earlier(last)?;
            newest.kept.push_back((last, reader.value(recent.kind)?));
        }
    }
    for (track, tiles) in program.tracks.iter().zip(&mut state.tracks) {
        for (level, tiles) in track.levels.iter().zip(&mut tiles.levels) {
            let mut last = level.tile(state.newest_us);
            for i in 0..reader.varint()? {
                let tile = reader.tile(track, last)?;
                // Newest first, each of them once.
                if i > 0 && tile.index == last {
                    return None;
                }
                last = tile.index;
                let sketch = match tile.sketch {
                    SketchBytes::Few(hashes) => Sketch::Few(hashes.collect()),
                    SketchBytes::Many(registers) => Sketch::Many(Box::new(*registers)),
                };
                tiles.push_front(Tile {
                    index: tile.index,
                    folded: tile.folded,
                    sketch,
                });
            }
        }
    }
    reader.begin_writers()?;
    let mut ids = VecDeque::new();
    let mut last = state.newest_us;
    for _ in 0..reader.count(MAX_IDS)? {
        last = reader.earlier(last)?;
        ids.push_front((last, reader.u64()?));
    }
    state.ids = ids;
    for _ in 0..reader.count(MAX_ORIGINS)? {
        let origin = (reader.u64()?, i64::from_le_bytes(reader.take()?));
        state.origins.push(origin);
    }
    reader.rest.is_empty().then_some(())
}

/// What every state begins with.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) newest_us: i64,
    pub(crate) revision: u64,
}

/// Reads a state's bytes from front to back; `None` where they are not what they should be.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'b> {
    rest: &'b [u8],
    writers_bytes: usize,
}

/// A tile as it lies in the bytes.
#[derive(Debug)]
pub(crate) struct TileBytes<'b> {
    pub(crate) index: i64,
    pub(crate) folded: Folded,
    pub(crate) sketch: SketchBytes<'b>,
}

#[derive(Debug)]
pub(crate) enum SketchBytes<'b> {
    Few(Hashes<'b>),
    Many(&'b Registers),
}

/// Ascending hashes of distinct values.
#[derive(Debug)]
pub(crate) struct Hashes<'b>(&'b [[u8; 8]]);

impl Iterator for Hashes<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*first))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl<'b> Reader<'b> {
    /// Reads the head, and stands before the recent values.
    pub(crate) fn open(program: &Program, bytes: &'b [u8]) -> Result<(Self, Head), Unreadable> {
        let mut reader = Reader {
            rest: bytes,
            writers_bytes: 0,
        };
        let head = reader
            .head(program.fingerprint)
            .ok_or(Unreadable::Corrupt)?;
        let head = head.ok_or(Unreadable::OtherFingerprint)?;
        Ok((reader, head))
    }

    /// `Some(None)` under another fingerprint.
    fn head(&mut self, fingerprint: u64) -> Option<Option<Head>> {
        if self.take::<1>()? != [STATE_VERSION] {
            return None;
        }
        if self.u64()? != fingerprint {
            return Some(None);
        }
        let head = Head {
            newest_us: i64::from_le_bytes(self.take()?),
            revision: self.u64()?,
        };
        self.writers_bytes = u32::from_le_bytes(self.take()?) as usize;
        Some(Some(head))
    }

    /// What is left is for writers, and all of it is there.
    pub(crate) fn begin_writers(&self) -> Option<()> {
        (self.rest.len() == self.writers_bytes).then_some(())
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(*head)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << shift;
            // What does not fit into 64 bits is lost by the shift.
            if shifted >> shift != bits {
                return None;
            }
            value |= shifted;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A count of at most `most`.
    pub(crate) fn count(&mut self, most: usize) -> Option<usize> {
        usize::try_from(self.varint()?)
            .ok()
            .filter(|count| *count <= most)
    }

    /// A time, or a tile, that is written as its distance from a later one.
    pub(crate) fn earlier(&mut self, later: i64) -> Option<i64> {
        later.checked_sub_unsigned(self.varint()?)
    }

    fn value(&mut self, kind: FieldType) -> Option<Value> {
        Some(match kind {
            FieldType::Bool => match self.take()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return None,
            },
            FieldType::Int64 => Value::Int64(i64::from_le_bytes(self.take()?)),
            FieldType::Float64 => Value::Float64(f64::from_le_bytes(self.take()?)),
            FieldType::String => Value::String(self.text()?.into()),
        })
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = self.varint()?.try_into().ok()?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }

    /// Passes over a recent value and its age, if it is sound.
    pub(crate) fn skip_recent(&mut self, kind: FieldType) -> Option<()> {
        self.varint()?;
        match kind {
            FieldType::String => self.text().map(drop),
            _ => self.value(kind).map(drop),
        }
    }

    /// A recent value, whatever its age.
    pub(crate) fn recent(&mut self, kind: FieldType) -> Option<Value> {
        self.varint()?;
        self.value(kind)
    }

    /// A tile that comes after the one of index `last`.
    pub(crate) fn tile(&mut self, track: &Track, last: i64) -> Option<TileBytes<'b>> {
        let index = self.earlier(last)?;
        let count = self.varint()?;
        let mut folded = Folded {
            count,
            ..Folded::NOTHING
        };
        let mut sketch = SketchBytes::Few(Hashes(&[]));
        match track.folds {
            Folds::Events => {}
            Folds::Numbers { min, max, .. } if count == 1 && (min || max) => {
                folded = Folded::one(track.folds, self.u64()?);
            }
            Folds::Numbers { sum, min, max, .. } => {
                if sum {
                    folded.sum = f64::from_le_bytes(self.take()?);
                }
                if min {
                    folded.min = self.u64()?;
                }
                if max {
                    folded.max = self.u64()?;
                }
            }
            Folds::Distinct { .. } => sketch = self.sketch()?,
        }
        Some(TileBytes {
            index,
            folded,
            sketch,
        })
    }

    fn sketch(&mut self) -> Option<SketchBytes<'b>> {
        let count = self.count(EXACT)?;
        if count == 0 {
            let (registers, rest) = self.rest.split_first_chunk::<REGISTERS>()?;
            self.rest = rest;
            let sound = registers.iter().all(|rank| *rank <= MAX_RANK);
            return sound.then_some(SketchBytes::Many(registers));
        }
        let (hashes, rest) = self.rest.split_at_checked(8 * count)?;
        self.rest = rest;
        let (hashes, _) = hashes.as_chunks::<8>();
        let ascending = Hashes(hashes).is_sorted_by(|a, b| a < b);
        ascending.then_some(SketchBytes::Few(Hashes(hashes)))
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
