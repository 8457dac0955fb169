//! Online stores: where rows are kept between the one who writes features and the one who decides.
//!
//! | URL | store |
//! |---|---|
//! | `embedded:PATH` | in process, in a folder on disk |
//! | `redis://…`, `rediss://…` | one Redis |
//! | `redis-cluster://…`, `rediss-cluster://…` | a Redis cluster |
//!
//! The rows are the same bytes in all of them: see `key` and `row`. The forms of Redis URLs are in
//! `redis::url`.
//!
//! A store that is slow or down is an ordinary event here: it is an outcome, not an error, and
//! costs a request at most its slice.

mod ask;
mod change;
mod embedded;
mod error;
mod link;
mod redis;
mod writing;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use tokio::time::Instant;

pub use error::StoreError;
pub use writing::{StateWrite, Written};

use crate::catalog::{Catalog, Field, Source, View};
use crate::feature_row::{FeatureRow, StoreOutcome};
use crate::key::{self, Keys};
use crate::plan::Layout;
use crate::schema::RequestRow;
use ask::{Ask, Reply, Values};
use embedded::Embedded;
use link::{Link, ReadFailure};
use redis::RedisDial;

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
        link: Arc<Link<RedisDial>>,
        kind: &'static str,
    },
    #[cfg(test)]
    Scripted(Arc<Link<link::scripted::ScriptedDial>>),
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
            let link = Arc::new(Link::new(RedisDial::new(address).map_err(invalid)?));
            Backend::Redis { link, kind }
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

    /// `"embedded"`, `"redis"` or `"redis-cluster"`.
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
                Backend::Redis { link, .. } => link.ping().await?,
                #[cfg(test)]
                Backend::Scripted(link) => link.ping().await?,
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
        ask.hash(fields, |out| out.extend_from_slice(key));
        let unavailable = |why: &str| StoreError::Unavailable {
            why: why.to_owned(),
        };
        let backend = self.feast.as_ref().unwrap_or(&self.backend);
        let read = backend.read(&ask, Instant::now() + READ_BY_HAND).await;
        let reply = read.map_err(|failure| match failure {
            ReadFailure::TimedOut => unavailable("no answer in time"),
            ReadFailure::Unavailable(why) => unavailable(&why),
        })?;
        let hash = reply.hashes.into_iter().next().flatten();
        hash.ok_or_else(|| unavailable("the key holds no hash, or this is no Redis"))
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
                None => Ok(Reply::default()),
            }
        };
        let (read, feast) = join(self.backend.read(&ask, until), feast).await;
        let hashes = [
            read.map(|reply| take(row, reply, now)),
            feast.map(|reply| reply.hashes),
        ];
        for hashes in hashes {
            match hashes {
                Ok(hashes) => {
                    for (read, stored) in hashes.into_iter().enumerate() {
                        row.take_feast(read, stored, now);
                    }
                }
                Err(failure) => outcome = outcome.worse(failure.outcome()),
            }
        }
        outcome
    }
}

impl Backend {
    async fn read(&self, ask: &Ask<'_>, until: Instant) -> Result<Reply, ReadFailure> {
        match self {
            // Its rows are taken as they lie in it, uncopied.
            Backend::Embedded(_) => Ok(Reply::default()),
            Backend::Redis { link, .. } => link.read(ask, until).await,
            #[cfg(test)]
            Backend::Scripted(link) => link.read(ask, until).await,
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

/// Takes what [`ask`] asked for. What is left are Feast's hashes.
fn take(row: &mut FeatureRow, reply: Reply, now: i64) -> Vec<Option<Values>> {
    let mut rows = reply.rows.into_iter();
    let mut hashes = reply.hashes.into_iter();
    for place in 0..row.layout.views.len() {
        match &row.layout.views[place].view.source {
            Source::Packed | Source::Windows(_) => {
                if let Some(bytes) = rows.next().flatten() {
                    row.take_stored(place, &bytes, now);
                }
            }
            Source::Hash(_) => {
                if let Some(stored) = hashes.next() {
                    row.take_hash(place, stored, now);
                }
            }
            Source::Feast(_) => {}
        }
    }
    hashes.collect()
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
