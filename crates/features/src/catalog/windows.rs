//! Views that are made from events: `events = …`, and each feature's `aggregate = …`.

use std::sync::Arc;

use super::events::{Definition, MAX_WINDOW_US};
use super::problem::Report;
use super::reader::{Node, Table};
use super::views::micros;
use super::{Feature, Source, View};
use crate::events::{EventType, FieldType};
use crate::suggest::did_you_mean;
use crate::value::Dtype;
use crate::windows::{Aggregate, Fold, MAX_RECENTS, MAX_SLOTS, Program, Windowed};

/// What a feature of such a view may say.
pub(crate) const FEATURE_KEYS: [&str; 5] = ["dtype", "default", "aggregate", "window", "of"];

/// The shortest window: a minute.
const MIN_WINDOW_US: i64 = 60_000_000;

/// The longest list of an entity's newest values.
const MAX_RECENT_VALUES: usize = 128;

const AGGREGATES: [&str; 10] = [
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "distinct",
    "last",
    "last_n",
    "since_last",
    "ratio",
];

/// A feature whose aggregate is read.
struct Entry<'d> {
    table: Table<'d>,
    aggregate: &'d str,
    /// `None` for one that is not known yet, or was reported.
    made: Option<Aggregate>,
}

/// Whether any of a view's features says how events make it.
pub(crate) fn any_aggregate(columns: &Table<'_>) -> bool {
    let mut columns = columns.entries().into_iter();
    columns.any(|(_, _, node)| node.has("aggregate"))
}

/// Makes `view` one from events: `node` names their type, `table` is the view's, `columns` that of
/// its features. If anything is reported, the view stays as it is.
pub(crate) fn make(
    view: &mut View,
    node: &Node<'_>,
    table: &Table<'_>,
    columns: &Table<'_>,
    events: &[Definition<'_>],
    report: &mut Report,
) {
    let Some(name) = node.text(report) else {
        return;
    };
    let known = || events.iter().map(|known| known.events.name());
    let Some(definition) = events.iter().find(|known| known.events.name() == name) else {
        let hint = did_you_mean(name, known());
        let message = format!("`{name}` is not among the [events]");
        report.add_with_hint(node.span(), &node.path, message, hint);
        return;
    };
    definition.used.set(true);
    let key = key_fields(view, node, &definition.events, report);
    let entries = entries(view, columns, &definition.events, report);
    let Some(aggregates) = finish(view, &entries, report) else {
        return;
    };
    if !fits(&aggregates, columns, report) {
        return;
    }
    check_ttl(view, table, &aggregates, report);
    let Some(key) = key else {
        return;
    };
    let program = Program::compile(
        view,
        &definition.events,
        definition.lateness_us,
        key,
        &aggregates,
    );
    view.fingerprint = program.fingerprint;
    view.source = Source::Windows(Arc::new(program));
}

/// The fields of an event that say which entity it is about.
fn key_fields(
    view: &View,
    node: &Node<'_>,
    events: &EventType,
    report: &mut Report,
) -> Option<Vec<usize>> {
    let mut key = Vec::with_capacity(view.entities.len());
    for (name, dtype) in &view.entities {
        let place = events.field(name);
        match place.map(|place| events.fields[place].kind.dtype()) {
            Some(found) if found == *dtype => key.extend(place),
            Some(found) => {
                let message =
                    format!("the entity `{name}` is {dtype}, but the events' field is {found}");
                report.add(node.span(), &node.path, message);
            }
            None => {
                let message = format!("these events have no field `{name}`, the view's entity");
                let hint = did_you_mean(name, events.fields.iter().map(|field| &*field.name));
                report.add_with_hint(node.span(), &node.path, message, hint);
            }
        }
    }
    (key.len() == view.entities.len()).then_some(key)
}

/// One per feature of the view, in order; `None` where it is no table, which was reported.
fn entries<'d>(
    view: &View,
    columns: &Table<'d>,
    events: &EventType,
    report: &mut Report,
) -> Vec<Option<Entry<'d>>> {
    let mut entries = Vec::with_capacity(view.features.len());
    for feature in &view.features {
        let node = columns.get(&feature.name);
        let entry = node.and_then(|node| {
            let table = node.table(report)?;
            let what = "how events make it: count, sum, mean, min, max, distinct, last, last_n, since_last or ratio";
            let node = table.require("aggregate", what, report)?;
            let aggregate = node.text(report)?;
            if !AGGREGATES.contains(&aggregate) {
                let hint = did_you_mean(aggregate, AGGREGATES);
                let hint = hint.unwrap_or_else(|| AGGREGATES.join(", "));
                let message = format!("{aggregate:?} is not an aggregate");
                report.add_with_hint(node.span(), &node.path, message, Some(hint));
                return None;
            }
            let made = simple(feature, aggregate, &table, events, report);
            Some(Entry {
                table,
                aggregate,
                made,
            })
        });
        entries.push(entry);
    }
    entries
}

