//! `[derived]`: features computed from others.
//!
//! Read in three steps, because derived features may use one another: each on its own; then an
//! order in which inputs come first, which a cycle has not; then what every input refers to.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::problem::Report;
use super::reader::Table;
use super::views::check_name;
use super::{Catalog, Derived, Reference, arguments};
use crate::suggest::did_you_mean;
use crate::transform::Transform;
use crate::value::{Dtype, Value};

/// One entry as it is written: inputs are still names.
struct Raw<'d> {
    name: &'d str,
    path: String,
    span: Range<usize>,
    transform: Option<Transform>,
    inputs: Vec<Input<'d>>,
    default: Option<Value>,
}

struct Input<'d> {
    name: &'d str,
    path: String,
    span: Range<usize>,
}

/// Of `root`, on what `stored` has: every view.
pub(crate) fn derived(root: &Table<'_>, stored: &Catalog, report: &mut Report) -> Vec<Derived> {
    let Some(table) = root.get("derived").and_then(|node| node.table(report)) else {
        return Vec::new();
    };
    let mut raw = Vec::new();
    for (name, span, node) in table.entries() {
        check_name(name, span.clone(), &node.path, report);
        if let Some(table) = node.table(report) {
            raw.push(read(name, span, &table, report));
        }
    }
    let order = inputs_first(&raw, report);
    // The catalog so far: what comes later in the order sees what came before it.
    let mut catalog = stored.clone();
    for place in order {
        let derived = link(&raw[place], &raw, &catalog, report);
        catalog.derived.push(derived);
    }
    catalog.derived
}

fn read<'d>(name: &'d str, span: Range<usize>, table: &Table<'d>, report: &mut Report) -> Raw<'d> {
    let transform = arguments::transform(table, report);
    let inputs = table
        .require("inputs", "the features that it is computed from", report)
        .map(|node| (node.list(report), node));
    let nodes = match (&transform, inputs) {
        (Some(transform), Some((Some(nodes), node))) => {
            if nodes.len() != transform.arity() {
                let (takes, name) = (transform.arity(), transform.name());
                let plural = if takes == 1 { "" } else { "s" };
                let message = format!("{name} takes {takes} input{plural}, not {}", nodes.len());
                report.add(node.span(), &node.path, message);
            }
            nodes
        }
        (None, Some((Some(nodes), _))) => nodes,
        _ => Vec::new(),
    };
    let input = |node: super::reader::Node<'d>| {
        let name = node.text(report)?;
        Some(Input {
            name,
            span: node.span(),
            path: node.path,
        })
    };
    let inputs = nodes.into_iter().filter_map(input).collect();
    let default = match (&transform, table.get("default")) {
        (Some(transform), Some(node)) => node.literal(transform.dtype(), report),
        _ => None,
    };
    Raw {
        name,
        path: table.path.clone(),
        span,
        transform,
        inputs,
        default,
    }
}

/// Indices into `raw` such that what an entry uses comes before it. Entries of a cycle are
/// reported, and come in some order.
fn inputs_first(raw: &[Raw<'_>], report: &mut Report) -> Vec<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let places: HashMap<&str, usize> = raw
        .iter()
        .enumerate()
        .map(|(place, entry)| (entry.name, place))
        .collect();
    let mut marks = vec![Mark::New; raw.len()];
    let mut order = Vec::with_capacity(raw.len());
    for start in 0..raw.len() {
        if marks[start] != Mark::New {
            continue;
        }
        // Depth first without recursion, so that a long chain cannot exhaust the stack.
        let mut path = vec![(start, 0)];
        marks[start] = Mark::Open;
        while let Some((place, next)) = path.last_mut() {
            let place = *place;
            let Some(input) = raw[place].inputs.get(*next) else {
                marks[place] = Mark::Done;
                order.push(place);
                path.pop();
                continue;
            };
            *next += 1;
            let Some(&used) = places.get(input.name) else {
                continue;
            };
            match marks[used] {
                Mark::Done => {}
                Mark::New => {
                    marks[used] = Mark::Open;
                    path.push((used, 0));
                }
                Mark::Open => {
                    let cycle = path.iter().skip_while(|(place, _)| *place != used);
                    let names: Vec<&str> = cycle.map(|(place, _)| raw[*place].name).collect();
                    let message = format!(
                        "depends on itself: {} -> {}",
                        names.join(" -> "),
                        raw[used].name
                    );
                    report.add(raw[used].span.clone(), &raw[used].path, message);
                }
            }
        }
    }
    order
}

fn link(raw: &Raw<'_>, all: &[Raw<'_>], catalog: &Catalog, report: &mut Report) -> Derived {
    let transform = raw.transform.clone().unwrap_or(Transform::IsMissing);
    let mut inputs = Vec::with_capacity(raw.inputs.len());
    for input in &raw.inputs {
        let Some(reference) = catalog.resolve(input.name) else {
            // A name that is derived but not linked yet is part of a cycle: reported already.
            if !all.iter().any(|entry| entry.name == input.name) {
                unknown(input, all, catalog, report);
            }
            continue;
        };
        let dtype = match &reference {
            Reference::Request(_) => None,
            Reference::View { view, feature } => {
                Some(catalog.views[*view].features[*feature].dtype)
            }
            Reference::Derived(place) => Some(catalog.derived[*place].transform.dtype()),
        };
        if let (Some(dtype), Some(_)) = (dtype, &raw.transform)
            && let Some(message) = mismatch(&transform, input.name, dtype)
        {
            report.add(input.span.clone(), &input.path, message);
        }
        inputs.push(reference);
    }
    let default = raw
        .default
        .clone()
        .unwrap_or_else(|| transform.dtype().zero());
    Derived {
        name: Arc::from(raw.name),
        transform,
        inputs,
        default,
    }
}

/// Why `transform` can't take an input of this type, if it can't.
pub(crate) fn mismatch(transform: &Transform, input: &str, dtype: Dtype) -> Option<String> {
    let takes = transform.takes();
    let (name, wanted) = (transform.name(), takes.describe());
    let list = match dtype.is_list() {
        true => ", a list: lists go into models as they are",
        false => "",
    };
    (!takes.accepts(dtype))
        .then(|| format!("{name} takes {wanted}, and `{input}` is {dtype}{list}"))
}

fn unknown(input: &Input<'_>, all: &[Raw<'_>], catalog: &Catalog, report: &mut Report) {
    let stored: Vec<String> = catalog.feature_names().collect();
    let names = stored
        .iter()
        .map(String::as_str)
        .chain(all.iter().map(|entry| entry.name));
    let hint = did_you_mean(input.name, names).unwrap_or_else(|| {
        "a feature is `request.FIELD`, `VIEW.FEATURE` or the bare name of a derived one".to_owned()
    });
    let message = catalog.unknown(input.name);
    report.add_with_hint(input.span.clone(), &input.path, message, Some(hint));
}
