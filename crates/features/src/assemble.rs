//! Assembly: request and stored rows in, a [`FeatureRow`] out. It never fails.
//!
//! ```text
//! blank row (all defaults, all missing) ── request's inputs ── stored rows ── derived, in order
//!                                                         └ one call to the store, or none in time
//! ```
//! Per request: one vector of cells, copied from the plan's blank row; one `Arc<str>` per string
//! and per list that a stored row holds; and what the store's call itself needs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::catalog::{Source, View};
use crate::feature_row::{Cell, FeatureRow, StoreOutcome};
use crate::plan::{Layout, Plan, ViewColumns};
use crate::row::{Field, Unreadable, decode, micros_since_epoch};
use crate::schema::RequestRow;
use crate::state_header;
use crate::store::Store;
use crate::value::Value;
use crate::windows;

impl Plan {
    /// Assembles the features of one request.
    ///
    /// All views are read in one round trip. If the store has not answered at `until`, or is known
    /// to be down, every stored feature that its cache lacks is missing and takes its default. `now` is what rows' ages
    /// are measured against.
    pub async fn assemble(
        &self,
        store: &Store,
        request: &RequestRow,
        now: SystemTime,
        until: Instant,
    ) -> FeatureRow {
        let mut row = FeatureRow::blank(self.layout.clone());
        row.take_inputs(request);
        if !self.layout.views.is_empty() {
            let now = micros_since_epoch(now);
            row.store = store.fill(&mut row, request, now, until).await;
        }
        row.derive();
        row
    }
}

impl FeatureRow {
    pub(crate) fn blank(layout: Arc<Layout>) -> Self {
        FeatureRow {
            cells: layout.blank.clone(),
            discarded_rows: 0,
            store: StoreOutcome::NotAsked,
            layout,
        }
    }

    pub(crate) fn take_inputs(&mut self, request: &RequestRow) {
        for column in &self.layout.inputs {
            if let Some(Some(value)) = request.inputs.get(column.input)
                && value.is_finite()
            {
                self.cells[column.column.index()] = Cell::present(value.clone());
            }
        }
    }

    /// Takes the stored row of the layout's view number `place`. `now` is in microseconds since
    /// the Unix epoch.
    pub(crate) fn take_stored(&mut self, place: usize, bytes: &[u8], now: i64) {
        let ViewColumns {
            view,
            columns,
            warned,
            ..
        } = &self.layout.views[place];
        let cells = &mut self.cells;
        let mut take = |feature: usize, value: Option<Value>| {
            if let Some(column) = columns[feature] {
                cells[column.index()].take(&view.features[feature], value);
            }
        };
        let read = match &view.source {
            Source::Packed => decode(view, bytes, |feature, field| {
                take(feature, field.map(Field::to_value));
            }),
            // What one store deletes, another keeps for ever: to a decision both are the same.
            Source::Windows(_) if is_forgotten(view, bytes, now) => return,
            Source::Windows(program) => windows::read(program, bytes, now, take),
            // Taken field by field: see `take_hash` and `take_feast`.
            Source::Hash(_) | Source::Feast(_) => return,
        };
        match read {
            Ok(event_time) => {
                cells[self.layout.view_cell(place)] = Cell::found(Some(event_time));
                let age_micros = now.saturating_sub(event_time);
                if view.ttl_micros.is_some_and(|ttl| age_micros > ttl) {
                    for column in columns.iter().flatten() {
                        cells[column.index()].set_stale();
                    }
                }
            }
            Err(why) => {
                self.discarded_rows += 1;
                if !warned.swap(true, Ordering::Relaxed) {
                    warn(&view.name, why);
                }
            }
        }
    }

    pub(crate) fn derive(&mut self) {
        for derived in &self.layout.derived {
            let cells = &self.cells;
            let inputs = derived.inputs.iter().map(|column| &cells[column.index()]);
            let (mut missing, mut void) = (false, false);
            for input in inputs {
                missing |= input.is_missing();
                void |= input.is_void();
            }
            let transform = &derived.transform;
            let input = |i: usize| &cells[derived.inputs[i].index()].value;
            let value = match void && !transform.sees_missing() {
                true => None,
                false => transform.apply(input, missing),
            };
            let cell = &mut self.cells[derived.column.index()];
            // Without a result, the blank row's default stays.
            if let Some(value) = value {
                cell.value = value;
            }
            if missing && !transform.sees_missing() {
                cell.set_missing();
            }
        }
    }
}

/// Whether a state's newest event is so long ago that a store may have deleted it.
fn is_forgotten(view: &View, bytes: &[u8], now: i64) -> bool {
    let age = state_header::event_time(bytes).map(|newest| now.saturating_sub(newest));
    age.zip(windows::kept_for_us(view))
        .is_some_and(|(age, kept)| age > kept)
}

fn warn(view: &str, why: Unreadable) {
    let why = match why {
        Unreadable::OtherFingerprint => {
            "were written under other definitions of the view: load them again"
        }
        Unreadable::Corrupt => "are corrupt",
    };
    tracing::warn!(
        view,
        "stored rows of this view {why}; they count as missing"
    );
}

#[cfg(test)]
mod tests;