/// An aggregate that refers to no other feature.
fn simple(
    feature: &Feature,
    aggregate: &str,
    table: &Table<'_>,
    events: &EventType,
    report: &mut Report,
) -> Option<Aggregate> {
    let fold = match aggregate {
        "count" => Fold::Count,
        "sum" => Fold::Sum,
        "mean" => Fold::Mean,
        "min" => Fold::Min,
        "max" => Fold::Max,
        "distinct" => Fold::Distinct,
        _ => {
            let why = match aggregate {
                "ratio" => "its features have theirs",
                _ => "it reaches back to the newest events, however old",
            };
            superfluous("window", aggregate, why, table, report);
            return match aggregate {
                "last" | "last_n" => recent(feature, aggregate, table, events, report),
                "since_last" => {
                    superfluous("of", aggregate, "it is of any event", table, report);
                    check_dtype(feature, aggregate, &FLOATS, table, report);
                    Some(Aggregate::SinceLast)
                }
                // A ratio, which is made when all others are.
                _ => None,
            };
        }
    };
    let window = table
        .require("window", "how far back it reaches, such as \"24h\"", report)
        .and_then(|node| window(&node, report));
    if fold == Fold::Count {
        superfluous("of", aggregate, "it counts events", table, report);
        check_dtype(feature, aggregate, &COUNTS, table, report);
        return Some(Aggregate::Window(Windowed {
            fold,
            of: None,
            window_us: window?,
        }));
    }
    let (of, kind) = field(aggregate, fold, table, events, report)?;
    let allowed: &[Dtype] = match (fold, kind) {
        (Fold::Mean, _) => &FLOATS,
        (Fold::Sum | Fold::Min | Fold::Max, FieldType::Float64) => &FLOATS,
        _ => &COUNTS,
    };
    check_dtype(feature, aggregate, allowed, table, report);
    Some(Aggregate::Window(Windowed {
        fold,
        of: Some(of),
        window_us: window?,
    }))
}

const FLOATS: [Dtype; 2] = [Dtype::Float32, Dtype::Float64];
const COUNTS: [Dtype; 3] = [Dtype::Int64, Dtype::Float32, Dtype::Float64];
const FLAGS: [Dtype; 3] = [Dtype::Bool, Dtype::Float32, Dtype::Float64];

/// `last` and `last_n`.
fn recent(
    feature: &Feature,
    aggregate: &str,
    table: &Table<'_>,
    events: &EventType,
    report: &mut Report,
) -> Option<Aggregate> {
    let (of, kind) = field(aggregate, Fold::Distinct, table, events, report)?;
    let allowed: &[Dtype] = match kind {
        FieldType::Bool => &FLAGS,
        FieldType::Int64 => &COUNTS,
        FieldType::Float64 => &FLOATS,
        FieldType::String => &[Dtype::String],
    };
    if aggregate == "last" {
        check_dtype(feature, aggregate, allowed, table, report);
        return Some(Aggregate::Recent { of, length: 1 });
    }
    let element = Dtype::from(feature.dtype.element());
    let length = feature.dtype.width();
    let node = table.get("dtype")?;
    if !feature.dtype.is_list() || !allowed.contains(&element) {
        let names: Vec<String> = allowed.iter().map(|dtype| format!("{dtype}[5]")).collect();
        let (names, dtype) = (names.join(" or "), feature.dtype);
        let message = format!("this last_n is a list such as {names}, not {dtype}");
        report.add(node.span(), &node.path, message);
    }
    if length > MAX_RECENT_VALUES {
        let message = format!("last_n keeps at most {MAX_RECENT_VALUES} values, not {length}");
        report.add(node.span(), &node.path, message);
    }
    Some(Aggregate::Recent { of, length })
}

/// The field that an aggregate is `of`.
fn field(
    aggregate: &str,
    fold: Fold,
    table: &Table<'_>,
    events: &EventType,
    report: &mut Report,
) -> Option<(usize, FieldType)> {
    let node = table.require("of", "the events' field that it is of", report)?;
    let name = node.text(report)?;
    let Some(place) = events.field(name) else {
        let hint = did_you_mean(name, events.fields.iter().map(|field| &*field.name));
        let message = format!("`{name}` is no field of the events `{}`", events.name);
        report.add_with_hint(node.span(), &node.path, message, hint);
        return None;
    };
    let kind = events.fields[place].kind;
    let takes = match (fold, kind) {
        (Fold::Sum | Fold::Mean, FieldType::String) => Some("a number (bool, int64 or float64)"),
        (Fold::Min | Fold::Max, FieldType::String | FieldType::Bool) => {
            Some("a number (int64 or float64)")
        }
        _ => None,
    };
    if let Some(takes) = takes {
        let message = format!("{aggregate} takes {takes}, and `{name}` is {}", kind.name());
        report.add(node.span(), &node.path, message);
        return None;
    }
    Some((place, kind))
}

fn window(node: &Node<'_>, report: &mut Report) -> Option<u64> {
    let window = micros(node, report)?;
    if !(MIN_WINDOW_US..=MAX_WINDOW_US).contains(&window) {
        let message = "a window is from a minute to 90 days long";
        report.add(node.span(), &node.path, message);
        return None;
    }
    Some(window.unsigned_abs())
}

