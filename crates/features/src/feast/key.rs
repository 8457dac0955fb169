//! Where Feast keeps an entity in Redis: the key of the entity's hash, and the fields in it.
//!
//! ```text
//! key      = names values project                 u32 are little endian; join keys in byte order
//! names    = count:u32 (2:u32 length:u32 UTF-8)…  serialization version 3
//!          | (2:u32 UTF-8)…                       serialization version 2
//! values   = (type:u32 length:u32 bytes)…         in the order of the names
//! project  = UTF-8
//! field    = murmur3 x86 32, seed 0, of "view:feature", 4 bytes little endian
//!          | "_ts:view"                           when the view's features were true
//! ```
//! All views of an entity share one hash. A view without entities has the join key `__dummy_id`,
//! and its value is "". Source: Feast 0.67.0, `feast/infra/key_encoding_utils.py` and
//! `feast/infra/online_stores/helpers.py`, and vectors that it wrote (`tests/data/feast_redis.json`).

use std::fmt;
use std::io::Cursor;

use crate::value::{Dtype, Value};

/// The join key of a view that has no entity.
pub(super) const DUMMY_JOIN_KEY: &str = "__dummy_id";

/// Types that Feast can write into a key, by their numbers in `feast.types.ValueType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    Bytes = 1,
    String = 2,
    Int32 = 3,
    Int64 = 4,
    UnixTimestamp = 8,
}

impl KeyType {
    pub(super) fn from_number(value_type: i32) -> Option<Self> {
        [
            KeyType::Bytes,
            KeyType::String,
            KeyType::Int32,
            KeyType::Int64,
            KeyType::UnixTimestamp,
        ]
        .into_iter()
        .find(|known| *known as i32 == value_type)
    }

    /// The type of the entity in a request. Bytes are the UTF-8 of a string, a timestamp is in whole
    /// seconds.
    pub(crate) fn dtype(self) -> Dtype {
        match self {
            KeyType::Bytes | KeyType::String => Dtype::String,
            KeyType::Int32 | KeyType::Int64 | KeyType::UnixTimestamp => Dtype::Int64,
        }
    }
}

/// `entity_key_serialization_version` of feature_store.yaml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyVersion {
    /// Deprecated in Feast, and still read and written by it.
    V2,
    V3,
}

/// How the keys of one combination of join keys are written; what is the same in all of them is
/// written once.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyFormat {
    head: Vec<u8>,
    types: Vec<KeyType>,
    tail: Vec<u8>,
}

impl KeyFormat {
    /// Of `join_keys` in byte order; of none for a view without entities.
    pub(crate) fn new<'k>(
        version: KeyVersion,
        join_keys: impl IntoIterator<Item = (&'k str, KeyType)>,
        project: &str,
    ) -> Self {
        let mut join_keys: Vec<_> = join_keys.into_iter().collect();
        let mut tail = Vec::new();
        let types = join_keys.iter().map(|(_, key_type)| *key_type).collect();
        if join_keys.is_empty() {
            join_keys.push((DUMMY_JOIN_KEY, KeyType::String));
            write_value(&mut tail, KeyType::String, b"");
        }
        tail.extend_from_slice(project.as_bytes());
        let mut head = Vec::new();
        if version == KeyVersion::V3 {
            write_number(&mut head, join_keys.len());
        }
        for (name, _) in join_keys {
            write_number(&mut head, KeyType::String as usize);
            if version == KeyVersion::V3 {
                write_number(&mut head, name.len());
            }
            head.extend_from_slice(name.as_bytes());
        }
        KeyFormat { head, types, tail }
    }

    /// Appends the key of an entity; `values` are in the order of the join keys.
    ///
    /// # Errors
    /// A value that no key of Feast's can hold: there is no such entity. What was appended then is
    /// of no use.
    pub(crate) fn write<'v>(
        &self,
        out: &mut Vec<u8>,
        values: impl IntoIterator<Item = &'v Value>,
    ) -> Result<(), NoKey> {
        out.extend_from_slice(&self.head);
        let mut values = values.into_iter();
        for key_type in &self.types {
            match (key_type, values.next().ok_or(NoKey)?) {
                (KeyType::Bytes | KeyType::String, Value::String(text)) => {
                    write_value(out, *key_type, text.as_bytes());
                }
                (KeyType::Int32, Value::Int64(number)) => {
                    let number = i32::try_from(*number).map_err(|_| NoKey)?;
                    write_value(out, *key_type, &number.to_le_bytes());
                }
                (KeyType::Int64 | KeyType::UnixTimestamp, Value::Int64(number)) => {
                    write_value(out, *key_type, &number.to_le_bytes());
                }
                _ => return Err(NoKey),
            }
        }
        out.extend_from_slice(&self.tail);
        Ok(())
    }
}

impl fmt::Debug for KeyFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, tail) = (self.head.escape_ascii(), self.tail.escape_ascii());
        write!(f, "{head}{:?}{tail}", self.types)
    }
}

/// The entity's value is not one that a key of Feast's can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoKey;

fn write_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u32).to_le_bytes());
}

