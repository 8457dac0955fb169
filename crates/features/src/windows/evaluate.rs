//! What a state says at a moment: one pass over its bytes, newest tile first.

use std::sync::Arc;

use super::WindowView;
use super::codec::{Reader, SketchBytes};
use super::ordered::{Number, number};
use super::program::{Fold, Folds, MAX_RECENTS, MAX_SLOTS, Output, Program, Term, Track, What};
use super::sketch::Union;
use super::tiles::Folded;
use crate::row::Unreadable;
use crate::value::{Dtype, Value};

/// Reads the state of an entity and hands each feature's value at a moment to
/// `each(feature, value)`, in the order of [`WindowView::features`]; `None` is null. A count, a sum
/// and a count of distinct values of nothing is 0; any other aggregate of nothing is null. A list of
/// fewer values than its type has is filled up from the default.
///
/// `moment_us` is in microseconds since the Unix epoch; a moment before the newest event counts as
/// the moment of that event. Nothing is handed over unless all of what is read is sound. Returns the
/// time of the newest event in microseconds since the Unix epoch. Allocates for text and lists alone.
///
/// # Errors
/// [`Unreadable::OtherFingerprint`] for a state that was written under other definitions,
/// [`Unreadable::Corrupt`] for bytes that are no state.
pub fn evaluate(
    view: &WindowView,
    bytes: &[u8],
    moment_us: i64,
    mut each: impl FnMut(usize, Option<Value>),
) -> Result<i64, Unreadable> {
    let sized = |feature: usize, value: Option<Value>| {
        each(feature, value.map(|value| view.sized(feature, value)));
    };
    read(view.program(), bytes, moment_us, sized)
}

/// As [`evaluate`]; a list is as long as there are values.
pub(crate) fn read(
    program: &Program,
    bytes: &[u8],
    moment_us: i64,
    mut each: impl FnMut(usize, Option<Value>),
) -> Result<i64, Unreadable> {
    let (reader, head) = Reader::open(program, bytes)?;
    let moment_us = moment_us.max(head.newest_us);
    let found = Found::read(program, reader, head.newest_us, moment_us);
    let found = found.ok_or(Unreadable::Corrupt)?;
    for (feature, output) in program.outputs.iter().enumerate() {
        each(feature, found.value(program, output));
    }
    Ok(head.newest_us)
}

