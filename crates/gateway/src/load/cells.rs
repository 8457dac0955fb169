//! Cells of tables as values that features may take.

use std::borrow::Cow;

use features::{Given, load::FlatView};
use tables::{Cell, Row, time};

/// A row's cells by name.
pub(super) fn fields<'r>(
    view: &'r FlatView,
    row: &'r Row,
) -> impl Iterator<Item = (&'r str, Given<'r>)> {
    let fields = row.fields.iter();
    fields.map(|(name, cell)| match cell {
        Cell::Text(text) | Cell::Untyped(text) if view.is_event_time(name) => {
            (&**name, moment(given(cell), text))
        }
        _ => (&**name, given(cell)),
    })
}

/// `name=value` of a command line.
pub(super) fn untyped<'r>(
    view: &'r FlatView,
    fields: &'r [(String, String)],
) -> impl Iterator<Item = (&'r str, Given<'r>)> {
    fields.iter().map(|(name, text)| {
        let given = Given::Untyped(Cow::Borrowed(text.as_str()));
        match view.is_event_time(name) {
            true => (name.as_str(), moment(given, text)),
            false => (name.as_str(), given),
        }
    })
}

/// Times in the forms of pandas, DuckDB and Spark; anything else as it is.
fn moment<'g>(given: Given<'g>, text: &str) -> Given<'g> {
    time::parse(text).map_or(given, Given::Time)
}

pub(crate) fn given(cell: &Cell) -> Given<'_> {
    match cell {
        Cell::Null => Given::Null,
        Cell::Bool(value) => Given::Bool(*value),
        Cell::Int(value) => Given::Int(*value),
        Cell::Float(value) => Given::Float(*value),
        Cell::Text(text) => Given::Text(Cow::Borrowed(text)),
        Cell::Untyped(text) => Given::Untyped(Cow::Borrowed(text)),
        Cell::Bytes(_) => Given::Other("bytes that are not marked as text"),
        Cell::Timestamp(micros) => Given::Time(*micros),
        Cell::List(cells) => Given::List(cells.iter().map(given).collect()),
        Cell::Struct(_) => Given::Other("an object"),
    }
}