fn write_value(out: &mut Vec<u8>, key_type: KeyType, bytes: &[u8]) {
    write_number(out, key_type as usize);
    write_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// The hash field of a feature. Two features may have the same one: it has 32 bits, and Feast does
/// not look.
pub(crate) fn feature_field(view: &str, feature: &str) -> [u8; 4] {
    let name = format!("{view}:{feature}");
    // Reading from memory does not fail.
    let hash = murmur3::murmur3_32(&mut Cursor::new(name), 0);
    hash.unwrap_or_default().to_le_bytes()
}

/// The hash field that says when the view's features were true.
pub(crate) fn time_field(view: &str) -> Vec<u8> {
    format!("_ts:{view}").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const TYPES: [KeyType; 5] = [
        KeyType::Bytes,
        KeyType::String,
        KeyType::Int32,
        KeyType::Int64,
        KeyType::UnixTimestamp,
    ];

    /// Join keys in byte order, and a value for each.
    fn entity() -> impl Strategy<Value = (Vec<(String, KeyType)>, Vec<Value>)> {
        let value = |key_type: KeyType| match key_type.dtype() {
            Dtype::String => "[is\\x00-\\x05]{0,6}"
                .prop_map(|text| Value::String(text.into()))
                .boxed(),
            _ if key_type == KeyType::Int32 => any::<i32>()
                .prop_map(|number| Value::Int64(number.into()))
                .boxed(),
            _ => any::<i64>().prop_map(Value::Int64).boxed(),
        };
        let names = proptest::collection::btree_map("[a-c\\x00-\\x05]{1,3}", 0..5usize, 0..4);
        names.prop_flat_map(move |names| {
            let keys: Vec<_> = names
                .into_iter()
                .map(|(name, i)| (name, TYPES[i]))
                .collect();
            let values: Vec<_> = keys.iter().map(|(_, key_type)| value(*key_type)).collect();
            (Just(keys), values)
        })
    }

    fn key(version: KeyVersion, keys: &[(String, KeyType)], values: &[Value]) -> Vec<u8> {
        let keys = keys.iter().map(|(name, key_type)| (&**name, *key_type));
        let mut out = Vec::new();
        KeyFormat::new(version, keys, "p")
            .write(&mut out, values)
            .unwrap();
        out
    }

    fn number(rest: &mut &[u8]) -> usize {
        let (head, tail) = rest.split_first_chunk::<4>().unwrap();
        *rest = tail;
        u32::from_le_bytes(*head) as usize
    }

    fn bytes<'r>(rest: &mut &'r [u8]) -> &'r [u8] {
        let length = number(rest);
        let (head, tail) = rest.split_at(length);
        *rest = tail;
        head
    }

    proptest! {
        #[test]
        fn a_key_of_version_3_says_what_it_is_of((keys, values) in entity()) {
            let written = key(KeyVersion::V3, &keys, &values);
            let rest = &mut &*written;
            let count = number(rest);
            let mut names = Vec::new();
            for _ in 0..count {
                prop_assert_eq!(number(rest), 2);
                names.push(String::from_utf8(bytes(rest).to_vec()).unwrap());
            }
            let mut read = Vec::new();
            for name in names {
                let key_type = KeyType::from_number(number(rest) as i32).unwrap();
                let value = bytes(rest);
                let value = match key_type {
                    KeyType::Bytes | KeyType::String => {
                        Value::String(std::str::from_utf8(value).unwrap().into())
                    }
                    KeyType::Int32 => Value::Int64(i32::from_le_bytes(value.try_into().unwrap()).into()),
                    KeyType::Int64 | KeyType::UnixTimestamp => {
                        Value::Int64(i64::from_le_bytes(value.try_into().unwrap()))
                    }
                };
                read.push(((name, key_type), value));
            }
            prop_assert_eq!(*rest, b"p");
            let mut asked: Vec<_> = keys.into_iter().zip(values).collect();
            if asked.is_empty() {
                asked.push(((DUMMY_JOIN_KEY.to_owned(), KeyType::String), Value::String("".into())));
            }
            prop_assert_eq!(read, asked);
        }

        #[test]
        fn entities_of_the_same_join_keys_never_share_a_key(
            (keys, _) in entity(),
            numbers in proptest::collection::vec(any::<u16>(), 1..20),
        ) {
            for version in [KeyVersion::V2, KeyVersion::V3] {
                let mut seen: HashMap<Vec<u8>, Vec<Value>> = HashMap::new();
                for number in &numbers {
                    let values: Vec<_> = (0..).zip(&keys).map(|(i, (_, key_type))| {
                        let number = number >> i;
                        match key_type.dtype() {
                            Dtype::String => Value::String("s".repeat(usize::from(number % 9)).into()),
                            _ => Value::Int64(number.into()),
                        }
                    }).collect();
                    let owner = seen.entry(key(version, &keys, &values)).or_insert(values.clone());
                    prop_assert_eq!(owner, &values);
                }
            }
        }
    }

    #[test]
    fn a_value_outside_a_keys_type_has_no_key() {
        let key = |key_type, value: Value| {
            let format = KeyFormat::new(KeyVersion::V3, [("k", key_type)], "p");
            format.write(&mut Vec::new(), [&value])
        };
        for number in [i64::from(i32::MAX) + 1, i64::from(i32::MIN) - 1] {
            assert_eq!(key(KeyType::Int32, Value::Int64(number)), Err(NoKey));
            assert_eq!(key(KeyType::Int64, Value::Int64(number)), Ok(()));
        }
        assert_eq!(key(KeyType::String, Value::Int64(1)), Err(NoKey));
        assert_eq!(key(KeyType::Int64, Value::String("1".into())), Err(NoKey));
        let format = KeyFormat::new(KeyVersion::V3, [("k", KeyType::Int64)], "p");
        assert_eq!(format.write(&mut Vec::new(), []), Err(NoKey));
    }
}
