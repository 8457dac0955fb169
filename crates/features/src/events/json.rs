//! Named values out of a JSON object, without building the rest of it.
//!
//! Paths form a tree of keys. The parser walks the document along that tree: a key that is in it
//! is read, anything else is skipped. Of a key that comes twice the last value counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::{EventError, EventErrorKind};
use super::raw::Raw;

/// Where values are in an object; each has a slot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Paths {
    /// Slots that take the value itself.
    slots: Vec<usize>,
    /// What lies inside the value if it is an object.
    children: Vec<(Box<str>, Paths)>,
}

impl Paths {
    /// Adds the value at the dotted `path`.
    pub(crate) fn add(&mut self, path: &str, slot: usize) {
        let mut node = self;
        for key in path.split('.') {
            let place = match node.children.iter().position(|(known, _)| **known == *key) {
                Some(place) => place,
                None => {
                    node.children.push((key.into(), Paths::default()));
                    node.children.len() - 1
                }
            };
            node = &mut node.children[place].1;
        }
        node.slots.push(slot);
    }

    /// The slots of the value at a dotted path; none for a path that nobody named.
    pub(crate) fn slots(&self, path: &str) -> &[usize] {
        self.at(path).map_or(&[], |node| &node.slots)
    }

    /// The dotted path of a slot's value; `None` for a slot that has none.
    pub(crate) fn path(&self, slot: usize) -> Option<String> {
        self.children.iter().find_map(|(key, child)| {
            if child.slots.contains(&slot) {
                return Some(key.to_string());
            }
            child.path(slot).map(|inner| format!("{key}.{inner}"))
        })
    }

    /// Whether a slot's value lies inside the value at a dotted path.
    pub(crate) fn within(&self, path: &str, slot: usize) -> bool {
        let inside = |node: &Paths| {
            let mut children = node.children.iter();
            children.any(|(_, child)| child.holds(slot))
        };
        self.at(path).is_some_and(inside)
    }

    fn holds(&self, slot: usize) -> bool {
        let mut children = self.children.iter();
        self.slots.contains(&slot) || children.any(|(_, child)| child.holds(slot))
    }

    fn at(&self, path: &str) -> Option<&Paths> {
        path.split('.').try_fold(self, |node, key| {
            let mut children = node.children.iter();
            let found = children.find(|(known, _)| **known == *key);
            found.map(|(_, child)| child)
        })
    }

    /// Reads a JSON object. Slots of values that are not there stay as they are.
    pub(crate) fn read<'d>(
        &self,
        bytes: &'d [u8],
        slots: &mut [Raw<'d>],
    ) -> Result<(), EventError> {
        let mut parser = serde_json::Deserializer::from_slice(bytes);
        let read = parser.deserialize_map(Reader { node: self, slots });
        read.and_then(|()| parser.end()).map_err(|error| {
            let text = error.to_string();
            // serde_json's words for a number that no float64 holds.
            let kind = match text.starts_with("number out of range") {
                true => EventErrorKind::NotFinite,
                false => EventErrorKind::NotJson,
            };
            EventError::new(kind, format!("not a JSON object that can be read: {text}"))
        })
    }

    /// Gives every slot here `raw`, and every slot inside what no field can be.
    fn fill<'d>(&self, raw: Raw<'d>, slots: &mut [Raw<'d>]) {
        if !self.children.is_empty() {
            let inside = match raw {
                Raw::Null => Raw::Null,
                _ => Raw::Other("what lies in a value that is no object"),
            };
            for (_, child) in &self.children {
                child.fill(inside.clone(), slots);
            }
        }
        for slot in &self.slots {
            slots[*slot] = raw.clone();
        }
    }
}

struct Reader<'t, 's, 'd> {
    node: &'t Paths,
    slots: &'s mut [Raw<'d>],
}

impl<'d> DeserializeSeed<'d> for Reader<'_, '_, 'd> {
    type Value = ();

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'d> Reader<'_, '_, 'd> {
    fn scalar<E>(self, raw: Raw<'d>) -> Result<(), E> {
        self.node.fill(raw, self.slots);
        Ok(())
    }
}

impl<'d> Visitor<'d> for Reader<'_, '_, 'd> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Raw::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Raw::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(i64::try_from(value).map_or(Raw::Large(value), Raw::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(Raw::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'d str) -> Result<(), E> {
        self.scalar(Raw::Text(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.scalar(Raw::Text(text.to_owned().into()))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(Raw::Null)
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.scalar(Raw::Other("a list"))
    }

    fn visit_map<A: MapAccess<'d>>(self, mut object: A) -> Result<(), A::Error> {
        self.node.fill(Raw::Null, self.slots);
        for slot in &self.node.slots {
            self.slots[*slot] = Raw::Other("an object");
        }
        while let Some(child) = object.next_key_seed(Key(self.node))? {
            match child {
                Some(node) => object.next_value_seed(Reader {
                    node,
                    slots: &mut *self.slots,
                })?,
                None => _ = object.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// Finds a key among a node's children.
struct Key<'t>(&'t Paths);

impl<'d, 't> DeserializeSeed<'d> for Key<'t> {
    type Value = Option<&'t Paths>;

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'_> for Key<'t> {
    type Value = Option<&'t Paths>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let mut children = self.0.children.iter();
        let found = children.find(|(known, _)| **known == *key);
        Ok(found.map(|(_, node)| node))
    }
}
