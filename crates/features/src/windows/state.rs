//! What is kept of one entity's events, and how one more is applied.

use std::collections::VecDeque;
use std::sync::Arc;

use super::WindowView;
use super::program::Program;
use super::recent::Newest;
use super::tiles::Tiles;
use crate::events::Event;

/// The most ids of recent events that an entity remembers.
pub(crate) const MAX_IDS: usize = 512;
/// The most origins whose last offset an entity remembers: those that it heard of last.
pub(crate) const MAX_ORIGINS: usize = 64;

/// What is kept of the events of one entity, for one view.
///
/// The same events in the same order make the same state, however they are cut into batches, and
/// whether or not it was encoded and decoded in between.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub(crate) program: Arc<Program>,
    pub(crate) revision: u64,
    /// Time of the newest event; `i64::MIN` before the first.
    pub(crate) newest_us: i64,
    pub(crate) recents: Vec<Newest>,
    pub(crate) tracks: Vec<Tiles>,
    /// Time and hash of the id of events within lateness, ascending by time.
    pub(crate) ids: VecDeque<(i64, u64)>,
    /// Each origin's last offset; the origin that was heard of last comes last.
    pub(crate) origins: Vec<(u64, i64)>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    Counted,
    /// An event with its id was counted before.
    Duplicate,
    /// Its origin has been read past its offset before.
    Replayed,
    /// Older than the entity's newest event by more than the lateness of its type.
    Late,
}

impl Applied {
    /// A metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Applied::Counted => "counted",
            Applied::Duplicate => "duplicate",
            Applied::Replayed => "replayed",
            Applied::Late => "late",
        }
    }
}

impl State {
    /// The state of an entity of which nothing is known.
    pub fn new(view: &WindowView) -> State {
        let program = Arc::clone(view.program());
        State {
            revision: 0,
            newest_us: i64::MIN,
            recents: program.recents.iter().map(|_| Newest::new()).collect(),
            tracks: program.tracks.iter().map(Tiles::new).collect(),
            ids: VecDeque::new(),
            origins: Vec::new(),
            program,
        }
    }

    /// Which write of the entity's state this was read from; 0 for none.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Time of the newest event in microseconds since the Unix epoch; `None` before the first.
    pub fn newest_us(&self) -> Option<i64> {
        (self.newest_us != i64::MIN).then_some(self.newest_us)
    }

    /// Applies an event of the view's type that is about this entity.
    ///
    /// `origin` is where it was read: a source, such as a hash of topic and partition or of a file,
    /// and an offset that grows within it. It makes reading again from an earlier offset safe. The
    /// state remembers the offset of an event that is not counted, too.
    pub fn apply(&mut self, event: &Event, origin: Option<(u64, i64)>) -> Applied {
        if origin.is_some_and(|origin| !self.advance(origin)) {
            return Applied::Replayed;
        }
        let mut ids = self.ids.iter();
        if event
            .id
            .is_some_and(|id| ids.any(|(_, known)| *known == id))
        {
            return Applied::Duplicate;
        }
        let oldest_us = self.newest_us.saturating_sub(self.program.lateness_us);
        if event.time_us < oldest_us {
            return Applied::Late;
        }
        let time_us = event.time_us;
        let passed = time_us > self.newest_us;
        self.newest_us = self.newest_us.max(time_us);
        self.remember(time_us, event.id);
        let program = &self.program;
        for (track, tiles) in program.tracks.iter().zip(&mut self.tracks) {
            if passed {
                tiles.roll(track, time_us);
            }
            tiles.add(track, self.newest_us, time_us, &event.values);
        }
        for (recent, newest) in program.recents.iter().zip(&mut self.recents) {
            newest.add(recent, time_us, &event.values);
        }
        Applied::Counted
    }

    /// False when the origin has been read past this offset.
    fn advance(&mut self, (source, offset): (u64, i64)) -> bool {
        let known = self.origins.iter().position(|(known, _)| *known == source);
        match known {
            Some(place) if offset <= self.origins[place].1 => return false,
            Some(place) => _ = self.origins.remove(place),
            None if self.origins.len() == MAX_ORIGINS => _ = self.origins.remove(0),
            None => {}
        }
        self.origins.push((source, offset));
        true
    }

    /// Remembers an id, and forgets those that are too many and those of which an event would be
    /// late by now.
    fn remember(&mut self, time_us: i64, id: Option<u64>) {
        if let Some(id) = id {
            let place = self.ids.partition_point(|(known, _)| *known <= time_us);
            self.ids.insert(place, (time_us, id));
        }
        let oldest_us = self.newest_us.saturating_sub(self.program.lateness_us);
        while self.ids.len() > MAX_IDS
            || self.ids.front().is_some_and(|(time, _)| *time < oldest_us)
        {
            self.ids.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