/// What was found in a state, before it is made into features.
struct Found<'b> {
    /// What each slot's window came to. `sum` of one of distinct values is how many there are.
    slots: [Folded; MAX_SLOTS],
    /// Of each field of which recent values are kept: how many there are, and where.
    recents: [Option<(usize, Reader<'b>)>; MAX_RECENTS],
    since_newest_us: i64,
}

impl<'b> Found<'b> {
    fn read(
        program: &Program,
        mut reader: Reader<'b>,
        newest_us: i64,
        moment_us: i64,
    ) -> Option<Self> {
        let mut found = Found {
            slots: [Folded::NOTHING; MAX_SLOTS],
            recents: [const { None }; MAX_RECENTS],
            since_newest_us: moment_us.saturating_sub(newest_us),
        };
        for (recent, kept) in program.recents.iter().zip(&mut found.recents) {
            let count = reader.count(recent.length)?;
            *kept = Some((count, reader.clone()));
            for _ in 0..count {
                reader.skip_recent(recent.kind)?;
            }
        }
        for track in &program.tracks {
            let slots = found.slots.get_mut(track.first_slot..)?;
            read_track(track, &mut reader, newest_us, moment_us, slots)?;
        }
        reader.begin_writers()?;
        Some(found)
    }

    fn value(&self, program: &Program, output: &Output) -> Option<Value> {
        match &output.what {
            What::Slot(term) => convert(self.term(*term)?, output.dtype),
            What::Recent { recent } => {
                let (count, mut reader) = self.recents[*recent].clone().filter(|(n, _)| *n > 0)?;
                let kind = program.recents[*recent].kind;
                let mut next = || held(reader.recent(kind)?, output.dtype.element().into());
                match output.dtype {
                    Dtype::List { length, .. } => {
                        let count = count.min(usize::from(length));
                        let values: Option<Arc<[Value]>> = (0..count).map(|_| next()).collect();
                        values.map(Value::List)
                    }
                    _ => next(),
                }
            }
            What::SinceLast => {
                let seconds = self.since_newest_us as f64 / 1e6;
                convert(Number::Float(seconds), output.dtype)
            }
            What::Ratio { over, under } => {
                let (over, under) = (self.term(*over)?.to_f64(), self.term(*under)?.to_f64());
                let ratio = (under != 0.0).then_some(over / under)?;
                convert(Number::Float(ratio), output.dtype)
            }
        }
    }

    fn term(&self, Term { fold, slot, kind }: Term) -> Option<Number> {
        let folded = &self.slots[slot];
        let any = folded.count > 0;
        match fold {
            Fold::Count => Some(Number::Integer(folded.count as i64)),
            Fold::Sum | Fold::Distinct => Some(Number::Float(folded.sum)),
            Fold::Mean => any.then(|| Number::Float(folded.sum / folded.count as f64)),
            Fold::Min => any.then(|| number(kind, folded.min)),
            Fold::Max => any.then(|| number(kind, folded.max)),
        }
    }
}

/// Adds up the tiles from the newest; where a window's first tile is passed, it is closed with
/// what there is so far. `slots` begins with the track's own.
fn read_track(
    track: &Track,
    reader: &mut Reader<'_>,
    newest_us: i64,
    moment_us: i64,
    slots: &mut [Folded],
) -> Option<()> {
    let mut sum = Folded::NOTHING;
    let mut union = matches!(track.folds, Folds::Distinct { .. }).then(Union::new);
    let mut open = 0;
    let mut close = |open: &mut usize, sum: &Folded, union: &Option<Union>| {
        let mut closed = *sum;
        if let Some(union) = union {
            closed.sum = union.count() as f64;
        }
        *slots.get_mut(*open)? = closed;
        *open += 1;
        Some(())
    };
    for (place, level) in track.levels.iter().enumerate() {
        let mut last = level.tile(newest_us);
        for _ in 0..reader.varint()? {
            let tile = reader.tile(track, last)?;
            last = tile.index;
            let start_us = tile.index.checked_mul(level.tile_us)?;
            while let Some(window) = track.levels.get(open)
                && window.tile(start_us) < window.first_tile(moment_us)
            {
                close(&mut open, &sum, &union)?;
            }
            if open == track.levels.len() {
                continue;
            }
            sum.add(tile.folded);
            match (&mut union, tile.sketch) {
                (Some(union), SketchBytes::Few(hashes)) => {
                    hashes.for_each(|hash| union.insert(hash));
                }
                (Some(union), SketchBytes::Many(registers)) => union.add(registers),
                (None, _) => {}
            }
        }
        // A longer window's tiles are older than everything in this one.
        if open == place {
            close(&mut open, &sum, &union)?;
        }
    }
    Some(())
}

/// `None` when the type can't hold it: what is too large is no number to decide with.
fn convert(number: Number, dtype: Dtype) -> Option<Value> {
    let value = match (dtype, number) {
        (Dtype::Int64, Number::Integer(value)) => Value::Int64(value),
        (Dtype::Int64, Number::Float(value)) => Value::Int64(value as i64),
        (Dtype::Float32, _) => Value::Float32(number.to_f64() as f32),
        (Dtype::Float64, _) => Value::Float64(number.to_f64()),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// A field's value as one of the feature's type.
fn held(value: Value, dtype: Dtype) -> Option<Value> {
    match (&value, dtype) {
        (Value::Bool(_), Dtype::Bool) | (Value::String(_), Dtype::String) => Some(value),
        (Value::Int64(value), _) => convert(Number::Integer(*value), dtype),
        _ => convert(Number::Float(value.as_f64()?), dtype),
    }
}
