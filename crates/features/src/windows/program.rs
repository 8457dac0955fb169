//! What a view's features need to be counted, compiled: tracks of tiles, recent values, outputs.
//!
//! Features that fold the same field share a track: sum, mean, min and max of an amount over three
//! windows are one track with three levels of tiles. Each (track, window) pair is a slot, which
//! evaluation fills once; each feature is an output that reads slots.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use super::{hash, ladder};
use crate::catalog::View;
use crate::events::{EventType, FieldType};
use crate::value::Dtype;

/// The most slots of a view: evaluation keeps them on the stack.
pub(crate) const MAX_SLOTS: usize = 64;
/// The most fields of which a view keeps recent values.
pub(crate) const MAX_RECENTS: usize = 16;

/// How one feature of a view is made from events. Fields are places in the event type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aggregate {
    Window(Windowed),
    /// The newest values of a field; `length` is 1 for `last`.
    Recent {
        of: usize,
        length: usize,
    },
    SinceLast,
    /// Of two counts or sums.
    Ratio {
        over: Windowed,
        under: Windowed,
    },
}

/// A fold of a field over a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Windowed {
    pub(crate) fold: Fold,
    /// `None` for a count.
    pub(crate) of: Option<usize>,
    pub(crate) window_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    Distinct,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Program {
    /// Of everything that the state's bytes depend on: whom they are about, what is counted of which
    /// part of an event, and their layout. See [`fingerprint`].
    pub(crate) fingerprint: u64,
    /// Name of the event type.
    pub(crate) events: Arc<str>,
    pub(crate) lateness_us: i64,
    /// The fields of the event that are the entity's key, in the view's order.
    pub(crate) key: Vec<usize>,
    pub(crate) tracks: Vec<Track>,
    pub(crate) recents: Vec<Recent>,
    /// One per feature of the view.
    pub(crate) outputs: Vec<Output>,
}

/// One field, folded over windows.
#[derive(Debug, PartialEq)]
pub(crate) struct Track {
    pub(crate) folds: Folds,
    /// One per window, from the shortest.
    pub(crate) levels: Vec<Level>,
    /// The slot of the shortest window; the others follow.
    pub(crate) first_slot: usize,
}

/// What a track keeps in each tile besides the count of its events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Folds {
    /// Nothing: it counts all events.
    Events,
    /// Events in which the number `of` is not null.
    Numbers {
        of: usize,
        kind: FieldType,
        sum: bool,
        min: bool,
        max: bool,
    },
    /// Events in which `of` is not null, and its distinct values.
    Distinct { of: usize },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    pub(crate) window_us: i64,
    pub(crate) tile_us: i64,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Recent {
    pub(crate) of: usize,
    pub(crate) kind: FieldType,
    pub(crate) length: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Output {
    pub(crate) what: What,
    pub(crate) dtype: Dtype,
}

#[derive(Debug, PartialEq)]
pub(crate) enum What {
    Slot(Term),
    /// The newest values of those kept in `recents`: one, or as many as the list's type has.
    Recent {
        recent: usize,
    },
    SinceLast,
    Ratio {
        over: Term,
        under: Term,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Term {
    pub(crate) fold: Fold,
    pub(crate) slot: usize,
    /// The type of what is folded; nothing is for a count.
    pub(crate) kind: FieldType,
}

impl Level {
    /// The first tile of the window at a moment, in microseconds since the Unix epoch.
    pub(crate) fn first_tile(self, moment_us: i64) -> i64 {
        moment_us
            .saturating_sub(self.window_us)
            .div_euclid(self.tile_us)
    }

    pub(crate) fn tile(self, time_us: i64) -> i64 {
        time_us.div_euclid(self.tile_us)
    }
}

/// A track before all of its windows are known.
#[derive(Default)]
struct Draft {
    sum: bool,
    min: bool,
    max: bool,
    windows: BTreeSet<u64>,
}

/// Tracks in a fixed order: events, then numbers, then distinct values, each by field.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TrackKey {
    Events,
    Numbers(usize),
    Distinct(usize),
}

impl Windowed {
    fn track(self) -> TrackKey {
        match (self.fold, self.of) {
            (Fold::Count, _) | (_, None) => TrackKey::Events,
            (Fold::Distinct, Some(of)) => TrackKey::Distinct(of),
            (_, Some(of)) => TrackKey::Numbers(of),
        }
    }
}

impl Aggregate {
    fn windowed(&self) -> impl Iterator<Item = Windowed> + use<> {
        let (first, second) = match *self {
            Aggregate::Window(windowed) => (Some(windowed), None),
            Aggregate::Ratio { over, under } => (Some(over), Some(under)),
            Aggregate::Recent { .. } | Aggregate::SinceLast => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// Where each pair of track and window has its slot.
type Slots = BTreeMap<(TrackKey, u64), usize>;

impl Program {
    /// `aggregates` are of the view's features, in their order, with their types. Of the view, its
    /// name and its entities are looked at; `key` says where the latter are in an event.
    pub(crate) fn compile(
        view: &View,
        events: &EventType,
        lateness_us: i64,
        key: Vec<usize>,
        aggregates: &[(Aggregate, Dtype)],
    ) -> Program {
        let all = || aggregates.iter().map(|(aggregate, _)| aggregate);
        let slots = slots(all());
        let tracks = tracks(events, all());
        let recents = recents(events, all());
        let output = |(aggregate, dtype): &(Aggregate, Dtype)| Output {
            what: what(aggregate, events, &slots, &recents),
            dtype: *dtype,
        };
        Program {
            fingerprint: fingerprint(view, events, &key, &tracks, &recents),
            events: Arc::clone(&events.name),
            lateness_us,
            key,
            outputs: aggregates.iter().map(output).collect(),
            tracks,
            recents,
        }
    }

    /// How many slots and how many fields' recent values these features need.
    pub(crate) fn needs<'a>(
        aggregates: impl Iterator<Item = &'a Aggregate> + Clone,
    ) -> (usize, usize) {
        (slots(aggregates.clone()).len(), lengths(aggregates).len())
    }
}

fn slots<'a>(aggregates: impl Iterator<Item = &'a Aggregate>) -> Slots {
    let windowed = aggregates.flat_map(Aggregate::windowed);
    let pairs: BTreeSet<_> = windowed
        .map(|windowed| (windowed.track(), windowed.window_us))
        .collect();
    pairs.into_iter().zip(0..).collect()
}

fn tracks<'a>(events: &EventType, aggregates: impl Iterator<Item = &'a Aggregate>) -> Vec<Track> {
    let mut drafts: BTreeMap<TrackKey, Draft> = BTreeMap::new();
    let mut windows: BTreeSet<u64> = BTreeSet::new();
    for windowed in aggregates.flat_map(Aggregate::windowed) {
        let draft = drafts.entry(windowed.track()).or_default();
        draft.sum |= matches!(windowed.fold, Fold::Sum | Fold::Mean);
        draft.min |= windowed.fold == Fold::Min;
        draft.max |= windowed.fold == Fold::Max;
        draft.windows.insert(windowed.window_us);
        windows.insert(windowed.window_us);
    }
    // A window has one tile in the whole view, so that its features are about the same events.
    let windows: Vec<u64> = windows.into_iter().collect();
    let tiles = ladder::tiles(&windows);
    let mut first_slot = 0;
    let track = |(key, draft): (TrackKey, Draft)| {
        let levels: Vec<Level> = windows
            .iter()
            .zip(&tiles)
            .filter(|(window, _)| draft.windows.contains(window))
            .map(|(window, tile)| Level {
                window_us: *window as i64,
                tile_us: *tile as i64,
            })
            .collect();
        let folds = match key {
            TrackKey::Events => Folds::Events,
            TrackKey::Numbers(of) => Folds::Numbers {
                of,
                kind: events.fields[of].kind,
                sum: draft.sum,
                min: draft.min,
                max: draft.max,
            },
            TrackKey::Distinct(of) => Folds::Distinct { of },
        };
        first_slot += levels.len();
        Track {
            first_slot: first_slot - levels.len(),
            folds,
            levels,
        }
    };
    drafts.into_iter().map(track).collect()
}

/// How many recent values of each field are kept: as many as the longest list of them has.
fn lengths<'a>(aggregates: impl Iterator<Item = &'a Aggregate>) -> BTreeMap<usize, usize> {
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    for aggregate in aggregates {
        if let Aggregate::Recent { of, length } = aggregate {
            let longest = lengths.entry(*of).or_default();
            *longest = (*length).max(*longest);
        }
    }
    lengths
}

fn recents<'a>(events: &EventType, aggregates: impl Iterator<Item = &'a Aggregate>) -> Vec<Recent> {
    let recent = |(of, length): (usize, usize)| Recent {
        of,
        kind: events.fields[of].kind,
        length,
    };
    lengths(aggregates).into_iter().map(recent).collect()
}

