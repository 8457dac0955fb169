//! The features of one request: a value and a mask for each column of the plan.

use std::fmt;
use std::sync::Arc;

use crate::plan::{ColumnId, Layout};
use crate::value::Value;

/// Every feature of a plan for one request. What could not be had holds its default, and is marked.
///
/// No value is NaN or infinite.
pub struct FeatureRow {
    pub(crate) layout: Arc<Layout>,
    /// One per column, then one per view, which is missing when the view gave no row: one vector,
    /// because a row is made for each request.
    pub(crate) cells: Vec<Cell>,
    pub(crate) discarded_rows: u32,
    pub(crate) store: StoreOutcome,
}

/// What became of the one call to the online store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreOutcome {
    /// The plan reads no view.
    NotAsked,
    Answered,
    /// No answer before the slice ended.
    TimedOut,
    /// Known to be down, or it answered with an error.
    Unavailable,
}

/// A value and what is known about it.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) value: Value,
    flags: u8,
}

const MISSING: u8 = 1;
const STALE: u8 = 2;
/// Missing, and nobody said what to use instead.
const VOID: u8 = 4;

impl Cell {
    pub(crate) fn present(value: Value) -> Self {
        Cell { value, flags: 0 }
    }

    pub(crate) fn missing(default: Value) -> Self {
        Cell {
            value: default,
            flags: MISSING,
        }
    }

    pub(crate) fn void(zero: Value) -> Self {
        Cell {
            value: zero,
            flags: MISSING | VOID,
        }
    }

    /// Marks a stored value as older than its view's ttl; a missing one has no age.
    pub(crate) fn set_stale(&mut self) {
        if !self.is_missing() {
            self.flags |= STALE;
        }
    }

    pub(crate) fn set_missing(&mut self) {
        self.flags |= MISSING;
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.flags & MISSING != 0
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.flags & STALE != 0
    }

    pub(crate) fn is_void(&self) -> bool {
        self.flags & VOID != 0
    }
}

impl FeatureRow {
    pub fn value(&self, column: ColumnId) -> &Value {
        &self.cells[column.index()].value
    }

    /// Names of the features that have no value of their own: the store or the request had none
    /// (or null, or a number that is not finite), or the feature is derived from such a one.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.names(Cell::is_missing)
    }

    /// Names of the views' features whose row is older than the view's ttl. Their values are used.
    pub fn stale(&self) -> impl Iterator<Item = &str> {
        self.names(Cell::is_stale)
    }

    pub fn is_missing(&self, column: ColumnId) -> bool {
        self.cells[column.index()].is_missing()
    }

    /// Missing, and nobody said what to use instead: an optional request input without a default,
    /// which holds its type's zero.
    pub fn is_void(&self, column: ColumnId) -> bool {
        self.cells[column.index()].is_void()
    }

    pub fn is_stale(&self, column: ColumnId) -> bool {
        self.cells[column.index()].is_stale()
    }

    /// Whether the plan reads this view and got no usable row of it.
    pub fn view_missing(&self, view: &str) -> bool {
        let place = self
            .layout
            .views
            .iter()
            .position(|columns| &*columns.view.name == view);
        place.is_some_and(|place| self.cells[self.layout.view_cell(place)].is_missing())
    }

    /// How many stored rows were not used because they are corrupt or were written under other
    /// definitions.
    pub fn discarded_rows(&self) -> u32 {
        self.discarded_rows
    }

    /// What became of the call to the store.
    pub fn store(&self) -> StoreOutcome {
        self.store
    }

    fn names(&self, flag: fn(&Cell) -> bool) -> impl Iterator<Item = &str> {
        let named = self.cells.iter().zip(&self.layout.names);
        named
            .filter(move |(cell, _)| flag(cell))
            .map(|(_, name)| &**name)
    }
}

impl fmt::Debug for FeatureRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.layout.names.iter().zip(&self.cells);
        f.debug_map().entries(values).finish()
    }
}
