//! A server across the network: the link to it, and what is kept of its answers.

use std::sync::Arc;

use tokio::time::Instant;

use super::StoreError;
use super::ask::{Ask, Values};
use super::cache::{Cache, CacheLimits, CacheUsage, Found};
use super::change::Change;
use super::link::{Dial, Link};

pub(super) struct Remote<D: Dial> {
    link: Arc<Link<D>>,
    cache: Option<Cache>,
}

impl<D: Dial> Remote<D> {
    pub(super) fn new(dial: D) -> Self {
        Remote {
            link: Arc::new(Link::new(dial)),
            cache: None,
        }
    }

    /// The same server, with a cache in front of it; without one if there is no room for it, or no
    /// time.
    pub(super) fn with_cache(&self, limits: CacheLimits) -> Self {
        let any = limits.bytes > 0 && !limits.ttl.is_zero();
        Remote {
            link: self.link.clone(),
            cache: any.then(|| Cache::new(limits)),
        }
    }

    /// What is asked for, in one round trip or less.
    pub(super) async fn read(&self, ask: &Ask<'_>, until: Instant) -> Found {
        let link = &self.link;
        match &self.cache {
            Some(cache) => {
                let read = |ask| async move { link.read(&ask, until).await };
                cache.read(ask, until, read).await
            }
            None => match link.read(ask, until).await {
                Ok(reply) => Found {
                    items: reply.into_items().map(|held| Some(held.into())).collect(),
                    failure: None,
                },
                Err(failure) => Found {
                    items: vec![None; ask.len()],
                    failure: Some(failure),
                },
            },
        }
    }

    /// Makes the changes that their guards allow; see [`Link::write`].
    pub(super) async fn write(&self, changes: &[Change<'_>]) -> Result<Vec<bool>, StoreError> {
        // Whatever becomes of it, and also if nobody waits for the end: the server may have done as
        // told.
        let _forgotten = Forgotten {
            cache: self.cache.as_ref(),
            changes,
        };
        self.link.write(changes).await
    }

    /// Reads as writers do, past the cache.
    pub(super) async fn fetch(&self, keys: &[&[u8]]) -> Result<Values, StoreError> {
        self.link.fetch(keys).await
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.link.ping().await
    }

    pub(super) fn cache_usage(&self) -> Option<CacheUsage> {
        self.cache.as_ref().map(Cache::usage)
    }
}

/// Changes whose keys the cache forgets at the end of the write.
struct Forgotten<'a> {
    cache: Option<&'a Cache>,
    changes: &'a [Change<'a>],
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        if let Some(cache) = self.cache {
            cache.forget(self.changes.iter().map(|change| change.key));
        }
    }
}

impl<D: Dial> std::fmt::Debug for Remote<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("link", &self.link)
            .field("cache", &self.cache)
            .finish()
    }
}