fn superfluous(key: &str, aggregate: &str, why: &str, table: &Table<'_>, report: &mut Report) {
    if let Some(node) = table.get(key) {
        let message = format!("{aggregate} takes no `{key}`: {why}");
        report.add(node.span(), &node.path, message);
    }
}

fn check_dtype(
    feature: &Feature,
    aggregate: &str,
    allowed: &[Dtype],
    table: &Table<'_>,
    report: &mut Report,
) {
    if !allowed.contains(&feature.dtype)
        && let Some(node) = table.get("dtype")
    {
        let names: Vec<String> = allowed.iter().map(Dtype::to_string).collect();
        let (names, dtype) = (names.join(" or "), feature.dtype);
        let message = format!("this {aggregate} is {names}, not {dtype}");
        report.add(node.span(), &node.path, message);
    }
}

/// Makes the ratios; `None` when an aggregate could not be made, which was reported.
fn finish(
    view: &View,
    entries: &[Option<Entry<'_>>],
    report: &mut Report,
) -> Option<Vec<(Aggregate, Dtype)>> {
    let mut made = Vec::with_capacity(entries.len());
    for (feature, entry) in view.features.iter().zip(entries) {
        let aggregate = entry.as_ref().and_then(|entry| match entry.aggregate {
            "ratio" => {
                check_dtype(feature, "ratio", &FLOATS, &entry.table, report);
                ratio(view, &entry.table, entries, report)
            }
            _ => entry.made,
        });
        made.push(aggregate.map(|aggregate| (aggregate, feature.dtype)));
    }
    made.into_iter().collect()
}

fn ratio(
    view: &View,
    table: &Table<'_>,
    entries: &[Option<Entry<'_>>],
    report: &mut Report,
) -> Option<Aggregate> {
    let what = "two features of this view, each a count or a sum";
    let node = table.require("of", what, report)?;
    let nodes = node.list(report)?;
    if nodes.len() != 2 {
        let message = format!("ratio takes 2 features, not {}", nodes.len());
        report.add(node.span(), &node.path, message);
    }
    let mut terms = Vec::with_capacity(2);
    for node in &nodes {
        let Some(name) = node.text(report) else {
            continue;
        };
        let Some(place) = view.feature(name) else {
            let hint = did_you_mean(name, view.features.iter().map(|known| &*known.name));
            let message = format!("`{name}` is no feature of this view");
            report.add_with_hint(node.span(), &node.path, message, hint);
            continue;
        };
        match &entries[place] {
            Some(Entry {
                made: Some(Aggregate::Window(windowed)),
                ..
            }) if matches!(windowed.fold, Fold::Count | Fold::Sum) => terms.push(*windowed),
            Some(entry) if !matches!(entry.aggregate, "count" | "sum") => {
                let aggregate = entry.aggregate;
                let message = format!("ratio takes a count or a sum, and `{name}` is {aggregate}");
                report.add(node.span(), &node.path, message);
            }
            // It could not be made, which was reported.
            _ => {}
        }
    }
    match terms[..] {
        [over, under] => Some(Aggregate::Ratio { over, under }),
        _ => None,
    }
}

/// How much one view may keep, so that reading it takes bounded time and memory.
fn fits(aggregates: &[(Aggregate, Dtype)], columns: &Table<'_>, report: &mut Report) -> bool {
    let (slots, recents) = Program::needs(aggregates.iter().map(|(aggregate, _)| aggregate));
    if slots > MAX_SLOTS {
        let message = format!(
            "folds {slots} pairs of a field and a window, and a view may have {MAX_SLOTS}: make two views of it"
        );
        report.add(columns.span.clone(), &columns.path, message);
    }
    if recents > MAX_RECENTS {
        let message = format!(
            "keeps the last values of {recents} fields, and a view may of {MAX_RECENTS}: make two views of it"
        );
        report.add(columns.span.clone(), &columns.path, message);
    }
    slots <= MAX_SLOTS && recents <= MAX_RECENTS
}

/// A row is not stale as long as its longest window holds something.
fn check_ttl(
    view: &mut View,
    table: &Table<'_>,
    aggregates: &[(Aggregate, Dtype)],
    report: &mut Report,
) {
    let window = |(aggregate, _): &(Aggregate, Dtype)| match aggregate {
        Aggregate::Window(windowed) => Some(windowed.window_us as i64),
        _ => None,
    };
    let Some(longest) = aggregates.iter().filter_map(window).max() else {
        return;
    };
    match view.ttl_micros {
        None => {
            if table.get("ttl").is_none() {
                view.ttl_micros = Some(longest);
            }
        }
        Some(ttl) if ttl < longest => {
            let longest = humantime::format_duration(std::time::Duration::from_micros(
                longest.unsigned_abs(),
            ));
            if let Some(node) = table.get("ttl") {
                let message = format!("is shorter than the view's longest window, {longest}");
                report.add(node.span(), &node.path, message);
            }
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests;
