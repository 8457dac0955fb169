//! The hot-key cache: what a remote store has just answered, for a short while.
//!
//! ```text
//!             fresh                        ┌─ answered: kept, and given to those who wait
//! look up ────────────► hit                │
//!    ├── nobody reads it: led ── one read ─┴─ failed, late or gone: one of those who wait leads
//!    └── somebody reads it: followed (a hit) ── waits, no longer than its own slice
//! ```
//! Single flight: of any number of requests for a key, one reads it. All keys that a request leads
//! are read together, in one round trip, and it waits for others only when it leads none: so no two
//! requests wait for each other. That nothing is stored under a key is remembered too.
//!
//! What this process writes is forgotten here as soon as it is written: a read that begins after the
//! write has returned sees it. What other processes write is seen when the ttl is over.
//!
//! It is bounded by bytes; of the least used, the oldest go first.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use quick_cache::sync::{Cache as Map, EntryAction, EntryResult};
use quick_cache::{DefaultHashBuilder, Weighter, sync::DefaultLifecycle};
use tokio::time::{Instant, timeout_at};

use super::ask::{Ask, Held, Item, Reply};
use super::link::{ReadFailure, last_moment};

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Of keys and values together, with what it costs to keep them.
    pub bytes: usize,
    /// How old an answer may be.
    pub ttl: Duration,
}

/// What the cache was good for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheUsage {
    /// Keys that cost no read, because they were kept or were being read by another request.
    pub hits: u64,
    /// Keys that were read.
    pub misses: u64,
    /// Kept at present.
    pub bytes: u64,
}

impl std::ops::Add for CacheUsage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        CacheUsage {
            hits: self.hits + other.hits,
            misses: self.misses + other.misses,
            bytes: self.bytes + other.bytes,
        }
    }
}

pub(super) struct Cache {
    map: Entries,
    ttl: Duration,
    hits: AtomicU64,
    misses: AtomicU64,
}

type Entries = Map<Vec<u8>, Kept, ByBytes>;
type Guard<'c> = quick_cache::sync::PlaceholderGuard<
    'c,
    Vec<u8>,
    Kept,
    ByBytes,
    DefaultHashBuilder,
    DefaultLifecycle<Vec<u8>, Kept>,
>;

#[derive(Clone)]
struct Kept {
    held: Arc<Held>,
    since: Instant,
}

#[derive(Clone)]
struct ByBytes;

/// What keeping one entry costs besides its bytes, more or less.
const ENTRY_BYTES: usize = 128;
/// Of an entry; only a guess for the first allocation.
const USUAL_BYTES: usize = 512;

impl Weighter<Vec<u8>, Kept> for ByBytes {
    fn weight(&self, key: &Vec<u8>, kept: &Kept) -> u64 {
        (ENTRY_BYTES + key.len() + kept.held.bytes()) as u64
    }
}

/// What was found, by the place of the item in the request: `None` for what could not be read, and
/// then why.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) items: Vec<Option<Arc<Held>>>,
    pub(super) failure: Option<ReadFailure>,
}

enum Look<'c> {
    Hit(Arc<Held>),
    Led(Guard<'c>),
    /// Somebody reads it.
    Followed,
}