fn what(aggregate: &Aggregate, events: &EventType, slots: &Slots, recents: &[Recent]) -> What {
    let term = |windowed: Windowed| Term {
        fold: windowed.fold,
        slot: slots[&(windowed.track(), windowed.window_us)],
        kind: windowed
            .of
            .map_or(FieldType::Int64, |of| events.fields[of].kind),
    };
    match *aggregate {
        Aggregate::Window(windowed) => What::Slot(term(windowed)),
        Aggregate::Recent { of, .. } => What::Recent {
            recent: recents.partition_point(|recent| recent.of < of),
        },
        Aggregate::SinceLast => What::SinceLast,
        Aggregate::Ratio { over, under } => What::Ratio {
            over: term(over),
            under: term(under),
        },
    }
}

/// FNV-1a of a description of the view, of where in an event each thing is that it counts by, and of
/// the layout of its states. How late an event may be is no part of it, nor is how long a value holds.
fn fingerprint(
    view: &View,
    events: &EventType,
    key: &[usize],
    tracks: &[Track],
    recents: &[Recent],
) -> u64 {
    let path = |slot: usize| events.paths.path(slot).unwrap_or_default();
    let field = |of: usize| {
        let field = &events.fields[of];
        format!("{}:{} at {}\0", field.name, field.kind.name(), path(of))
    };
    let mut layout = format!("windows\0{}\0{}\0", view.name, events.name);
    for ((name, dtype), of) in view.entities.iter().zip(key) {
        // Writing to a string cannot fail.
        _ = write!(
            layout,
            "entity {name}:{} is {}",
            dtype.element().name(),
            field(*of)
        );
    }
    let [time, id] = events.time_and_id().map(path);
    _ = write!(
        layout,
        "time {} at {time}\0id at {id}\0",
        events.unit.name()
    );
    for track in tracks {
        let folds = match track.folds {
            Folds::Events => "events".to_owned(),
            Folds::Numbers {
                of, sum, min, max, ..
            } => format!("numbers {} {sum} {min} {max}", field(of)),
            Folds::Distinct { of } => format!("distinct {}", field(of)),
        };
        layout.push_str(&folds);
        for level in &track.levels {
            _ = write!(layout, " {}/{}", level.window_us, level.tile_us);
        }
        layout.push('\0');
    }
    for recent in recents {
        _ = write!(layout, "recent {} {}\0", field(recent.of), recent.length);
    }
    hash::fnv1a(layout.bytes())
}
