//! `gavel features load`: rows from a file into the online store.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    time::Duration,
};

use features::{Catalog, Store, load::parse_line};
use tokio::time::Instant;

use crate::serve::Failure;

/// Rows written in one call of the store.
const BATCH_ROWS: usize = 500;
/// Refused rows that are shown one by one.
const SHOWN: usize = 20;

/// What came of a load.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows now in the store, less those that were older than what was there.
    pub written: usize,
    /// Lines that are no row; each was reported with its number.
    pub refused: usize,
}

/// Loads a file of JSON lines, reporting refused lines and progress through `say`.
pub async fn load(
    file: &Path,
    catalog: &Catalog,
    store: &Store,
    mut say: impl FnMut(&str),
) -> Result<Loaded, Failure> {
    let opened = File::open(file)
        .map_err(|error| Failure(format!("cannot read {}: {error}", file.display())))?;
    let mut loaded = Loaded::default();
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    let mut shown_at = Instant::now();
    for (i, line) in BufReader::new(opened).split(b'\n').enumerate() {
        let number = i + 1;
        let line =
            line.map_err(|error| Failure(format!("{}:{number}: {error}", file.display())))?;
        // A line that is not UTF-8 is no JSON either, and is refused as such.
        let text = std::str::from_utf8(&line);
        let line = text.map_or("\u{fffd}", str::trim);
        if line.is_empty() {
            continue;
        }
        match parse_line(catalog, line) {
            Ok(row) => batch.push(row),
            Err(error) => {
                loaded.refused += 1;
                if loaded.refused <= SHOWN {
                    say(&format!("{}:{number}: {error}", file.display()));
                }
            }
        }
        if batch.len() == BATCH_ROWS {
            loaded.written += put(catalog, store, &mut batch).await?;
        }
        if shown_at.elapsed() > Duration::from_secs(1) {
            say(&format!("{} rows written", loaded.written));
            shown_at = Instant::now();
        }
    }
    loaded.written += put(catalog, store, &mut batch).await?;
    Ok(loaded)
}

async fn put(
    catalog: &Catalog,
    store: &Store,
    batch: &mut Vec<features::Row>,
) -> Result<usize, Failure> {
    let put = store
        .put(catalog, batch)
        .await
        .map_err(|error| Failure(format!("the rows were not written: {error}")))?;
    batch.clear();
    Ok(put.written)
}