impl Cache {
    pub(super) fn new(limits: CacheLimits) -> Self {
        let entries = limits.bytes / USUAL_BYTES;
        Cache {
            map: Map::with_weighter(entries, limits.bytes as u64, ByBytes),
            ttl: limits.ttl,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// What is asked for, from here or by `read`, which is called once for all that nobody has, and
    /// perhaps again for a key whose reader gave up.
    pub(super) async fn read<'p, F>(
        &self,
        ask: &Ask<'p>,
        until: Instant,
        read: impl Fn(Ask<'p>) -> F,
    ) -> Found
    where
        F: Future<Output = Result<Reply, ReadFailure>>,
    {
        let items: Vec<Item<'_, 'p>> = ask.items().collect();
        let mut found = Found {
            items: vec![None; items.len()],
            failure: None,
        };
        let mut led = Vec::new();
        let mut followed = Vec::new();
        for (place, item) in items.iter().enumerate() {
            match self.look(item.name()) {
                Look::Hit(held) => found.items[place] = Some(held),
                Look::Led(guard) => led.push((place, guard)),
                Look::Followed => followed.push(place),
            }
        }
        // The counters are shared by all threads: one addition a request.
        let hits = items.len() - led.len();
        if hits > 0 {
            self.hits.fetch_add(hits as u64, Relaxed);
        }
        if !led.is_empty() {
            self.misses.fetch_add(led.len() as u64, Relaxed);
            self.lead(&items, led, &mut found, &read).await;
        }
        for place in followed {
            self.follow(&items, place, until, &mut found, &read).await;
        }
        found
    }

    fn look(&self, name: &[u8]) -> Look<'_> {
        if let Some(kept) = self.map.get(name)
            && self.is_fresh(&kept)
        {
            return Look::Hit(kept.held);
        }
        // Nobody waits here: a follower waits when it leads nothing.
        let entry = self
            .map
            .entry(name, Some(Duration::ZERO), |_, kept: &mut Kept| {
                self.judge(kept)
            });
        match entry {
            EntryResult::Retained(held) => Look::Hit(held),
            EntryResult::Replaced(guard, _) | EntryResult::Vacant(guard) => Look::Led(guard),
            EntryResult::Timeout | EntryResult::Removed(..) => Look::Followed,
        }
    }

    fn judge(&self, kept: &Kept) -> EntryAction<Arc<Held>> {
        match self.is_fresh(kept) {
            true => EntryAction::Retain(kept.held.clone()),
            false => EntryAction::ReplaceWithGuard,
        }
    }

    fn is_fresh(&self, kept: &Kept) -> bool {
        kept.since.elapsed() < self.ttl
    }

    /// Reads what is led. Dropped, or without an answer, it leaves the lead to those who wait.
    async fn lead<'p, F>(
        &self,
        items: &[Item<'_, 'p>],
        led: Vec<(usize, Guard<'_>)>,
        found: &mut Found,
        read: &impl Fn(Ask<'p>) -> F,
    ) where
        F: Future<Output = Result<Reply, ReadFailure>>,
    {
        let ask = led.iter().map(|(place, _)| &items[*place]).collect();
        // An answer is as old as its question.
        let since = Instant::now();
        match read(ask).await {
            Ok(reply) => {
                for ((place, guard), held) in led.into_iter().zip(reply.into_items()) {
                    let held = Arc::new(held);
                    found.items[place] = Some(held.clone());
                    // An error says that the key was written meanwhile: then this is not to be kept.
                    let _ = guard.insert(Kept { held, since });
                }
            }
            Err(failure) => found.failure = Some(failure),
        }
    }

    async fn follow<'p, F>(
        &self,
        items: &[Item<'_, 'p>],
        place: usize,
        until: Instant,
        found: &mut Found,
        read: &impl Fn(Ask<'p>) -> F,
    ) where
        F: Future<Output = Result<Reply, ReadFailure>>,
    {
        let name = items[place].name();
        let Some(leave_at) = last_moment(until) else {
            found.failure = Some(ReadFailure::TimedOut);
            return;
        };
        let entry = self
            .map
            .entry_async(name, |_, kept: &mut Kept| self.judge(kept));
        match timeout_at(leave_at, entry).await {
            Ok(EntryResult::Retained(held)) => found.items[place] = Some(held),
            Ok(EntryResult::Replaced(guard, _) | EntryResult::Vacant(guard)) => {
                self.lead(items, vec![(place, guard)], found, read).await;
            }
            Ok(EntryResult::Timeout | EntryResult::Removed(..)) | Err(_) => {
                found.failure = Some(ReadFailure::TimedOut);
            }
        }
    }

    /// Forgets rows, also those that somebody is reading: they may be about to be old.
    pub(super) fn forget<'k>(&self, keys: impl IntoIterator<Item = &'k [u8]>) {
        for key in keys {
            self.map.remove(key);
        }
    }

    pub(super) fn usage(&self) -> CacheUsage {
        CacheUsage {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            bytes: self.map.weight(),
        }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.usage().fmt(f)
    }
}

#[cfg(test)]
mod tests;
