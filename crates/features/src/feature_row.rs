//! The features of one request: a value and a mask for each column of the plan.

use std::fmt;
use std::sync::Arc;

use crate::catalog::{self, Feature};
use crate::plan::{ColumnId, Layout, Origin};
use crate::value::Value;

/// Every feature of a plan for one request. What could not be had holds its default, and is marked.
///
/// No value is NaN or infinite.
pub struct FeatureRow {
    pub(crate) layout: Arc<Layout>,
    /// One per column, then one per view, which is missing when the view gave no row and else holds
    /// the row's event time: one vector, because a row is made for each request.
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

impl StoreOutcome {
    /// The name in metrics and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            StoreOutcome::NotAsked => "not_asked",
            StoreOutcome::Answered => "answered",
            StoreOutcome::TimedOut => "timed_out",
            StoreOutcome::Unavailable => "unavailable",
        }
    }
}

impl StoreOutcome {
    /// Of two calls, what is to be said of both.
    pub(crate) fn worse(self, other: StoreOutcome) -> StoreOutcome {
        match (self, other) {
            (StoreOutcome::Unavailable, _) | (_, StoreOutcome::Unavailable) => {
                StoreOutcome::Unavailable
            }
            (StoreOutcome::TimedOut, _) | (_, StoreOutcome::TimedOut) => StoreOutcome::TimedOut,
            (StoreOutcome::NotAsked, other) => other,
            (StoreOutcome::Answered, _) => StoreOutcome::Answered,
        }
    }
}

/// What is known of a column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// As it was sent, stored or computed.
    Present,
    /// Stored, as null: it holds its default.
    Null,
    /// The store or the request had none, or none that could be used, or it is derived from such a
    /// one: it holds its default.
    Missing,
    /// Stored, and older than its view's ttl: the value is used.
    Stale,
}

impl Status {
    /// The name in answers, metrics and tables.
    pub fn name(self) -> &'static str {
        match self {
            Status::Present => "present",
            Status::Null => "null",
            Status::Missing => "missing",
            Status::Stale => "stale",
        }
    }
}

/// Where a column's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'r> {
    /// The request's inputs.
    Request,
    /// The stored row of the view of this name.
    View(&'r str),
    /// Feast's view of this name.
    Feast(&'r str),
    /// A transform of other columns.
    Derived,
}

/// One column of a row.
#[derive(Clone, Debug)]
pub struct Column<'r> {
    /// As models and rules write it.
    pub name: &'r str,
    pub value: &'r Value,
    pub status: Status,
    pub source: Source<'r>,
    /// When what the view's stored row says was true, in microseconds since the Unix epoch; `None`
    /// without a row, and for what is not read from a view.
    pub event_time_us: Option<i64>,
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
/// Missing, because null was stored.
const NULL: u8 = 8;

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

    /// A view's: it has a usable row, of this time in microseconds since the Unix epoch; `None` for
    /// a row without a time.
    pub(crate) fn found(event_time_us: Option<i64>) -> Self {
        Cell::present(event_time_us.map_or(Value::Bool(true), Value::Int64))
    }

    /// Takes what is stored of `feature`: a value of its type, a list of any length, or null. One
    /// that is not finite is none.
    pub(crate) fn take(&mut self, feature: &Feature, stored: Option<Value>) {
        match stored.map(|value| feature.sized(value)) {
            Some(value) if value.is_finite() => *self = Cell::present(value),
            Some(_) => {}
            None => self.flags |= MISSING | NULL,
        }
    }

    /// A stored value, or its default, of which this was known.
    pub(crate) fn with_status(value: Value, status: Status) -> Self {
        let flags = match status {
            Status::Present => 0,
            Status::Null => MISSING | NULL,
            Status::Missing => MISSING,
            Status::Stale => STALE,
        };
        Cell { value, flags }
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

    fn status(&self) -> Status {
        match self.flags {
            flags if flags & NULL != 0 => Status::Null,
            flags if flags & MISSING != 0 => Status::Missing,
            flags if flags & STALE != 0 => Status::Stale,
            _ => Status::Present,
        }
    }
}

impl FeatureRow {
    pub fn value(&self, column: ColumnId) -> &Value {
        &self.cells[column.index()].value
    }

    /// Every column, in the order of the plan.
    pub fn columns(&self) -> impl Iterator<Item = Column<'_>> {
        let named = self.layout.names.iter().zip(&self.layout.origins);
        named.zip(&self.cells).map(|((name, origin), cell)| {
            let (source, event_time_us) = match *origin {
                Origin::Request => (Source::Request, None),
                Origin::Derived => (Source::Derived, None),
                Origin::View(place) => {
                    let view = &self.layout.views[place].view;
                    let source = match view.source {
                        catalog::Source::Feast(_) => Source::Feast(&view.name),
                        _ => Source::View(&view.name),
                    };
                    (source, self.event_time_of(place))
                }
            };
            Column {
                name,
                value: &cell.value,
                status: cell.status(),
                source,
                event_time_us,
            }
        })
    }

    /// Names of the features that have no value of their own: the store or the request had none
    /// (or a number that is not finite), or the feature is derived from such a one, or from null.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.names(Status::Missing)
    }

    /// Names of the views' features of which null is stored.
    pub fn null(&self) -> impl Iterator<Item = &str> {
        self.names(Status::Null)
    }

    /// Names of the views' features whose row is older than the view's ttl. Their values are used.
    pub fn stale(&self) -> impl Iterator<Item = &str> {
        self.names(Status::Stale)
    }

    /// Whether the column holds a default because it has no value of its own: it is missing or null.
    pub fn is_missing(&self, column: ColumnId) -> bool {
        self.cells[column.index()].is_missing()
    }

    /// What is known of the column's value.
    pub fn status(&self, column: ColumnId) -> Status {
        self.cells[column.index()].status()
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
        let place = self.layout.place_of(view);
        place.is_some_and(|place| self.cells[self.layout.view_cell(place)].is_missing())
    }

    /// When what the stored row of this view says was true, in microseconds since the Unix epoch;
    /// `None` where there is no row, or one without a time.
    pub fn event_time_us(&self, view: &str) -> Option<i64> {
        self.event_time_of(self.layout.place_of(view)?)
    }

    fn event_time_of(&self, place: usize) -> Option<i64> {
        let cell = &self.cells[self.layout.view_cell(place)];
        match cell.value {
            Value::Int64(event_time) if !cell.is_missing() => Some(event_time),
            _ => None,
        }
    }

    /// How many stored rows were not used because they are corrupt or were written under other
    /// definitions, or not wholly, because a field of a hash is not of its type.
    pub fn discarded_rows(&self) -> u32 {
        self.discarded_rows
    }

    /// What became of the call to the store.
    pub fn store(&self) -> StoreOutcome {
        self.store
    }

    fn names(&self, status: Status) -> impl Iterator<Item = &str> {
        let named = self.cells.iter().zip(&self.layout.names);
        named
            .filter(move |(cell, _)| cell.status() == status)
            .map(|(_, name)| &**name)
    }
}

impl fmt::Debug for FeatureRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.layout.names.iter().zip(&self.cells);
        f.debug_map().entries(values).finish()
    }
}
