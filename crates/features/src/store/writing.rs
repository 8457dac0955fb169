//! The store for those who write: rows, states of views from events, and notes on their progress.
//!
//! Every write compares with what is stored in one step, so that any number of writers lose nothing.
//!
//! A writer that gets an error does not know whether its write was made: a connection may break
//! after the server did as told and before it said so. Rows may simply be put again. A state is to
//! be read again: if it has the revision that was to be written, the write was made; if another
//! writer has been there since, what the state says of the offsets it has applied tells. So a state
//! has to hold something of each of its writers.

use std::collections::HashMap;
use std::time::Duration;

use super::change::{Change, Guard};
use super::embedded::Durable;
use super::{Backend, Store, StoreError};
use crate::catalog::Catalog;
use crate::key::{self, StateKey};
use crate::row::{Row, micros_since_epoch};

/// What became of rows that were put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows now in the store.
    pub written: usize,
    /// Rows that are not in the store because a newer one of the same entity is, be it that it was
    /// there or that it came in the same call.
    pub older: usize,
}

/// A state to write in place of the one that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    pub key: StateKey,
    /// The revision of the state that was read; 0 if there was none, or bytes that are no state.
    pub expected: u64,
    /// The state, with a revision of its own: [`new_revision`](crate::new_revision).
    pub bytes: Vec<u8>,
    /// How long after this write a store that can do so forgets it (Redis); `None` for never.
    pub expires_in: Option<Duration>,
}

impl Store {
    /// Writes rows, each unless a newer one of its entity is stored; one of equal event time is
    /// replaced. A stored row that was written under other definitions is always replaced. On
    /// return an embedded store has them on its disk.
    ///
    /// # Errors
    /// [`StoreError::OtherCatalog`] for a row that was not made from this catalog's definitions,
    /// before anything is written; else what the store says.
    pub async fn put(&self, catalog: &Catalog, rows: &[Row]) -> Result<Written, StoreError> {
        // Of several rows for one key, the newest; of equally new ones, the last.
        let mut newest: HashMap<Vec<u8>, (i64, &Row)> = HashMap::with_capacity(rows.len());
        for row in rows {
            if catalog
                .view(row.view())
                .is_none_or(|view| **view != *row.view)
            {
                return Err(StoreError::OtherCatalog {
                    view: row.view().to_owned(),
                });
            }
            let mut key = Vec::new();
            key::write(&mut key, row.view(), &row.entity);
            let time = micros_since_epoch(row.event_time);
            let best = newest.entry(key).or_insert((time, row));
            if best.0 <= time {
                *best = (time, row);
            }
        }
        let encoded: Vec<_> = newest
            .into_iter()
            .map(|(key, (_, row))| (key, row.encode()))
            .collect();
        let changes: Vec<_> = encoded
            .iter()
            .map(|(key, value)| Change {
                key,
                value,
                guard: Guard::NotOlder,
                expires_in: None,
            })
            .collect();
        let done = self.change(&changes, Durable::OnDisk).await?;
        let written = done.iter().filter(|done| **done).count();
        Ok(Written {
            written,
            older: rows.len() - written,
        })
    }

    /// Reads states, in the order of their keys; `None` where nothing is stored.
    ///
    /// # Errors
    /// What the store says.
    pub async fn read_states(&self, keys: &[StateKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let keys: Vec<&[u8]> = keys.iter().map(StateKey::as_bytes).collect();
        self.fetch(&keys).await
    }

    /// Writes each state if the stored one still has the revision that is expected, and says which
    /// were written. A key may be given once.
    ///
    /// If all were, `notes` are written too: by an embedded store in one step with the states, by
    /// Redis after them. A name may be given once. An embedded store keeps what it has acknowledged when its process is
    /// killed, though not when the machine loses its power: see [`Store::sync`].
    ///
    /// # Errors
    /// What the store says. Any of the states may have been written then: see the head of this
    /// module, and read them again.
    pub async fn swap_states(
        &self,
        writes: &[StateWrite],
        notes: &[(&str, &[u8])],
    ) -> Result<Vec<bool>, StoreError> {
        let changes: Vec<_> = writes
            .iter()
            .map(|write| Change {
                key: write.key.as_bytes(),
                value: &write.bytes,
                guard: Guard::Revision(write.expected),
                expires_in: write.expires_in,
            })
            .collect();
        let names: Vec<_> = notes.iter().map(|(name, _)| key::note(name)).collect();
        let notes = names.iter().zip(notes);
        let notes: Vec<_> = notes.map(|(key, (_, bytes))| free(key, bytes)).collect();
        if let Backend::Embedded(embedded) = &self.backend {
            return embedded.write(&changes, &notes, Durable::ByTheSystem).await;
        }
        let done = self.change(&changes, Durable::ByTheSystem).await?;
        if !notes.is_empty() && done.iter().all(|done| *done) {
            self.change(&notes, Durable::ByTheSystem).await?;
        }
        Ok(done)
    }

    /// Reads a small document that a writer left under a name of its own.
    ///
    /// # Errors
    /// What the store says.
    pub async fn read_note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found = self.fetch(&[&key::note(name)]).await?;
        Ok(found.pop().flatten())
    }

    /// Writes, or replaces, a small document, such as how far a writer has read its source.
    ///
    /// # Errors
    /// What the store says; the note may have been written then.
    pub async fn write_note(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let key = key::note(name);
        let note = free(&key, bytes);
        self.change(&[note], Durable::ByTheSystem).await.map(drop)
    }

    /// Makes what an embedded store has acknowledged survive a loss of power: to be called before
    /// a source is told that its events need not be kept. What Redis survives is for its own
    /// configuration to say (`appendfsync`), so there is nothing to do.
    ///
    /// # Errors
    /// [`StoreError::Broken`] when the disk fails, or has failed before.
    pub async fn sync(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.sync().await,
            Backend::Redis { .. } => Ok(()),
            #[cfg(test)]
            Backend::Scripted(_) => Ok(()),
        }
    }

    async fn change(
        &self,
        changes: &[Change<'_>],
        durable: Durable,
    ) -> Result<Vec<bool>, StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.write(changes, &[], durable).await,
            Backend::Redis { remote, .. } => remote.write(changes).await,
            #[cfg(test)]
            Backend::Scripted(remote) => remote.write(changes).await,
        }
    }

    async fn fetch(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.fetch(keys).await,
            Backend::Redis { remote, .. } => remote.fetch(keys).await,
            #[cfg(test)]
            Backend::Scripted(remote) => remote.fetch(keys).await,
        }
    }
}

fn free<'a>(key: &'a [u8], value: &'a [u8]) -> Change<'a> {
    Change {
        key,
        value,
        guard: Guard::Free,
        expires_in: None,
    }
}
