//! Online stores: where rows are kept between the one who writes features and the one who decides.
//!
//! | URL | store |
//! |---|---|
//! | `embedded:PATH` | in process, in a folder on disk |
//! | `redis://…`, `rediss://…` | one Redis |
//! | `redis-cluster://…`, `rediss-cluster://…` | a Redis cluster |
//! | `redis-sentinel://…`, `rediss-sentinel://…` | the master that sentinels watch |
//!
//! The rows are the same bytes in all of them: see `key` and `row`. The forms of Redis URLs are in
//! `redis::url`.
//!
//! A store that is slow or down is an ordinary event here: it is an outcome, not an error, and
//! costs a request at most its slice.

mod ask;
mod cache;
mod change;
mod embedded;
mod error;
mod link;
mod redis;
mod remote;
mod writing;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use tokio::time::Instant;

pub use cache::{CacheLimits, CacheUsage};
pub use error::StoreError;
pub use writing::{StateWrite, Written};

use crate::catalog::{Catalog, Field, Fields, Source, View};
use crate::feature_row::{FeatureRow, StoreOutcome};
use crate::key::{self, Keys};
use crate::plan::Layout;
use crate::schema::RequestRow;
use ask::{Ask, Held, Values};
use cache::Found;
use embedded::Embedded;
use link::ReadFailure;
use redis::RedisDial;
use remote::Remote;

const READ_BY_HAND: Duration = Duration::from_secs(2);

/// An online store. Cheap to clone; clones share one connection or one open folder.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
    /// The Redis that Feast writes to, if that is not the store itself.
    feast: Option<Backend>,
}

#[derive(Clone, Debug)]
enum Backend {
    Embedded(Embedded),
    Redis {
        remote: Arc<Remote<RedisDial>>,
        kind: &'static str,
    },
    #[cfg(test)]
    Scripted(Arc<Remote<link::scripted::ScriptedDial>>),
}

impl Store {
    /// Opens the store that `url` names. A server that is down is no error here: it is tried again
    /// in the background.
    ///
    /// # Errors
    /// [`StoreError::Url`] for a URL that is none of those above; [`StoreError::Locked`] when
    /// another process has the embedded store; [`StoreError::Open`] when its folder can't be used.
    pub fn open(url: &str) -> Result<Store, StoreError> {
        let invalid = |why: String| StoreError::Url {
            url: redis::redact(url),
            why,
        };
        let backend = if redis::is_redis(url) {
            let address = redis::parse(url).map_err(invalid)?;
            let kind = address.kind();
            let dial = RedisDial::new(address).map_err(invalid)?;
            let remote = Arc::new(Remote::new(dial));
            Backend::Redis { remote, kind }
        } else {
            match url.strip_prefix("embedded:") {
                Some("") => return Err(invalid("a folder's path is to follow".to_owned())),
                Some(path) => Backend::Embedded(Embedded::open(Path::new(path))?),
                None => {
                    let forms = redis::SCHEMES.join("…, ");
                    return Err(invalid(format!("expected embedded:PATH, {forms}…")));
                }
            }
        };
        Ok(Store {
            backend,
            feast: None,
        })
    }

