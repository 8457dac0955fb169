//! Keys of stored rows: which view, which entity.
//!
//! ```text
//! gavel:1:VIEW:<value><value>…        one value per entity of the view, in the view's order
//! <value> = 's' length:u32 LE UTF-8   a string key
//!         | 'i' i64 LE                an int64 key
//! ```
//! A view's name holds no colon and every value says its type and its length, so two different
//! (view, entity) pairs never share a key. The `1` is the version of the layout. The state of a view
//! from events is under the same key as a row would be: a view has the one or the other.
//!
//! `gavel:note:NAME` holds a writer's note on its progress.

use std::fmt;

use crate::value::Value;

/// What every row's key begins with; also a key that is never written, which probes ask for.
pub(crate) const PREFIX: &str = "gavel:1:";
/// What the key of a writer's note begins with, which no row's does.
const NOTE_PREFIX: &str = "gavel:note:";

/// Where the state of one entity of a view from events is kept: made by
/// [`Catalog::state_key`](crate::Catalog::state_key).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateKey(Box<[u8]>);

impl StateKey {
    pub(crate) fn new(view: &str, entity: &[Value]) -> Self {
        let mut bytes = Vec::with_capacity(64);
        write(&mut bytes, view, entity);
        StateKey(bytes.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// The key of a writer's note.
pub(crate) fn note(name: &str) -> Vec<u8> {
    [NOTE_PREFIX, name].concat().into_bytes()
}

/// Appends the key of `entity` in `view`. Only strings and int64s are entity keys: the plan and
/// the loader have checked the types.
pub(crate) fn write<'v>(
    out: &mut Vec<u8>,
    view: &str,
    entity: impl IntoIterator<Item = &'v Value>,
) {
    out.extend_from_slice(PREFIX.as_bytes());
    out.extend_from_slice(view.as_bytes());
    out.push(b':');
    for value in entity {
        match value {
            Value::String(text) => {
                out.push(b's');
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Value::Int64(number) => {
                out.push(b'i');
                out.extend_from_slice(&number.to_le_bytes());
            }
            Value::Bool(_) | Value::Float32(_) | Value::Float64(_) | Value::List(_) => {
                out.push(b'?');
            }
        }
    }
}

/// Several keys in one buffer, so that a request's keys cost two allocations, not one each.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// Room for `count` keys of ordinary length without growing.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Keys {
            bytes: Vec::with_capacity(64 * count),
            ends: Vec::with_capacity(count),
        }
    }

    pub(crate) fn push<'v>(&mut self, view: &str, entity: impl IntoIterator<Item = &'v Value>) {
        self.push_with(|bytes| write(bytes, view, entity));
    }

    /// Adds the key that `write` appends.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// The one key that is never written.
    pub(crate) fn probe() -> Self {
        Keys {
            bytes: PREFIX.as_bytes().to_vec(),
            ends: vec![PREFIX.len()],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.bytes[start..*end])
    }
}

impl<'k> FromIterator<&'k [u8]> for Keys {
    fn from_iter<I: IntoIterator<Item = &'k [u8]>>(all: I) -> Self {
        let mut keys = Keys::with_capacity(0);
        for key in all {
            keys.push_with(|bytes| bytes.extend_from_slice(key));
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn entity() -> impl Strategy<Value = Vec<Value>> {
        let value = prop_oneof![
            "[is\\x00-\\x05:]{0,6}".prop_map(|text| Value::String(text.into())),
            any::<i64>().prop_map(Value::Int64),
        ];
        proptest::collection::vec(value, 1..4)
    }

    proptest! {
        #[test]
        fn different_entities_never_share_a_key(
            all in proptest::collection::vec(("[ab_]{1,3}", entity()), 1..60),
        ) {
            let mut seen: HashMap<Vec<u8>, (String, Vec<Value>)> = HashMap::new();
            for (view, entity) in all {
                let mut key = Vec::new();
                write(&mut key, &view, &entity);
                let owner = seen.entry(key).or_insert_with(|| (view.clone(), entity.clone()));
                prop_assert_eq!(owner, &(view, entity));
            }
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let mut keys = Keys::with_capacity(2);
        keys.push("card", [&Value::String("4022".into()), &Value::Int64(-2)]);
        keys.push("store", [&Value::Int64(7)]);
        let all: Vec<&[u8]> = keys.iter().collect();
        assert_eq!(
            all[0],
            b"gavel:1:card:s\x04\0\0\x004022i\xfe\xff\xff\xff\xff\xff\xff\xff"
        );
        assert_eq!(all[1], b"gavel:1:store:i\x07\0\0\0\0\0\0\0");
    }
}
