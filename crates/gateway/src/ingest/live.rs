//! Events as they are posted: written together with what waits beside them, and answered once the
//! store has them.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

use features::{Store, StoreError, windows::Applied};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    meters,
    types::{Typed, Types},
    writer::{Sourced, Writer},
};

/// Requests that wait for the store, at most.
const WAITING: usize = 64;
/// Events written together, at most: what waits is joined up to it.
const MAX_EVENTS: usize = 4000;
/// How long a request waits for a store that is down.
const PATIENCE: Duration = Duration::from_secs(2);
/// States held in memory between requests, in bytes.
const HELD_BYTES: u64 = 32 << 20;

/// Takes posted events.
#[derive(Clone, Debug)]
pub struct Live {
    types: Types,
    posts: mpsc::Sender<Post>,
}

/// What became of posted events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// Counted.
    pub accepted: u64,
    /// Counted before.
    pub duplicates: u64,
    /// Too old to be counted.
    pub late: u64,
    /// No events.
    pub rejected: Vec<Rejected>,
}

/// A posted event that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place, from 0.
    pub index: usize,
    /// Stable.
    pub kind: &'static str,
    /// A sentence.
    pub detail: String,
}

/// Why events were not taken. Some of them may be in the features all the same.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// Others wait already.
    #[error("as many events as may wait are waiting for the feature store")]
    Full,
    /// The store did not take them.
    #[error("{0}; the events may be sent again: those with an id are counted once")]
    Store(String),
}

#[derive(Debug)]
struct Post {
    events: Vec<Typed>,
    done: oneshot::Sender<Result<Vec<Applied>, String>>,
}

impl Live {
    /// Starts the task that writes, which ends with the last clone of this.
    pub fn start(types: Types, store: Store) -> Self {
        let (posts, waiting) = mpsc::channel(WAITING);
        meters::describe();
        let catalog = types.shared_catalog();
        tokio::spawn(write(Writer::new(store, catalog, HELD_BYTES), waiting));
        Self { types, posts }
    }

    /// The event types.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// Writes events, in their order. On return the store has them.
    ///
    /// # Errors
    /// Too many wait, or the store is down.
    pub(crate) async fn post(&self, events: Vec<Typed>) -> Result<Posted, Unwritten> {
        if events.is_empty() {
            return Ok(Posted::default());
        }
        let (done, written) = oneshot::channel();
        let post = Post { events, done };
        self.posts.try_send(post).map_err(|_| Unwritten::Full)?;
        let outcomes = match written.await {
            Ok(outcomes) => outcomes.map_err(Unwritten::Store)?,
            Err(_) => return Err(Unwritten::Store("the gateway is stopping".into())),
        };
        let mut posted = Posted::default();
        for outcome in outcomes {
            match outcome {
                // A posted event's position is new: that it was read before can't be.
                Applied::Counted | Applied::Replayed => posted.accepted += 1,
                Applied::Duplicate => posted.duplicates += 1,
                Applied::Late => posted.late += 1,
            }
        }
        Ok(posted)
    }
}

async fn write(mut writer: Writer, mut waiting: mpsc::Receiver<Post>) {
    // A source of this process's own, so that states tell its writes from another's.
    let source = RandomState::new().build_hasher().finish();
    let mut position = 0_i64;
    while let Some(first) = waiting.recv().await {
        let mut posts = vec![first];
        let mut count = posts[0].events.len();
        while count < MAX_EVENTS
            && let Ok(more) = waiting.try_recv()
        {
            count += more.events.len();
            posts.push(more);
        }
        let mut events = Vec::with_capacity(count);
        let mut asking = Vec::with_capacity(posts.len());
        for post in posts {
            asking.push((post.events.len(), post.done));
            events.extend(post.events.into_iter().map(|typed| {
                position += 1;
                let origin = (source, position);
                Sourced { typed, origin }
            }));
        }
        let written = write_batch(&mut writer, &events).await;
        let mut outcomes = match &written {
            Ok(outcomes) => &outcomes[..],
            Err(_) => &[],
        };
        for (count, done) in asking {
            let answer = match &written {
                Ok(_) => {
                    let (own, others) = outcomes.split_at(count);
                    outcomes = others;
                    Ok(own.to_vec())
                }
                Err(error) => Err(error.to_string()),
            };
            // Who asked may have gone.
            let _ = done.send(answer);
        }
    }
}

async fn write_batch(writer: &mut Writer, events: &[Sourced]) -> Result<Vec<Applied>, StoreError> {
    let until = Instant::now() + PATIENCE;
    let written = async {
        let outcomes = writer.write(events, &[], Some(until)).await?;
        // The sender forgets them once it is answered.
        writer.store().sync().await?;
        Ok(outcomes)
    };
    let silent = |_| StoreError::Unavailable {
        why: "no answer in time".into(),
    };
    let outcomes = timeout_at(until, written).await.map_err(silent)??;
    let typed = events.iter().map(|sourced| &sourced.typed);
    meters::events(typed.zip(outcomes.iter().copied()));
    Ok(outcomes)
}
