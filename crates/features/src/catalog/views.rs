//! `[entities]` and `[views]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::dtype::dtype;
use super::events::Definition;
use super::problem::Report;
use super::reader::{Node, Table};
use super::{Feature, Source, View, hashes, windows};
use crate::row::fingerprint;
use crate::suggest::did_you_mean;
use crate::value::Dtype;

/// Entity names and the types of their keys.
pub(crate) type Entities = BTreeMap<Arc<str>, Dtype>;

pub(crate) fn entities(root: &Table<'_>, report: &mut Report) -> Entities {
    let Some(table) = root.get("entities").and_then(|node| node.table(report)) else {
        return Entities::new();
    };
    let mut entities = Entities::new();
    for (name, span, node) in table.entries() {
        check_name(name, span, &node.path, report);
        match node.text(report) {
            Some("string") => _ = entities.insert(Arc::from(name), Dtype::String),
            Some("int64") => _ = entities.insert(Arc::from(name), Dtype::Int64),
            Some(other) => {
                let hint = did_you_mean(other, ["string", "int64"]);
                let message = format!("an entity's key is \"string\" or \"int64\", not {other:?}");
                report.add_with_hint(node.span(), &node.path, message, hint);
                // Known all the same, so that its views are not reported as well.
                entities.insert(Arc::from(name), Dtype::String);
            }
            None => _ = entities.insert(Arc::from(name), Dtype::String),
        }
    }
    entities
}

pub(crate) fn views(
    root: &Table<'_>,
    entities: &Entities,
    events: &[Definition<'_>],
    report: &mut Report,
) -> Vec<Arc<View>> {
    let Some(table) = root.get("views").and_then(|node| node.table(report)) else {
        return Vec::new();
    };
    let mut views = Vec::new();
    for (name, span, node) in table.entries() {
        check_name(name, span.clone(), &node.path, report);
        if name == "request" {
            let message = "no view may be called `request`: that is what the caller sends";
            report.add(span, &node.path, message);
        }
        if let Some(table) = node.table(report) {
            views.push(Arc::new(view(name, &table, entities, events, report)));
        }
    }
    views
}

fn view(
    name: &str,
    table: &Table<'_>,
    entities: &Entities,
    events: &[Definition<'_>],
    report: &mut Report,
) -> View {
    let from_events = table.get("events");
    let from_hashes = table.get("hash").filter(|_| from_events.is_none());
    let columns = table
        .require("features", "what its rows hold", report)
        .and_then(|node| node.table(report));
    let aggregated = columns.as_ref().is_some_and(windows::any_aggregate);
    let (more, keys): (&[&str], &[&str]) = match (&from_events, &from_hashes) {
        (Some(_), _) => (&["events"], &windows::FEATURE_KEYS),
        (_, Some(_)) => (&hashes::VIEW_KEYS, &hashes::FEATURE_KEYS),
        (None, None) if aggregated => {
            let what = "the event type that its features with an `aggregate` are made from";
            table.require("events", what, report);
            (&["events"], &windows::FEATURE_KEYS)
        }
        (None, None) => (&["events", "hash"], &["dtype", "default"]),
    };
    table.only(&[&["entity", "ttl", "features"], more].concat(), report);
    let key = table.require("entity", "what its rows are about", report);
    let features = columns
        .as_ref()
        .map_or_else(Vec::new, |table| self::features(table, keys, report));
    let entities = key.map_or_else(Vec::new, |node| entity(&node, entities, report));
    let mut view = View {
        ttl_micros: table.get("ttl").and_then(|node| micros(&node, report)),
        fingerprint: fingerprint(name, &entities, &features),
        entities,
        name: Arc::from(name),
        features,
        source: Source::Packed,
    };
    if let (Some(node), Some(columns)) = (from_events, &columns) {
        windows::make(&mut view, &node, table, columns, events, report);
    }
    if let (Some(node), Some(columns)) = (from_hashes, &columns) {
        hashes::make(&mut view, &node, table, columns, report);
    }
    view
}

fn entity(node: &Node<'_>, entities: &Entities, report: &mut Report) -> Vec<(Arc<str>, Dtype)> {
    let nodes = if node.is_text() {
        vec![node.clone()]
    } else {
        node.list(report).unwrap_or_default()
    };
    if nodes.is_empty() && !node.is_text() {
        report.add(node.span(), &node.path, "names no entity");
    }
    let mut key: Vec<(Arc<str>, Dtype)> = Vec::new();
    for node in nodes {
        let Some(name) = node.text(report) else {
            continue;
        };
        let Some((name, dtype)) = entities.get_key_value(name) else {
            let hint = did_you_mean(name, entities.keys().map(|known| &**known));
            let message = format!("`{name}` is not among the [entities]");
            report.add_with_hint(node.span(), &node.path, message, hint);
            continue;
        };
        if key.iter().any(|(known, _)| known == name) {
            report.add(node.span(), &node.path, format!("`{name}` is named twice"));
        }
        key.push((name.clone(), *dtype));
    }
    key
}

/// A duration above zero, in microseconds.
pub(crate) fn micros(node: &Node<'_>, report: &mut Report) -> Option<i64> {
    let text = node.text(report)?;
    match humantime::parse_duration(text) {
        Ok(ttl) if ttl.is_zero() => {
            report.add(node.span(), &node.path, "must be longer than nothing");
            None
        }
        Ok(ttl) => Some(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)),
        Err(error) => {
            let hint = Some("a duration looks like \"90d\", \"24h\" or \"15min\"".to_owned());
            let message = format!("not a duration: {error}");
            report.add_with_hint(node.span(), &node.path, message, hint);
            None
        }
    }
}

fn features(table: &Table<'_>, keys: &[&str], report: &mut Report) -> Vec<Feature> {
    let mut features = Vec::new();
    let entries = table.entries();
    if entries.is_empty() {
        report.add(table.span.clone(), &table.path, "holds no feature");
    }
    for (name, span, node) in entries {
        check_name(name, span, &node.path, report);
        let Some(table) = node.table(report) else {
            continue;
        };
        table.only(keys, report);
        let dtype = table
            .require(
                "dtype",
                "bool, int64, float32, float64 or string, or a list such as \"int64[5]\"",
                report,
            )
            .and_then(|node| dtype(&node, report));
        let default = table.require(
            "default",
            "the value to use when the store has none",
            report,
        );
        // A feature with a problem is known all the same, so that its users are not reported too.
        let dtype_known = dtype.unwrap_or(Dtype::Float64);
        let default = match (dtype, default) {
            (Some(dtype), Some(default)) => default.literal(dtype, report),
            _ => None,
        };
        features.push(Feature {
            name: Arc::from(name),
            dtype: dtype_known,
            default: default.unwrap_or_else(|| dtype_known.zero()),
        });
    }
    features
}

/// Names are identifiers: the dot separates a view from its feature, the comma separates features
/// in a model's configuration, and the colon ends a view's name in a stored key.
pub(crate) fn check_name(name: &str, span: Range<usize>, path: &str, report: &mut Report) {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = "a name consists of letters, digits and `_`, and starts with no digit";
        report.add(span, path, message);
    }
}
