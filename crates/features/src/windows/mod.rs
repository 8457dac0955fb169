//! Features over windows of events: the state of an entity, and what it says at a moment.
//!
//! ```text
//! Event ── State::apply ──► State ── encode ──► stored bytes ── evaluate at a moment ──► values
//!             ▲                                      │
//!             └────────────── State::decode ─────────┘
//! ```
//! A state holds no final values but tiles: short spans of event time with what was counted in
//! them. So a count of the last hour is right an hour later without any new event. The gateway
//! reads, `gavel ingest` writes and `gavel features history` replays with the same two functions.
//!
//! # What a window holds
//! The window of length `w` at moment `t` holds every applied event with
//! `time >= floor_g(max(t, newest) - w)`, where `newest` is the time of the entity's newest event
//! and `g` the window's tile: at most a sixtieth of the window in whole tiles (see `ladder`), so a
//! window reaches back `w` and up to one tile more. It has no end but the newest event. An event
//! older than `newest` by more than its type's lateness is not applied.
//!
//! Tiles are nested: a longer window's tile is a multiple of a shorter one's. A tile that has left
//! the shorter window is added to the longer one's; what has left the longest is dropped. That
//! happens while events are applied and depends on nothing but the state and the event, so the
//! bytes are the same whatever the batches.
//!
//! Sums are float64, added in the order in which events were applied and tiles merged: the same
//! order gives the same bits, another one may differ in the last of them.

mod codec;
mod evaluate;
pub(crate) mod hash;
mod ladder;
mod ordered;
mod program;
mod recent;
#[cfg(test)]
mod reference;
mod sketch;
mod state;
mod tiles;

use std::sync::Arc;
use std::time::Duration;

pub use evaluate::evaluate;
pub(crate) use evaluate::read;
pub(crate) use program::{Aggregate, Fold, MAX_RECENTS, MAX_SLOTS, Program, Windowed};
pub use state::{Applied, State};

use crate::catalog::{Source, View};
use crate::events::Event;
pub use crate::row::Unreadable;
use crate::value::Value;

/// A day, in microseconds: how much longer than its ttl an entity's state is remembered.
const KEPT_STALE_US: i64 = 86_400_000_000;

/// A view that is made from events. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowView {
    view: Arc<View>,
    program: Arc<Program>,
}

impl WindowView {
    pub(crate) fn new(view: &Arc<View>) -> Option<Self> {
        match &view.source {
            Source::Windows(program) => Some(WindowView {
                view: Arc::clone(view),
                program: Arc::clone(program),
            }),
            _ => None,
        }
    }

    /// The view's name in `features.toml`.
    pub fn name(&self) -> &str {
        &self.view.name
    }

    /// How long after its newest event an entity's values are not stale: at least its longest
    /// window; `None` for forever.
    pub fn ttl(&self) -> Option<Duration> {
        let micros = self.view.ttl_micros?;
        Some(Duration::from_micros(micros.unsigned_abs()))
    }

    /// How long after its newest event an entity is remembered: a day longer than its values are
    /// fresh, so that what is stale can be seen. From then on its values are missing, whether or not
    /// the store has deleted them. `None` for forever.
    pub fn kept_for(&self) -> Option<Duration> {
        kept_for_us(&self.view).map(|micros| Duration::from_micros(micros.unsigned_abs()))
    }

    /// The names of its features, in the order of the indices that [`evaluate`] hands out.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.view.features.iter().map(|feature| &*feature.name)
    }

    /// The entity that an event of this view's type is about: one value per part of the key, in
    /// the view's order; `None` when the event lacks one, and so does not touch this view.
    pub fn entity(&self, event: &Event) -> Option<Vec<Value>> {
        let key = self.program.key.iter();
        key.map(|place| event.values.get(*place)?.clone()).collect()
    }

    /// The name of the event type that it is made from.
    pub fn events(&self) -> &str {
        &self.program.events
    }

    pub(crate) fn program(&self) -> &Arc<Program> {
        &self.program
    }

    pub(crate) fn key_fields(&self) -> &[usize] {
        &self.program.key
    }

    fn sized(&self, feature: usize, value: Value) -> Value {
        self.view.features[feature].sized(value)
    }

    /// For messages.
    pub(crate) fn describe_key(&self) -> String {
        let names: Vec<String> = self
            .view
            .entities
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        names.join(" and ")
    }
}

/// [`WindowView::kept_for`], in microseconds.
pub(crate) fn kept_for_us(view: &View) -> Option<i64> {
    view.ttl_micros.map(|ttl| ttl.saturating_add(KEPT_STALE_US))
}
