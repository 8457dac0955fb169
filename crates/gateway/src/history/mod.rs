//! `gavel features history`: the training set that the online store would have answered.
//!
//! ```text
//! --events ── tables ── rows or lines ──► Event, oldest first ─┐ strictly before each moment
//!                        └ no event ──► rejects                ▼
//! --spine ── tables ──► rows: request, moment ──────► features::History ──► features of that moment
//!                                   └ its own columns ──────────────────────► --out, in spine order
//! ```
//! The states, their evaluation, defaults and transforms are those of serving. An event at a row's
//! own moment is not seen by it. Events are applied in the order of their times, and at one moment in
//! the order of files and rows; so none is late, and the same input makes the same output.
//!
//! In memory are the spine, the events about its entities until its last moment, and the states of
//! its entities. Rows of the output wait there too while an earlier one of the spine is not done: of a
//! spine in the order of time, none does.

mod events;
mod output;
mod sight;
mod spine;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use features::{Catalog, History, Outcome, events::Event, windows::Applied};

pub use self::sight::Sight;
use self::{output::Output, spine::Spine};
use crate::{
    diagnostic::count,
    ingest::Types,
    load::{self, Rejects},
    progress::Meter,
    serve::Failure,
};

/// What is read and written.
#[derive(Clone, Debug)]
pub struct Files {
    /// Events, and of which type; where that is not said, each as its `type` says, and those that say
    /// none of the one that is needed.
    pub events: Vec<(PathBuf, Option<String>)>,
    /// Whose features are wanted, and at which moments.
    pub spine: PathBuf,
    /// The column of the spine with the moments.
    pub time: String,
    /// Where the training set goes.
    pub out: PathBuf,
    /// Where rejected rows of all files go, instead of beside each.
    pub rejects: Option<PathBuf>,
    /// Whether a column says of each feature whether it was present, null, missing or stale.
    pub status: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Rows of the files of events.
    pub events: u64,
    /// Events that features were made from.
    pub counted: u64,
    /// Events with the id of one that was counted.
    pub duplicates: u64,
    /// Events that came too late to be counted.
    pub late: u64,
    /// Rows that are no event.
    pub rejected: u64,
    /// Events about entities that are not in the spine.
    pub elsewhere: u64,
    /// Events of types that nothing is made from.
    pub others: u64,
    /// Events that are not before the spine's last moment.
    pub after: u64,
    /// Rows of the training set.
    pub rows: u64,
    /// Features of each.
    pub features: usize,
    /// Where rejected rows are.
    pub rejects: Vec<PathBuf>,
}

impl Made {
    /// `99992 events read: 99970 counted, 20 duplicates, 2 rejected; 5 rows of 31 features`
    pub fn say(&self) -> String {
        let some = |number: u64, what| count(usize::try_from(number).unwrap_or(usize::MAX), what);
        let mut said = format!(
            "{} read: {} counted",
            some(self.events, "event"),
            self.counted
        );
        if self.duplicates > 0 {
            said += &format!(", {}", some(self.duplicates, "duplicate"));
        }
        for (number, what) in [
            (self.late, "late"),
            (self.elsewhere, "about entities that are not in the spine"),
            (self.others, "of other types"),
            (self.after, "not before its last moment"),
            (self.rejected, "rejected"),
        ] {
            if number > 0 {
                said += &format!(", {number} {what}");
            }
        }
        for file in &self.rejects {
            said += &format!(" (see {})", file.display());
        }
        let features = count(self.features, "feature");
        said + &format!("; {} of {features}", load::rows(self.rows))
    }
}

/// Makes the training set of what a sight sees.
///
/// # Errors
/// A file that cannot be read or written, a spine that lacks a column or has a row that is no request,
/// and events of a type that nothing is made from. Nothing is written then.
pub fn make(catalog: &Arc<Catalog>, sight: &Sight, files: &Files) -> Result<Made, Failure> {
    let mut history = History::new(&sight.plan).map_err(|error| Failure(error.to_string()))?;
    let sources = events::sources(catalog, &history, &files.events)?;
    let spine = Spine::read(&files.spine, &files.time, sight)?;
    for row in &spine.rows {
        history.expect(&row.request);
    }
    let mut made = Made {
        features: sight.columns.len(),
        ..Made::default()
    };
    let last = spine.rows.iter().map(|row| row.moment_us).max();
    let types = Types::new(Arc::clone(catalog));
    let mut past = Vec::new();
    let before = last.unwrap_or(i64::MIN);
    let mut shared = files.rejects.as_deref().map(Rejects::into);
    for source in &sources {
        let mut beside = Rejects::beside(&source.file);
        let rejects = shared.as_mut().unwrap_or(&mut beside);
        let about = (&types, &history);
        events::read(source, about, before, &mut past, rejects, &mut made)?;
        made.rejects.extend(beside.finish()?);
    }
    if let Some(shared) = shared {
        made.rejects.extend(shared.finish()?);
    }
    // Stable: at one moment, events stay in the order in which they were read.
    past.sort_by_key(|(_, event): &(&str, Event)| event.time_us());
    let output = Output::create(files, sight, &spine)?;
    walk(&mut history, &past, &spine, output, &mut made)?;
    Ok(made)
}

/// Goes through the past once: events and rows by time, and events of a row's own moment after it.
fn walk(
    history: &mut History,
    past: &[(&str, Event)],
    spine: &Spine,
    mut output: Output<'_>,
    made: &mut Made,
) -> Result<(), Failure> {
    let mut order: Vec<usize> = (0..spine.rows.len()).collect();
    order.sort_by_key(|place| spine.rows[*place].moment_us);
    let mut meter = Meter::new("making history", Some((past.len() + order.len()) as u64));
    let mut events = past.iter().peekable();
    let mut waiting = HashMap::new();
    let mut next = 0;
    for (done, place) in order.into_iter().enumerate() {
        let row = &spine.rows[place];
        while let Some((kind, event)) = events.next_if(|(_, event)| event.time_us() < row.moment_us)
        {
            match history.apply(kind, event) {
                Outcome::Elsewhere => made.elsewhere += 1,
                Outcome::Applied(Applied::Counted) => made.counted += 1,
                Outcome::Applied(Applied::Duplicate | Applied::Replayed) => made.duplicates += 1,
                Outcome::Applied(Applied::Late) => made.late += 1,
            }
        }
        let seen = history.see(&row.request, row.moment_us);
        waiting.insert(place, output.cells(row, &seen));
        while let Some(cells) = waiting.remove(&next) {
            output.write(&cells)?;
            next += 1;
        }
        let applied = made.counted + made.duplicates + made.late;
        meter.step(done as u64 + applied, || {
            format!(
                "{applied} events, {} of {}",
                load::rows(done as u64),
                spine.rows.len()
            )
        });
    }
    made.rows = next as u64;
    output.finish()
}

/// `table.csv: why`
fn in_file(file: &Path, why: impl std::fmt::Display) -> Failure {
    Failure(format!("{}: {why}", file.display()))
}

#[cfg(test)]
mod tests;