    /// Opens the store that `url` names and, for a catalog with views of Feast's, the Redis that
    /// Feast writes to.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_for(url: &str, catalog: &Catalog) -> Result<Store, StoreError> {
        let mut store = Store::open(url)?;
        if let Some(feast) = catalog.feast_store_url().filter(|feast| *feast != url) {
            store.feast = Some(Store::open(feast)?.backend);
        }
        Ok(store)
    }

    /// The same store, with a cache of what decisions read in front of each server across the
    /// network. A cache is of this store and its clones: rows that another one writes are seen when
    /// the ttl is over.
    #[must_use]
    pub fn with_cache(self, limits: CacheLimits) -> Store {
        Store {
            backend: self.backend.with_cache(limits),
            feast: self.feast.map(|feast| feast.with_cache(limits)),
        }
    }

    /// What the caches were good for; `None` without one.
    pub fn cache_usage(&self) -> Option<CacheUsage> {
        let feast = self.feast.as_ref().and_then(Backend::cache_usage);
        match (self.backend.cache_usage(), feast) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        }
    }

    /// `"embedded"`, `"redis"`, `"redis-cluster"` or `"redis-sentinel"`.
    pub fn kind(&self) -> &'static str {
        match &self.backend {
            Backend::Embedded(_) => "embedded",
            Backend::Redis { kind, .. } => kind,
            #[cfg(test)]
            Backend::Scripted(_) => "scripted",
        }
    }

    /// Whether the store answers, within two seconds, and Feast's Redis too.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], with the reason.
    pub async fn ping(&self) -> Result<(), StoreError> {
        for backend in [Some(&self.backend), self.feast.as_ref()]
            .into_iter()
            .flatten()
        {
            match backend {
                Backend::Embedded(embedded) => embedded.read(key::PREFIX.as_bytes()).map(drop)?,
                Backend::Redis { remote, .. } => remote.ping().await?,
                #[cfg(test)]
                Backend::Scripted(remote) => remote.ping().await?,
            }
        }
        Ok(())
    }

    /// Whether the store that `url` names can have every view of the catalog; nothing is opened.
    ///
    /// # Errors
    /// [`StoreError::NoHashes`] for a view that is read from Redis hashes, if this is no Redis.
    pub fn serves(url: &str, catalog: &Catalog) -> Result<(), StoreError> {
        let is_hashed = |view: &&Arc<View>| matches!(view.source, Source::Hash(_));
        match catalog.views.iter().find(is_hashed) {
            Some(view) if !redis::is_redis(url) => Err(StoreError::NoHashes {
                view: view.name.to_string(),
                url: redis::redact(url),
            }),
            _ => Ok(()),
        }
    }

    /// Reads fields of one hash of Feast's, for whoever looks at it by hand; all `None` where there is
    /// no hash.
    pub(crate) async fn read_hash(
        &self,
        key: &[u8],
        fields: &[Field],
    ) -> Result<Values, StoreError> {
        let mut ask = Ask::rows(Keys::with_capacity(0));
        let fields: Fields = fields.iter().cloned().collect();
        ask.hash(&fields, |out| out.extend_from_slice(key));
        let unavailable = |why: &str| StoreError::Unavailable {
            why: why.to_owned(),
        };
        let backend = self.feast.as_ref().unwrap_or(&self.backend);
        let found = backend.read(&ask, Instant::now() + READ_BY_HAND).await;
        match found.failure {
            None => {}
            Some(ReadFailure::TimedOut) => return Err(unavailable("no answer in time")),
            Some(ReadFailure::Unavailable(why)) => return Err(unavailable(&why)),
        }
        match found.items.first().and_then(Option::as_deref) {
            Some(Held::Hash(Some(values))) => Ok(values.clone()),
            _ => Err(unavailable("the key holds no hash, or this is no Redis")),
        }
    }

    /// Reads every view that the row's layout wants, in one call, and hands what was found to the
    /// row. Where Feast's Redis is another one, that is a second call, beside the first. `now` is in
    /// microseconds since the Unix epoch.
    pub(crate) async fn fill(
        &self,
        row: &mut FeatureRow,
        request: &RequestRow,
        now: i64,
        until: Instant,
    ) -> StoreOutcome {
        let layout = Arc::clone(&row.layout);
        let mut ask = ask(&layout, request);
        let mut beside = Ask::rows(Keys::with_capacity(0));
        let of_feast = match self.feast {
            Some(_) => &mut beside,
            None => &mut ask,
        };
        for read in &layout.feast {
            of_feast.hash(&read.fields, |key| read.write_key(request, key));
        }
        let mut outcome = match &self.backend {
            Backend::Embedded(embedded) => fill_from(embedded, &ask, row, now),
            _ => StoreOutcome::Answered,
        };
        let feast = async {
            match &self.feast {
                Some(feast) => feast.read(&beside, until).await,
                None => Found::default(),
            }
        };
        let (found, feast) = join(self.backend.read(&ask, until), feast).await;
        let (rows, hashes) = found.items.split_at(ask.rows.len().min(found.items.len()));
        let of_feast = take(row, rows, hashes, now).chain(&feast.items);
        for (read, item) in of_feast.enumerate() {
            if let Some(Held::Hash(stored)) = item.as_deref() {
                row.take_feast(read, stored.as_deref(), now);
            }
        }
        for failure in [found.failure, feast.failure].into_iter().flatten() {
            outcome = outcome.worse(failure.outcome());
        }
        outcome
    }
}

