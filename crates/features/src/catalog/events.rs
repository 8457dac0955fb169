//! `[events]`: what events carry.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use super::View;
use super::problem::Report;
use super::reader::{Node, Table};
use super::views::{check_name, micros};
use crate::events::{EventType, Field, FieldType, Paths, TimeUnit};
use crate::suggest::did_you_mean;
use crate::windows::WindowView;

/// What an event may be behind the newest of its entity, if nobody says: an hour.
const DEFAULT_LATENESS_US: i64 = 3_600_000_000;
/// Nothing is kept of longer ago than the longest window may be: 90 days.
pub(crate) const MAX_WINDOW_US: i64 = 90 * 86_400_000_000;

/// An event type with what its views are to know of it.
pub(crate) struct Definition<'d> {
    pub(crate) events: EventType,
    pub(crate) lateness_us: i64,
    /// Whether a view says that it is made from these events.
    pub(crate) used: Cell<bool>,
    path: String,
    span: Range<usize>,
    name: &'d str,
}

pub(crate) fn events<'d>(root: &Table<'d>, report: &mut Report) -> Vec<Definition<'d>> {
    let Some(table) = root.get("events").and_then(|node| node.table(report)) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (name, span, node) in table.entries() {
        check_name(name, span.clone(), &node.path, report);
        if let Some(table) = node.table(report) {
            let (events, lateness_us) = definition(name, &table, report);
            all.push(Definition {
                events,
                lateness_us,
                used: Cell::new(false),
                path: node.path,
                span,
                name,
            });
        }
    }
    all
}

/// Joins event types with the views that are made from them.
pub(crate) fn join(
    all: Vec<Definition<'_>>,
    views: &[Arc<View>],
    report: &mut Report,
) -> Vec<Arc<EventType>> {
    let mut joined = Vec::with_capacity(all.len());
    for mut definition in all {
        let made = views.iter().filter_map(WindowView::new);
        definition.events.views = made
            .filter(|view| view.events() == definition.name)
            .collect();
        if !definition.used.get() {
            let message = format!(
                "no view is made from these events: a view with `events = {:?}` would be",
                definition.name
            );
            report.add(definition.span, &definition.path, message);
        }
        joined.push(Arc::new(definition.events));
    }
    joined
}

fn definition(name: &str, table: &Table<'_>, report: &mut Report) -> (EventType, i64) {
    table.only(&["id", "time", "time_unit", "lateness", "fields"], report);
    let time = table.require("time", "the field with an event's time", report);
    let fields = table
        .require("fields", "what features and entities use", report)
        .and_then(|node| node.table(report));
    let (fields, mut paths) =
        fields.map_or_else(Default::default, |table| fields_of(&table, report));
    if let Some(path) = time.and_then(|node| path(&node, report)) {
        paths.add(path, fields.len());
    }
    let id = table.get("id").and_then(|node| path(&node, report));
    if let Some(path) = id {
        paths.add(path, fields.len() + 1);
    }
    let lateness = table.get("lateness").and_then(|node| {
        let lateness = micros(&node, report)?;
        if lateness > MAX_WINDOW_US {
            report.add(node.span(), &node.path, "must be at most 90 days");
        }
        Some(lateness)
    });
    let unit = table.get("time_unit");
    let events = EventType {
        name: Arc::from(name),
        unit: unit.map_or(TimeUnit::Seconds, |node| time_unit(&node, report)),
        has_id: id.is_some(),
        fields,
        paths,
        views: Vec::new(),
    };
    (events, lateness.unwrap_or(DEFAULT_LATENESS_US))
}

fn fields_of(table: &Table<'_>, report: &mut Report) -> (Vec<Field>, Paths) {
    let mut fields = Vec::new();
    let mut paths = Paths::default();
    for (name, span, node) in table.entries() {
        check_name(name, span, &node.path, report);
        let (kind, path) = if node.is_text() {
            (field_type(&node, report), None)
        } else if let Some(table) = node.table(report) {
            table.only(&["type", "path"], report);
            let kind = table.require("type", "bool, int64, float64 or string", report);
            let path = table.get("path").and_then(|node| path(&node, report));
            (kind.and_then(|node| field_type(&node, report)), path)
        } else {
            (None, None)
        };
        paths.add(path.unwrap_or(name), fields.len());
        fields.push(Field {
            name: Arc::from(name),
            // Known all the same, so that its users are not reported as well.
            kind: kind.unwrap_or(FieldType::Float64),
        });
    }
    (fields, paths)
}

fn field_type(node: &Node<'_>, report: &mut Report) -> Option<FieldType> {
    let name = node.text(report)?;
    let found = FieldType::ALL.into_iter().find(|kind| kind.name() == name);
    if found.is_none() {
        let hint = did_you_mean(name, FieldType::ALL.map(FieldType::name));
        let message = format!("{name:?} is not a field's type: bool, int64, float64 or string");
        report.add_with_hint(node.span(), &node.path, message, hint);
    }
    found
}

fn time_unit(node: &Node<'_>, report: &mut Report) -> TimeUnit {
    let Some(name) = node.text(report) else {
        return TimeUnit::Seconds;
    };
    let found = TimeUnit::ALL.into_iter().find(|unit| unit.name() == name);
    found.unwrap_or_else(|| {
        let hint = did_you_mean(name, TimeUnit::ALL.map(TimeUnit::name));
        let message = format!("{name:?} is not a unit of time: s, ms, us, or rfc3339 for text");
        report.add_with_hint(node.span(), &node.path, message, hint);
        TimeUnit::Seconds
    })
}

/// Keys with dots between them, one inside another.
fn path<'d>(node: &Node<'d>, report: &mut Report) -> Option<&'d str> {
    let path = node.text(report)?;
    if path.split('.').any(str::is_empty) {
        let message = "a path is keys with a dot between them, such as `payment.amount`";
        report.add(node.span(), &node.path, message);
        return None;
    }
    Some(path)
}
