//! Events are applied to the states of their entities, and the states are swapped in the store.
//!
//! ```text
//! batch ─► by (view, entity) ─► held states ─► apply ─► swap ─► held again
//!                          └ else one read ─┘            └ another writer was there: read, apply again
//! ```
//! States are held between batches, bounded in bytes; the store's revision tells when one that is held
//! is not the newest. A write that failed may have been made: its states are read again, and know from
//! their events' origins what they have.

use std::{collections::HashMap, sync::Arc, time::Duration};

use features::{
    Catalog, StateKey, StateWrite, Store, StoreError,
    windows::{Applied, State, WindowView},
};
use metrics::{Counter, Histogram};
use quick_cache::{Weighter, unsync::Cache};
use tokio::time::Instant;

use super::{meters, types::Typed};

/// The pause after a failure, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So many refusals in a row do not pass by themselves: a user that may not write, a key of another
/// type.
const REFUSALS: u32 = 5;
/// Events applied in one go; then others have their turn.
const TURN: usize = 256;
/// What a state takes in memory, as a multiple of its bytes in the store, roughly.
const IN_MEMORY: u64 = 3;

/// An event and where it was read: a source, and a position that grows within it.
#[derive(Clone, Debug)]
pub(crate) struct Sourced {
    pub(crate) typed: Typed,
    pub(crate) origin: (u64, i64),
}

/// Writes events into the states of one store.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Store,
    catalog: Arc<Catalog>,
    held: Cache<StateKey, Held, InBytes>,
    conflicts: Counter,
    write_seconds: Histogram,
    /// The store failed when it was last asked.
    down: bool,
    /// A state of other definitions was met, and said so.
    warned: bool,
}

/// A state as the store has it.
#[derive(Clone, Debug)]
struct Held {
    state: State,
    revision: u64,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct InBytes;

impl Weighter<StateKey, Held> for InBytes {
    fn weight(&self, _: &StateKey, held: &Held) -> u64 {
        held.bytes as u64 * IN_MEMORY + 128
    }
}

/// The events of a batch that are about one entity of one view.
#[derive(Debug)]
struct Group {
    key: StateKey,
    view: WindowView,
    /// Places in the batch, in order.
    events: Vec<u32>,
    /// What became of each.
    applied: Vec<Applied>,
}

impl Writer {
    /// Writes states of the catalog's views, and holds up to `held_bytes` of them in memory.
    pub(crate) fn new(store: Store, catalog: Arc<Catalog>, held_bytes: u64) -> Self {
        let entries = usize::try_from(held_bytes / 1024)
            .unwrap_or(usize::MAX)
            .max(16);
        Self {
            store,
            catalog,
            held: Cache::with_weighter(entries, held_bytes, InBytes),
            conflicts: meters::conflicts(),
            write_seconds: meters::write_seconds(),
            down: false,
            warned: false,
        }
    }

