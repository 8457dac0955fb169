//! Reads tables and values of TOML with their spans, reporting what does not fit and going on.
//!
//! serde's `deny_unknown_fields` stops at the first error; an engineer who fixes a file wants all
//! of them, so this walks the document's tree instead.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Report;
use crate::suggest::did_you_mean;
use crate::value::{Dtype, Value};

/// A value of the document, with the path of keys that leads to it.
#[derive(Clone, Debug)]
pub(crate) struct Node<'d> {
    pub(crate) path: String,
    value: &'d Spanned<DeValue<'d>>,
}

/// A table of the document.
#[derive(Clone, Debug)]
pub(crate) struct Table<'d> {
    pub(crate) path: String,
    pub(crate) span: Range<usize>,
    entries: &'d DeTable<'d>,
}

impl<'d> Table<'d> {
    pub(crate) fn root(document: &'d Spanned<DeTable<'d>>) -> Self {
        Table {
            path: String::new(),
            span: document.span(),
            entries: document.get_ref(),
        }
    }

    /// Reports each key that is not in `known`.
    pub(crate) fn only(&self, known: &[&str], report: &mut Report) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let hint = did_you_mean(name, known.iter().copied())
                    .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
                let path = join(&self.path, name);
                report.add_with_hint(key.span(), &path, "unknown key", Some(hint));
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Node<'d>> {
        let value = self.entries.get(key)?;
        Some(Node {
            path: join(&self.path, key),
            value,
        })
    }

    pub(crate) fn require(&self, key: &str, what: &str, report: &mut Report) -> Option<Node<'d>> {
        let node = self.get(key);
        if node.is_none() {
            report.add(
                self.span.clone(),
                &self.path,
                format!("lacks `{key}`: {what}"),
            );
        }
        node
    }

    /// Entries in the order of their names, with the span of each name.
    pub(crate) fn entries(&self) -> Vec<(&'d str, Range<usize>, Node<'d>)> {
        let mut all: Vec<_> = self
            .entries
            .iter()
            .map(|(key, value)| {
                let name: &'d str = key.get_ref();
                (
                    name,
                    key.span(),
                    Node {
                        path: join(&self.path, name),
                        value,
                    },
                )
            })
            .collect();
        all.sort_by_key(|(name, _, _)| *name);
        all
    }
}

impl<'d> Node<'d> {
    pub(crate) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    fn wrong<T>(&self, expected: &str, report: &mut Report) -> Option<T> {
        let found = self.value.get_ref().type_str();
        let message = format!("expected {expected}, found {} {found}", article(found));
        report.add(self.span(), &self.path, message);
        None
    }

    pub(crate) fn table(&self, report: &mut Report) -> Option<Table<'d>> {
        match self.value.get_ref() {
            DeValue::Table(entries) => Some(Table {
                path: self.path.clone(),
                span: self.span(),
                entries,
            }),
            _ => self.wrong("a table", report),
        }
    }

    /// Whether this is a table with that key.
    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(entries) if entries.contains_key(key))
    }

    pub(crate) fn text(&self, report: &mut Report) -> Option<&'d str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.wrong("a string", report),
        }
    }

    pub(crate) fn list(&self, report: &mut Report) -> Option<Vec<Node<'d>>> {
        let DeValue::Array(items) = self.value.get_ref() else {
            return self.wrong("a list", report);
        };
        let node = |(i, value)| Node {
            path: format!("{}[{i}]", self.path),
            value,
        };
        Some(items.iter().enumerate().map(node).collect())
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::String(_))
    }

    pub(crate) fn is_integer(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Integer(_))
    }

    pub(crate) fn is_boolean(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Boolean(_))
    }

    pub(crate) fn boolean(&self, report: &mut Report) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong("true or false", report),
        }
    }

    pub(crate) fn integer(&self, report: &mut Report) -> Option<i64> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            return self.wrong("a whole number", report);
        };
        let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if parsed.is_none() {
            report.add(self.span(), &self.path, "does not fit into 64 bits");
        }
        parsed
    }

    /// A finite number; an integer is a number too.
    pub(crate) fn number(&self, report: &mut Report) -> Option<f64> {
        let parsed = match self.value.get_ref() {
            DeValue::Integer(_) => self.integer(report)? as f64,
            DeValue::Float(number) => number.as_str().parse().unwrap_or(f64::NAN),
            _ => return self.wrong("a number", report),
        };
        if !parsed.is_finite() {
            report.add(
                self.span(),
                &self.path,
                "must be finite: neither nan nor inf",
            );
            return None;
        }
        Some(parsed)
    }

    /// A literal of the given type. For a list, every element, or one value that all of them take.
    pub(crate) fn literal(&self, dtype: Dtype, report: &mut Report) -> Option<Value> {
        match dtype {
            Dtype::Bool => self.boolean(report).map(Value::Bool),
            Dtype::Int64 => self.integer(report).map(Value::Int64),
            Dtype::Float64 => self.number(report).map(Value::Float64),
            Dtype::String => self.text(report).map(|text| Value::String(Arc::from(text))),
            Dtype::Float32 => {
                let value = Value::Float32(self.number(report)? as f32);
                if !value.is_finite() {
                    report.add(self.span(), &self.path, "does not fit into a float32");
                    return None;
                }
                Some(value)
            }
            Dtype::List { of, .. } if !matches!(self.value.get_ref(), DeValue::Array(_)) => {
                Some(dtype.filled(self.literal(of.into(), report)?))
            }
            Dtype::List { of, .. } => {
                let nodes = self.list(report)?;
                if nodes.len() != dtype.width() {
                    let (found, length) = (nodes.len(), dtype.width());
                    let message = format!("{dtype} takes {length} elements, not {found}");
                    let hint = Some("one value stands for all of them".to_owned());
                    report.add_with_hint(self.span(), &self.path, message, hint);
                    return None;
                }
                let literal = |node: &Node<'_>| node.literal(of.into(), report);
                let elements: Vec<_> = nodes.iter().map(literal).collect();
                Some(Value::List(elements.into_iter().collect::<Option<_>>()?))
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}
