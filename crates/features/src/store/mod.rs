//! Online stores: where rows are kept between the one who writes features and the one who decides.
//!
//! | URL | store |
//! |---|---|
//! | `embedded:PATH` | in process, in a folder on disk |
//!
//! A store that is slow or down is an ordinary event here: it is an outcome, not an error, and
//! costs a request at most its slice.

mod embedded;
mod error;

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

pub use error::StoreError;

use crate::catalog::Catalog;
use crate::feature_row::{FeatureRow, StoreOutcome};
use crate::key::{self, Keys};
use crate::row::Row;
use crate::schema::RequestRow;
use embedded::Embedded;

/// An online store. Cheap to clone; clones share one connection or one open folder.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Embedded(Embedded),
}

impl Store {
    /// Opens the store that `url` names. A server that is down is no error here: it is tried again
    /// in the background.
    ///
    /// # Errors
    /// [`StoreError::Url`] for a URL that is none of those above; [`StoreError::Locked`] when
    /// another process has the embedded store; [`StoreError::Open`] when its folder can't be used.
    pub fn open(url: &str) -> Result<Store, StoreError> {
        let backend = match url.split_once(':') {
            Some(("embedded", "")) => {
                let why = "`embedded:` is followed by the path of a folder".to_owned();
                return Err(StoreError::Url {
                    url: url.to_owned(),
                    why,
                });
            }
            Some(("embedded", path)) => Backend::Embedded(Embedded::open(Path::new(path))?),
            _ => {
                let why = "it starts with none of embedded:".to_owned();
                return Err(StoreError::Url {
                    url: url.to_owned(),
                    why,
                });
            }
        };
        Ok(Store { backend })
    }

    /// `"embedded"`.
    pub fn kind(&self) -> &'static str {
        match &self.backend {
            Backend::Embedded(_) => "embedded",
        }
    }

    /// Writes rows; of several for one key the last stays, and it replaces what was stored.
    ///
    /// # Errors
    /// [`StoreError::OtherCatalog`] for a row that was not made from this catalog's definitions,
    /// before anything is written; else what the store says.
    pub async fn put(&self, catalog: &Catalog, rows: &[Row]) -> Result<(), StoreError> {
        let mut encoded = Vec::with_capacity(rows.len());
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
            encoded.push((key, row.encode()));
        }
        match &self.backend {
            Backend::Embedded(embedded) => embedded.write(encoded).await,
        }
    }

    /// Whether the store answers, within two seconds.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], with the reason.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.read(key::PREFIX.as_bytes()).map(drop),
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
        let keys = keys(row, request);
        match &self.backend {
            Backend::Embedded(embedded) => {
                for (place, key) in keys.iter().enumerate() {
                    match embedded.read(key) {
                        Ok(Some(bytes)) => row.take_stored(place, &bytes, now),
                        Ok(None) => {}
                        Err(_) => return StoreOutcome::Unavailable,
                    }
                }
                StoreOutcome::Answered
            }
        }
    }
}

/// The keys of a request's rows, in the order of the layout's views.
fn keys(row: &FeatureRow, request: &RequestRow) -> Keys {
    let mut keys = Keys::default();
    for columns in &row.layout.views {
        let entity = columns
            .entities
            .iter()
            .filter_map(|place| request.entities.get(*place));
        keys.push(&columns.view.name, entity);
    }
    keys
}