impl Backend {
    async fn read(&self, ask: &Ask<'_>, until: Instant) -> Found {
        match self {
            // Its rows are taken as they lie in it, uncopied.
            Backend::Embedded(_) => Found::default(),
            Backend::Redis { remote, .. } => remote.read(ask, until).await,
            #[cfg(test)]
            Backend::Scripted(remote) => remote.read(ask, until).await,
        }
    }

    fn with_cache(self, limits: CacheLimits) -> Backend {
        match self {
            Backend::Embedded(embedded) => Backend::Embedded(embedded),
            Backend::Redis { remote, kind } => Backend::Redis {
                remote: Arc::new(remote.with_cache(limits)),
                kind,
            },
            #[cfg(test)]
            Backend::Scripted(remote) => Backend::Scripted(Arc::new(remote.with_cache(limits))),
        }
    }

    fn cache_usage(&self) -> Option<CacheUsage> {
        match self {
            Backend::Embedded(_) => None,
            Backend::Redis { remote, .. } => remote.cache_usage(),
            #[cfg(test)]
            Backend::Scripted(remote) => remote.cache_usage(),
        }
    }
}

/// What a request asks for of the views that are not Feast's, in the order of the layout.
fn ask<'p>(layout: &'p Layout, request: &RequestRow) -> Ask<'p> {
    let mut ask = Ask::rows(Keys::with_capacity(layout.views.len()));
    for columns in &layout.views {
        let entity = |place: &usize| request.entities.get(*place);
        match &columns.view.source {
            Source::Packed | Source::Windows(_) => {
                let entity = columns.entities.iter().filter_map(entity);
                ask.rows.push(&columns.view.name, entity);
            }
            Source::Hash(hash) => ask.hash(&columns.fields, |key| {
                hash.key
                    .write(key, |place| columns.entities.get(place).and_then(entity));
            }),
            Source::Feast(_) => {}
        }
    }
    ask
}

type Items<'f> = &'f [Option<Arc<Held>>];

/// Takes what [`ask`] asked for. What is left are Feast's hashes.
fn take<'f>(
    row: &mut FeatureRow,
    rows: Items<'f>,
    hashes: Items<'f>,
    now: i64,
) -> std::slice::Iter<'f, Option<Arc<Held>>> {
    let (mut rows, mut hashes) = (rows.iter(), hashes.iter());
    for place in 0..row.layout.views.len() {
        let item = match &row.layout.views[place].view.source {
            Source::Packed | Source::Windows(_) => rows.next(),
            Source::Hash(_) => hashes.next(),
            Source::Feast(_) => None,
        };
        match item.and_then(Option::as_deref) {
            Some(Held::Row(Some(bytes))) => row.take_stored(place, bytes, now),
            Some(Held::Hash(stored)) => row.take_hash(place, stored.as_deref(), now),
            Some(Held::Row(None)) | None => {}
        }
    }
    hashes
}

fn fill_from(embedded: &Embedded, ask: &Ask<'_>, row: &mut FeatureRow, now: i64) -> StoreOutcome {
    let mut keys = ask.rows.iter();
    for place in 0..row.layout.views.len() {
        let source = &row.layout.views[place].view.source;
        if matches!(source, Source::Packed | Source::Windows(_))
            && let Some(key) = keys.next()
        {
            match embedded.read(key) {
                Ok(Some(bytes)) => row.take_stored(place, &bytes, now),
                Ok(None) => {}
                Err(_) => return StoreOutcome::Unavailable,
            }
        }
    }
    match ask.hash_count() {
        0 => StoreOutcome::Answered,
        _ => StoreOutcome::Unavailable,
    }
}

#[cfg(test)]
mod tests;
