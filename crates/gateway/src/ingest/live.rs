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
/// How long a request waits in all: for those before it, and for a store that is down.
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
    /// Who asked is answered by then, whatever becomes of the events.
    until: Instant,
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

    /// Writes events, in their order. On return the store has them, or a moment has passed.
    ///
    /// # Errors
    /// Too many wait, or the store is down or slow.
    pub(crate) async fn post(&self, events: Vec<Typed>) -> Result<Posted, Unwritten> {
        if events.is_empty() {
            return Ok(Posted::default());
        }
        let (done, written) = oneshot::channel();
        let until = Instant::now() + PATIENCE;
        let post = Post {
            events,
            until,
            done,
        };
        self.posts.try_send(post).map_err(|_| Unwritten::Full)?;
        let outcomes = match timeout_at(until, written).await {
            Ok(Ok(outcomes)) => outcomes.map_err(Unwritten::Store)?,
            Ok(Err(_)) => return Err(Unwritten::Store("the gateway is stopping".into())),
            Err(_) => return Err(Unwritten::Store(silent().to_string())),
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
        // Who waited too long has been told so, and may have sent the events elsewhere.
        let now = Instant::now();
        posts.retain(|post| post.until > now && !post.done.is_closed());
        let Some(until) = posts.iter().map(|post| post.until).max() else {
            continue;
        };
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
        let written = write_batch(&mut writer, &events, until).await;
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

async fn write_batch(
    writer: &mut Writer,
    events: &[Sourced],
    until: Instant,
) -> Result<Vec<Applied>, StoreError> {
    let written = async {
        let outcomes = writer.write(events, &[], Some(until)).await?;
        // The sender forgets them once it is answered.
        writer.store().sync().await?;
        Ok(outcomes)
    };
    let outcomes = timeout_at(until, written).await.map_err(|_| silent())??;
    let typed = events.iter().map(|sourced| &sourced.typed);
    meters::events(typed.zip(outcomes.iter().copied()));
    Ok(outcomes)
}

fn silent() -> StoreError {
    StoreError::Unavailable {
        why: "no answer in time".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{SystemTime, UNIX_EPOCH},
    };

    use features::Catalog;
    use tokio::{net::TcpListener, task::JoinSet, time::sleep};

    use super::*;
    use crate::ingest::types::Format;

    const FEATURES: &str = r#"
[entities]
card_id = "string"
[events.payment]
time = "timestamp"
[events.payment.fields]
card_id = "string"
[views.velocity]
entity = "card_id"
events = "payment"
ttl = "90d"
[views.velocity.features]
count_7d = { dtype = "float32", default = 0.0, aggregate = "count", window = "7d" }
"#;

    #[tokio::test(start_paused = true)]
    async fn whoever_posts_to_a_silent_store_is_answered_in_time_however_many_wait() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", silent.local_addr().unwrap());
        let types = Types::new(Arc::new(Catalog::parse(FEATURES).unwrap()));
        let live = Live::start(types, Store::open(&url).unwrap());
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut posts = JoinSet::new();
        for number in 0..12 {
            let payload = format!(
                r#"{{"type": "payment", "timestamp": {}, "card_id": "c{number}"}}"#,
                seconds.as_secs()
            );
            let now = SystemTime::now();
            let types = live.types();
            let typed = types
                .read(Format::Json, payload.as_bytes(), None, now)
                .unwrap();
            let live = live.clone();
            posts.spawn(async move {
                let posted = Instant::now();
                let refused = live.post(vec![typed]).await.unwrap_err();
                assert!(matches!(refused, Unwritten::Store(_)), "{refused}");
                posted.elapsed()
            });
            // So that they are not written together.
            sleep(Duration::from_millis(300)).await;
        }
        while let Some(waited) = posts.join_next().await {
            let waited = waited.unwrap();
            assert!(
                waited <= PATIENCE + Duration::from_millis(2),
                "one waited for {waited:?}"
            );
        }
    }
}
