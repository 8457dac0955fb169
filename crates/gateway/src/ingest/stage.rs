//! The writing stage: batches in, dead letters kept, states written, then acknowledged.

use std::sync::Arc;

use broker::Position;
use features::windows::Applied;
use tokio::sync::mpsc;

use super::{
    dead_letters::{DeadLetters, Letter},
    meters,
    observed::Observed,
    writer::{Sourced, Writer},
};
use crate::serve::Failure;

/// Batches that wait, at most.
pub(crate) const WAITING: usize = 4;
/// Events written together, at most: what waits is joined up to it.
const MAX_EVENTS: usize = 4000;

/// What was read in one piece.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Sourced>,
    pub(crate) letters: Vec<Letter>,
    /// Of topics: how far this goes.
    pub(crate) positions: Vec<Position>,
    /// Of files: how far this goes, the last one last.
    pub(crate) notes: Vec<Note>,
}

/// How far a file has been worked off, as the store keeps it.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) name: Arc<str>,
    pub(crate) bytes: Vec<u8>,
    /// Bytes of all files that are worked off with it.
    pub(crate) done_bytes: u64,
}

/// Batches that are written, and how far they go.
#[derive(Debug)]
pub(crate) struct Ack {
    pub(crate) batches: usize,
    pub(crate) positions: Vec<Position>,
}

/// What writes batches.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) writer: Writer,
    pub(crate) letters: DeadLetters,
    pub(crate) observed: Arc<Observed>,
    /// Events of topics had been counted before, and that was said.
    pub(crate) told_replayed: bool,
}

impl Stage {
    /// Writes until no more can come. A store that is down is waited for.
    ///
    /// # Errors
    /// A dead letter can't be kept, or the embedded store's disk failed. Nothing behind it was acknowledged.
    pub(crate) async fn run(
        mut self,
        mut batches: mpsc::Receiver<Batch>,
        acks: mpsc::UnboundedSender<Ack>,
    ) -> Result<(), Failure> {
        while let Some(mut batch) = batches.recv().await {
            let mut joined = 1;
            while batch.events.len() < MAX_EVENTS
                && let Ok(more) = batches.try_recv()
            {
                batch.join(more);
                joined += 1;
            }
            self.write(&batch).await?;
            let ack = Ack {
                batches: joined,
                positions: batch.positions,
            };
            // Who reads a file does not listen.
            let _ = acks.send(ack);
        }
        let synced = self.writer.store().sync().await;
        synced.map_err(|error| Failure(error.to_string()))
    }

    async fn write(&mut self, batch: &Batch) -> Result<(), Failure> {
        self.letters.keep(&batch.letters).await?;
        for letter in &batch.letters {
            meters::dead_letter(letter.poison.kind);
        }
        self.observed.dead(batch.letters.len());
        let notes = batch.notes.iter().map(|note| (&*note.name, &*note.bytes));
        let notes: Vec<(&str, &[u8])> = notes.collect();
        let written = self.writer.write(&batch.events, &notes, None).await;
        let outcomes = written.map_err(|error| Failure(error.to_string()))?;
        let typed = batch.events.iter().map(|sourced| &sourced.typed);
        meters::events(typed.zip(outcomes.iter().copied()));
        self.observed.applied(&outcomes);
        self.tell_replayed(&outcomes, &batch.positions);
        if let Some(note) = batch.notes.last() {
            self.observed.done_bytes(note.done_bytes);
        }
        Ok(())
    }

    /// The group had not committed these, and yet they were counted: by a process that did not live to
    /// commit them, or, as far as offsets tell, of another topic.
    fn tell_replayed(&mut self, outcomes: &[Applied], positions: &[Position]) {
        let replayed = outcomes.iter().filter(|one| **one == Applied::Replayed);
        let replayed = replayed.count();
        if replayed == 0 || self.told_replayed {
            return;
        }
        let Some(position) = positions.first() else {
            return;
        };
        self.told_replayed = true;
        tracing::warn!(
            topic = &*position.partition.topic,
            replayed,
            "events at offsets that had been counted before are left out: so it is after a process was killed, or a group was set back. If the topic was deleted and made again, these are new events, which are lost until its offsets are beyond the old ones: give it another name"
        );
    }
}

impl Batch {
    fn join(&mut self, more: Batch) {
        self.events.extend(more.events);
        self.letters.extend(more.letters);
        // Later positions of a partition come later, and win.
        self.positions.extend(more.positions);
        for note in more.notes {
            self.notes.retain(|earlier| earlier.name != note.name);
            self.notes.push(note);
        }
    }
}
