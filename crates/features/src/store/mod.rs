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

use tokio::time::Instant;

pub use error::StoreError;
pub use writing::{StateWrite, Written};

use crate::catalog::{Catalog, Source, View};
use crate::feature_row::{FeatureRow, StoreOutcome};
use crate::key::{self, Keys};
use crate::schema::RequestRow;
use ask::{Ask, Reply};
use embedded::Embedded;
use link::{Link, ReadFailure};
use redis::RedisDial;

/// An online store. Cheap to clone; clones share one connection or one open folder.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
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
        Ok(Store { backend })
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

    /// Whether the store answers, within two seconds.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], with the reason.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.read(key::PREFIX.as_bytes()).map(drop),
            Backend::Redis { link, .. } => link.ping().await,
            #[cfg(test)]
            Backend::Scripted(link) => link.ping().await,
        }
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

    /// Reads every view that the row's layout wants, in one call, and hands what was found to the
    /// row. `now` is in microseconds since the Unix epoch.
    pub(crate) async fn fill(
        &self,
        row: &mut FeatureRow,
        request: &RequestRow,
        now: i64,
        until: Instant,
    ) -> StoreOutcome {
        let ask = ask(row, request);
        let read = match &self.backend {
            // Rows are taken as they lie in the store, uncopied.
            Backend::Embedded(embedded) => return fill_from(embedded, &ask.rows, row, now),
            Backend::Redis { link, .. } => link.read(&ask, until).await,
            #[cfg(test)]
            Backend::Scripted(link) => link.read(&ask, until).await,
        };
        match read {
            Ok(reply) => {
                take(row, reply, now);
                StoreOutcome::Answered
            }
            Err(ReadFailure::TimedOut) => StoreOutcome::TimedOut,
            Err(ReadFailure::Unavailable(_)) => StoreOutcome::Unavailable,
        }
    }
}

/// What a request asks for, in the order of the layout's views.
fn ask<'p>(row: &'p FeatureRow, request: &RequestRow) -> Ask<'p> {
    let mut ask = Ask::rows(Keys::with_capacity(row.layout.views.len()));
    for columns in &row.layout.views {
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
        }
    }
    ask
}

fn take(row: &mut FeatureRow, reply: Reply, now: i64) {
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
        }
    }
}

fn fill_from(embedded: &Embedded, rows: &Keys, row: &mut FeatureRow, now: i64) -> StoreOutcome {
    let mut keys = rows.iter();
    for place in 0..row.layout.views.len() {
        if !matches!(row.layout.views[place].view.source, Source::Hash(_))
            && let Some(key) = keys.next()
        {
            match embedded.read(key) {
                Ok(Some(bytes)) => row.take_stored(place, &bytes, now),
                Ok(None) => {}
                Err(_) => return StoreOutcome::Unavailable,
            }
        }
    }
    StoreOutcome::Answered
}

#[cfg(test)]
mod tests;
