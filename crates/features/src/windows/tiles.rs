//! Tiles of one track: what was counted in each short span of event time.
//!
//! ```text
//! level 0 (shortest window)            ▕▁▁▁▁▁▁▏ newest
//! level 1                 ▕▁▁▁▁▁▁▁▁▁▁▁▁▏ ▲ left its window: merged into the next level's tile
//! level 2    ▕▁▁▁▁▁▁▁▁▁▁▁▁▁▏                  ...and dropped at the end of the last
//! ```
//! Every event is in one tile of one level: the first level whose window, measured from the newest
//! event, holds it. So a window's events are in the tiles of its own level and of those above,
//! and their starts say which of them are in it, because its first tile begins at a multiple of
//! its own tile, and every finer tile lies whole within one of those.

use std::collections::VecDeque;

use super::hash;
use super::ordered;
use super::program::{Folds, Level, Track};
use super::sketch::Sketch;
use crate::value::Value;

/// The tiles of each level, oldest first, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tiles {
    pub(crate) levels: Vec<VecDeque<Tile>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tile {
    /// Start, as a multiple of the level's tile length since the Unix epoch.
    pub(crate) index: i64,
    pub(crate) folded: Folded,
    /// Empty unless the track counts distinct values.
    pub(crate) sketch: Sketch,
}

/// What the events of a tile, or of a window, come to. What a track does not keep stays as in
/// [`Folded::NOTHING`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Folded {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// Keys of `ordered`.
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Folded {
    pub(crate) const NOTHING: Folded = Folded {
        count: 0,
        sum: 0.0,
        min: u64::MAX,
        max: 0,
    };

    /// One event; `key` is of its number, for a track of numbers.
    pub(crate) fn one(folds: Folds, key: u64) -> Folded {
        let mut folded = Folded {
            count: 1,
            ..Folded::NOTHING
        };
        if let Folds::Numbers {
            kind,
            sum,
            min,
            max,
            ..
        } = folds
        {
            if sum {
                folded.sum = ordered::number(kind, key).to_f64();
            }
            if min {
                folded.min = key;
            }
            if max {
                folded.max = key;
            }
        }
        folded
    }

    pub(crate) fn add(&mut self, other: Folded) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

impl Tiles {
    pub(crate) fn new(track: &Track) -> Self {
        Tiles {
            levels: track.levels.iter().map(|_| VecDeque::new()).collect(),
        }
    }

    /// Moves tiles that have left their level's window on to the next level.
    pub(crate) fn roll(&mut self, track: &Track, newest_us: i64) {
        for (i, level) in track.levels.iter().enumerate() {
            let first = level.first_tile(newest_us);
            let (these, longer) = self.levels.split_at_mut(i + 1);
            let (Some(tiles), next) = (these.last_mut(), longer.first_mut()) else {
                return;
            };
            let mut next = next.zip(track.levels.get(i + 1));
            while tiles.front().is_some_and(|tile| tile.index < first) {
                if let Some(tile) = tiles.pop_front()
                    && let Some((tiles, coarser)) = &mut next
                {
                    let index = tile.index.div_euclid(coarser.tile_us / level.tile_us);
                    let merged = entry(tiles, index);
                    merged.folded.add(tile.folded);
                    merged.sketch.merge(tile.sketch);
                }
            }
        }
    }

    /// Counts an event. `newest_us` is the time of the newest event, this one included.
    pub(crate) fn add(
        &mut self,
        track: &Track,
        newest_us: i64,
        time_us: i64,
        values: &[Option<Value>],
    ) {
        let value = |of: usize| values.get(of).and_then(Option::as_ref);
        let (key, hash) = match track.folds {
            Folds::Events => (0, None),
            Folds::Numbers { of, .. } => match value(of).and_then(ordered::key) {
                Some(key) => (key, None),
                None => return,
            },
            Folds::Distinct { of } => match value(of) {
                Some(value) => (0, Some(hash::value(value))),
                None => return,
            },
        };
        let holds = |level: &Level| level.tile(time_us) >= level.first_tile(newest_us);
        let Some(place) = track.levels.iter().position(holds) else {
            return;
        };
        let tile = entry(&mut self.levels[place], track.levels[place].tile(time_us));
        tile.folded.add(Folded::one(track.folds, key));
        if let Some(hash) = hash {
            tile.sketch.insert(hash);
        }
    }
}

/// The tile of that index; an empty one is made where there is none. Nearly always it is the last.
fn entry(tiles: &mut VecDeque<Tile>, index: i64) -> &mut Tile {
    let place = match tiles.back() {
        Some(last) if last.index == index => tiles.len() - 1,
        Some(last) if last.index > index => tiles.partition_point(|tile| tile.index < index),
        _ => tiles.len(),
    };
    if tiles.get(place).is_none_or(|tile| tile.index != index) {
        let tile = Tile {
            index,
            folded: Folded::NOTHING,
            sketch: Sketch::EMPTY,
        };
        tiles.insert(place, tile);
    }
    &mut tiles[place]
}