    /// The store that it writes to.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Applies events in their order and writes all states that they change, and then the notes.
    /// Returns when the store has them: what became of each event. A store that is down is waited for,
    /// until `until` if there is one; one that refuses is asked a few times.
    ///
    /// # Errors
    /// The store was still down at `until`, refuses, or is broken until it is opened again. Any of the
    /// events may have been counted.
    pub(crate) async fn write(
        &mut self,
        events: &[Sourced],
        notes: &[(&str, &[u8])],
        until: Option<Instant>,
    ) -> Result<Vec<Applied>, StoreError> {
        let mut open = group(&self.catalog, events);
        let mut done: Vec<Group> = Vec::with_capacity(open.len());
        let mut pause = FIRST_PAUSE;
        let mut refusals = 0;
        loop {
            match self.attempt(&mut open, &mut done, events, notes).await {
                Ok(()) if open.is_empty() => break,
                Ok(()) => self.conflicts.increment(open.len() as u64),
                Err(error @ StoreError::Broken { .. }) => {
                    if !self.down {
                        self.down = true;
                        tracing::error!("{error}");
                    }
                    return Err(error);
                }
                Err(error) => {
                    refusals = match error {
                        StoreError::Unavailable { .. } => 0,
                        _ => refusals + 1,
                    };
                    if refusals == REFUSALS {
                        return Err(error);
                    }
                    if !self.down && refusals == 0 {
                        self.down = true;
                        tracing::warn!("{error}; waiting for it, nothing is lost");
                    }
                    if until.is_some_and(|until| Instant::now() + pause >= until) {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        if self.down {
            self.down = false;
            tracing::info!("the feature store is there again");
        }
        Ok(outcomes(events.len(), &done))
    }

    /// One attempt at all open groups: those that were written move to `done`.
    async fn attempt(
        &mut self,
        open: &mut Vec<Group>,
        done: &mut Vec<Group>,
        events: &[Sourced],
        notes: &[(&str, &[u8])],
    ) -> Result<(), StoreError> {
        let mut held = self.load(open).await?;
        let mut writes = Vec::with_capacity(open.len());
        let mut writing = Vec::with_capacity(open.len());
        let mut turn = 0;
        for (place, (group, held)) in open.iter_mut().zip(&mut held).enumerate() {
            turn += group.events.len();
            if turn > TURN {
                turn = 0;
                tokio::task::yield_now().await;
            }
            if !group.apply(&mut held.state, events) {
                // All of it was written before.
                continue;
            }
            let revision = features::new_revision();
            let bytes = held.state.encode(revision);
            held.bytes = bytes.len();
            writes.push(StateWrite {
                key: group.key.clone(),
                expected: held.revision,
                bytes,
                expires_in: group.view.kept_for(),
            });
            writing.push((place, revision));
        }
        let started = Instant::now();
        let swapped = match (writes.is_empty(), notes.is_empty()) {
            (true, true) => Ok(vec![]),
            _ => self.store.swap_states(&writes, notes).await,
        };
        self.write_seconds.record(started.elapsed().as_secs_f64());
        let swapped = swapped?;
        let mut written = vec![true; open.len()];
        for ((place, revision), swapped) in writing.into_iter().zip(swapped) {
            held[place].revision = revision;
            written[place] = swapped;
        }
        let groups = std::mem::take(open).into_iter().zip(held).zip(written);
        for ((group, held), written) in groups {
            if written {
                self.held.insert(group.key.clone(), held);
                done.push(group);
            } else {
                open.push(group);
            }
        }
        Ok(())
    }

    /// The states of groups: those that are held, and one read for the others.
    async fn load(&mut self, groups: &[Group]) -> Result<Vec<Held>, StoreError> {
        // Taken out while they are worked on: what is dropped half-way is read again.
        let mut found: Vec<Option<Held>> = groups
            .iter()
            .map(|group| self.held.remove(&group.key).map(|(_, held)| held))
            .collect();
        let missing: Vec<usize> = (0..groups.len()).filter(|i| found[*i].is_none()).collect();
        if !missing.is_empty() {
            let keys: Vec<StateKey> = missing.iter().map(|i| groups[*i].key.clone()).collect();
            let read = self.store.read_states(&keys).await?;
            for (place, stored) in missing.into_iter().zip(read) {
                found[place] = Some(self.decode(&groups[place].view, stored));
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    fn decode(&mut self, view: &WindowView, stored: Option<Vec<u8>>) -> Held {
        let fresh = |revision| Held {
            state: State::new(view),
            revision,
            bytes: 0,
        };
        let Some(stored) = stored else {
            return fresh(0);
        };
        match State::decode(view, &stored) {
            Ok(state) => Held {
                revision: state.revision(),
                state,
                bytes: stored.len(),
            },
            Err(why) => {
                if !self.warned {
                    self.warned = true;
                    tracing::warn!(
                        view = view.name(),
                        ?why,
                        "what is stored of this view was written under other definitions, or is corrupt: its entities begin anew with the events that come; ingest older ones again to fill their windows"
                    );
                }
                fresh(features::revision(&stored).unwrap_or(0))
            }
        }
    }
}

impl Group {
    /// Whether the state was changed.
    fn apply(&mut self, state: &mut State, events: &[Sourced]) -> bool {
        let mut changed = false;
        for (i, place) in self.events.iter().enumerate() {
            let Sourced { typed, origin } = &events[*place as usize];
            let applied = state.apply(&typed.event, Some(*origin));
            changed |= applied != Applied::Replayed;
            match self.applied.get_mut(i) {
                None => self.applied.push(applied),
                // Replayed because an earlier attempt was written after all, which may show only
                // after others have failed: what the earlier one said counts.
                Some(_) if applied == Applied::Replayed => {}
                Some(earlier) => *earlier = applied,
            }
        }
        changed
    }
}

/// The groups of a batch, in the order of their first events.
fn group(catalog: &Catalog, events: &[Sourced]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::with_capacity(events.len());
    let mut places: HashMap<StateKey, usize> = HashMap::with_capacity(events.len());
    for (i, Sourced { typed, .. }) in events.iter().enumerate() {
        for view in typed.kind.views() {
            // An event that lacks the view's entity does not touch it.
            let entity = view.entity(&typed.event);
            let Some(key) = entity.and_then(|entity| catalog.state_key(view.name(), &entity))
            else {
                continue;
            };
            let place = *places.entry(key).or_insert_with_key(|key| {
                groups.push(Group {
                    key: key.clone(),
                    view: view.clone(),
                    events: Vec::with_capacity(1),
                    applied: Vec::with_capacity(1),
                });
                groups.len() - 1
            });
            groups[place].events.push(i as u32);
        }
    }
    groups
}

/// What became of each event: of several views, what says most.
fn outcomes(events: usize, groups: &[Group]) -> Vec<Applied> {
    let rank = |applied: Applied| match applied {
        Applied::Replayed => 0,
        Applied::Late => 1,
        Applied::Duplicate => 2,
        Applied::Counted => 3,
    };
    let mut outcomes = vec![Applied::Replayed; events];
    for group in groups {
        for (place, applied) in group.events.iter().zip(&group.applied) {
            let outcome = &mut outcomes[*place as usize];
            if rank(*applied) > rank(*outcome) {
                *outcome = *applied;
            }
        }
    }
    outcomes
}

#[cfg(test)]
mod tests;
