//! Views whose rows are plain Redis hashes: their keys and fields.
//!
//! ```toml
//! hash = "profile:{card_id}"       # {entity}, in braces; a brace itself is written twice
//! event_time_field = "updated_at"
//! features.segment = { dtype = "string", default = "", field = "seg" }
//! ```

use std::sync::Arc;

use std::ops::Deref;

use super::problem::Report;
use super::reader::{Node, Table};
use super::{Source, View};
use crate::suggest::did_you_mean;
use crate::value::{Dtype, Value};
use crate::windows::hash::fnv1a;

/// The name of a field of a hash.
pub(crate) type Field = Box<[u8]>;

/// Fields to ask of a hash, with a digest of them: of whoever asks often, it is made once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    all: Box<[Field]>,
    /// FNV-1a, 64 bits, of the fields' lengths and bytes.
    digest: u64,
}

/// What such a view has besides `entity`, `ttl` and `features`.
pub(super) const VIEW_KEYS: [&str; 2] = ["hash", "event_time_field"];
/// What a feature of such a view may say.
pub(super) const FEATURE_KEYS: [&str; 3] = ["dtype", "default", "field"];

#[derive(Debug, PartialEq)]
pub(crate) struct Hash {
    pub(crate) key: Template,
    /// By feature of the view.
    pub(crate) fields: Vec<Field>,
    pub(crate) event_time: Option<Field>,
}

/// A key with places for the view's entities.
#[derive(Debug, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    /// Place among the view's entities.
    Entity(usize),
}

impl Hash {
    /// The fields to ask for, given which features are used: theirs in the order of the features,
    /// then that of the event time.
    pub(crate) fn asked(&self, used: impl Iterator<Item = bool>) -> Fields {
        let used = self.fields.iter().zip(used).filter(|(_, used)| *used);
        let used = used.map(|(field, _)| field);
        used.chain(&self.event_time).cloned().collect()
    }
}

impl Fields {
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        let all: Box<[Field]> = fields.into_iter().collect();
        let bytes = all.iter().flat_map(|field| {
            let length = (field.len() as u32).to_le_bytes();
            length.into_iter().chain(field.iter().copied())
        });
        let digest = fnv1a(bytes);
        Fields { all, digest }
    }
}

impl Deref for Fields {
    type Target = [Field];

    fn deref(&self) -> &[Field] {
        &self.all
    }
}

impl Template {
    /// Appends the key of an entity.
    pub(crate) fn write<'v>(&self, out: &mut Vec<u8>, entity: impl Fn(usize) -> Option<&'v Value>) {
        use std::io::Write;
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Entity(place) => match entity(*place) {
                    Some(Value::String(text)) => out.extend_from_slice(text.as_bytes()),
                    // Writing into memory does not fail.
                    Some(Value::Int64(number)) => _ = write!(out, "{number}"),
                    _ => {}
                },
            }
        }
    }
}

/// Makes `view` one of hashes: `node` is their key's template, `table` is the view's, `columns` that
/// of its features.
pub(super) fn make(
    view: &mut View,
    node: &Node<'_>,
    table: &Table<'_>,
    columns: &Table<'_>,
    report: &mut Report,
) {
    let mut parts = Vec::new();
    match node
        .text(report)
        .map(|text| self::parts(text, &view.entities))
    {
        Some(Ok(read)) => parts = read,
        Some(Err((message, hint))) => {
            report.add_with_hint(node.span(), &node.path, message, hint);
        }
        None => {}
    }
    let event_time = table
        .get("event_time_field")
        .and_then(|node| field(&node, report));
    if event_time.is_none()
        && let Some(ttl) = table.get("ttl")
    {
        let message = "a hash's age is known by its `event_time_field` alone, and there is none";
        report.add(ttl.span(), &ttl.path, message);
    }
    view.source = Source::Hash(Hash {
        key: Template(parts),
        fields: fields(columns, report),
        event_time,
    });
}

/// By feature: the field that it names, or its own name.
fn fields(columns: &Table<'_>, report: &mut Report) -> Vec<Field> {
    // What is no table has been reported by whoever read the features.
    let mut reported = Report::default();
    let mut fields = Vec::new();
    for (name, _, node) in columns.entries() {
        let Some(feature) = node.table(&mut reported) else {
            continue;
        };
        let named = feature.get("field");
        let named = named.and_then(|node| field(&node, report));
        fields.push(named.unwrap_or_else(|| name.as_bytes().into()));
    }
    fields
}

fn field(node: &Node<'_>, report: &mut Report) -> Option<Field> {
    let name = node.text(report)?;
    if name.is_empty() {
        report.add(node.span(), &node.path, "names no field");
        return None;
    }
    Some(name.as_bytes().into())
}

type Complaint = (String, Option<String>);

fn parts(text: &str, entities: &[(Arc<str>, Dtype)]) -> Result<Vec<Part>, Complaint> {
    let twice = || Some("a brace that is meant as one is written twice".to_owned());
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err(("a `}` closes nothing".to_owned(), twice()));
        }
        let Some((name, after)) = after.split_once('}') else {
            return Err(("a `{` is not closed".to_owned(), twice()));
        };
        let Some(place) = entities.iter().position(|(known, _)| **known == *name) else {
            let known = entities.iter().map(|(known, _)| &**known);
            let hint = did_you_mean(name, known);
            let message = format!("`{{{name}}}` is not among the view's entities");
            return Err((message, hint));
        };
        if !literal.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut literal)));
        }
        parts.push(Part::Entity(place));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    for (place, (name, _)) in entities.iter().enumerate() {
        if !parts.contains(&Part::Entity(place)) {
            let message = format!("lacks `{{{name}}}`: all entities would share a hash");
            return Err((message, None));
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entities() -> Vec<(Arc<str>, Dtype)> {
        vec![
            (Arc::from("card_id"), Dtype::String),
            (Arc::from("store_id"), Dtype::Int64),
        ]
    }

    fn key(template: &str) -> Result<String, String> {
        let parts = parts(template, &entities()).map_err(|(message, _)| message)?;
        let values = [Value::String("4{0".into()), Value::Int64(-7)];
        let mut out = Vec::new();
        Template(parts).write(&mut out, |place| values.get(place));
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_key_holds_its_entities_where_the_template_says() {
        let expect = |template, expected: &str| assert_eq!(key(template), Ok(expected.to_owned()));
        expect("p:{card_id}:{store_id}", "p:4{0:-7");
        expect("{store_id}{card_id}", "-74{0");
        // A cluster's hash tag.
        expect("{{{card_id}}}:{store_id}:ü", "{4{0}:-7:ü");
        expect("}}{{{card_id}{store_id}{card_id}", "}{4{0-74{0");
    }

    #[test]
    fn what_is_wrong_with_a_template_is_said() {
        let refused = |template, expected: &str| {
            let message = key(template).unwrap_err();
            assert!(message.contains(expected), "{template}: {message}");
        };
        refused("p:{card_id", "a `{` is not closed");
        refused("p:card_id}", "a `}` closes nothing");
        refused("{card_id}}:{store_id}", "a `}` closes nothing");
        refused(
            "p:{card}:{store_id}",
            "`{card}` is not among the view's entities",
        );
        refused("p:{}", "`{}` is not among");
        refused("p:{card_id}", "lacks `{store_id}`");
        refused("", "lacks `{card_id}`");
    }
}
