//! Which arguments each transform takes in TOML, and what they must satisfy.

use std::collections::HashMap;
use std::sync::Arc;

use super::problem::Report;
use super::reader::{Node, Table};
use crate::suggest::did_you_mean;
use crate::transform::{Operand, Transform};

/// Names of all transforms, with the keys that each takes besides `transform` and `inputs`.
/// `is_missing` takes no default: it is never without a result.
const KEYS: [(&str, &[&str]); 13] = [
    ("log1p", &["default"]),
    ("ratio", &["default"]),
    ("difference", &["default"]),
    ("clip", &["default", "min", "max"]),
    ("scale", &["default", "mean", "std"]),
    ("equals", &["default", "value"]),
    ("index", &["default", "vocabulary"]),
    ("hash_bucket", &["default", "buckets"]),
    ("bucketize", &["default", "boundaries"]),
    ("hour_of_day", &["default"]),
    ("day_of_week", &["default"]),
    ("is_missing", &[]),
    ("haversine_km", &["default"]),
];

/// Reads the transform of one derived feature, reporting unknown keys and bad arguments.
pub(crate) fn transform(table: &Table<'_>, report: &mut Report) -> Option<Transform> {
    let node = table.require("transform", "how it is computed", report)?;
    let name = node.text(report)?;
    let Some((name, arguments)) = KEYS.iter().find(|(known, _)| *known == name) else {
        let names = KEYS.map(|(known, _)| known);
        let hint = did_you_mean(name, names).unwrap_or_else(|| names.join(", "));
        let message = format!("{name:?} is not a transform");
        report.add_with_hint(node.span(), &node.path, message, Some(hint));
        return None;
    };
    table.only(&[&["transform", "inputs"], *arguments].concat(), report);
    match *name {
        "log1p" => Some(Transform::Log1p),
        "ratio" => Some(Transform::Ratio),
        "difference" => Some(Transform::Difference),
        "clip" => clip(table, report),
        "scale" => scale(table, report),
        "equals" => equals(table, report),
        "index" => index(table, report),
        "hash_bucket" => hash_bucket(table, report),
        "bucketize" => bucketize(table, report),
        "hour_of_day" => Some(Transform::HourOfDay),
        "day_of_week" => Some(Transform::DayOfWeek),
        "is_missing" => Some(Transform::IsMissing),
        "haversine_km" => Some(Transform::HaversineKm),
        _ => None,
    }
}

fn clip(table: &Table<'_>, report: &mut Report) -> Option<Transform> {
    let min = table
        .require("min", "the lower bound", report)
        .map(|node| (node.number(report), node));
    let max = table
        .require("max", "the upper bound", report)
        .and_then(|node| node.number(report));
    let ((Some(min), node), Some(max)) = (min?, max) else {
        return None;
    };
    if min > max {
        report.add(node.span(), &node.path, format!("is above max, {max}"));
        return None;
    }
    Some(Transform::Clip { min, max })
}

fn scale(table: &Table<'_>, report: &mut Report) -> Option<Transform> {
    let mean = table
        .require("mean", "what is subtracted", report)
        .and_then(|node| node.number(report));
    let node = table.require("std", "what is divided by", report)?;
    let std = node.number(report)?;
    if std <= 0.0 {
        report.add(node.span(), &node.path, "must be above 0");
        return None;
    }
    Some(Transform::Scale { mean: mean?, std })
}

fn equals(table: &Table<'_>, report: &mut Report) -> Option<Transform> {
    let node = table.require("value", "what the input is compared with", report)?;
    let operand = if node.is_text() {
        Operand::Text(Arc::from(node.text(report)?))
    } else if node.is_integer() {
        Operand::Integer(node.integer(report)?)
    } else if node.is_boolean() {
        Operand::Integer(i64::from(node.boolean(report)?))
    } else {
        Operand::Number(node.number(report)?)
    };
    Some(Transform::Equals(operand))
}

fn index(table: &Table<'_>, report: &mut Report) -> Option<Transform> {
    let nodes = list(table, "vocabulary", "the known strings, in order", report)?;
    let mut vocabulary = HashMap::with_capacity(nodes.len());
    for (node, place) in nodes.iter().zip(1..) {
        let Some(word) = node.text(report) else {
            continue;
        };
        if vocabulary.insert(Arc::from(word), place).is_some() {
            report.add(node.span(), &node.path, format!("{word:?} is listed twice"));
        }
    }
    Some(Transform::Index { vocabulary })
}

fn hash_bucket(table: &Table<'_>, report: &mut Report) -> Option<Transform> {
    let node = table.require("buckets", "how many buckets there are", report)?;
    match u32::try_from(node.integer(report)?) {
        Ok(buckets) if buckets > 0 => Some(Transform::HashBucket { buckets }),
        _ => {
            report.add(node.span(), &node.path, "must be between 1 and 4294967295");
            None
        }
    }
}

fn bucketize(table: &Table<'_>, report: &mut Report) -> Option<Transform> {
    let nodes = list(
        table,
        "boundaries",
        "where one bucket ends and the next begins",
        report,
    )?;
    let mut boundaries: Vec<f64> = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let Some(boundary) = node.number(report) else {
            continue;
        };
        if boundaries.last().is_some_and(|last| *last >= boundary) {
            report.add(node.span(), &node.path, "boundaries must ascend");
        }
        boundaries.push(boundary);
    }
    Some(Transform::Bucketize { boundaries })
}

fn list<'d>(
    table: &Table<'d>,
    key: &str,
    what: &str,
    report: &mut Report,
) -> Option<Vec<Node<'d>>> {
    let node = table.require(key, what, report)?;
    let nodes = node.list(report)?;
    if nodes.is_empty() {
        report.add(node.span(), &node.path, "is empty");
    }
    Some(nodes)
}
