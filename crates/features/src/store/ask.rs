//! What one request asks of one server, and what it answers: rows by their keys, and fields of
//! hashes. However many there are, they cost one round trip.

use std::borrow::Cow;

use crate::catalog::Field;
use crate::key::Keys;

/// The keys of rows, and hashes with the fields that are wanted of each.
#[derive(Debug)]
pub(super) struct Ask<'p> {
    pub(super) rows: Keys,
    hash_keys: Keys,
    /// By hash.
    fields: Vec<&'p [Field]>,
}

/// The answer, by place.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// One for each row; `None` where nothing is stored.
    pub(super) rows: Values,
    /// For each hash one value a field, all `None` where there is no hash; `None` where the key
    /// holds something else.
    pub(super) hashes: Vec<Option<Values>>,
}

pub(super) type Values = Vec<Option<Vec<u8>>>;

/// One thing that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a, 'p> {
    Row(&'a [u8]),
    Hash(&'a [u8], &'p [Field]),
}

/// What is held under it.
#[derive(Debug, PartialEq)]
pub(super) enum Held {
    /// See [`Reply::rows`].
    Row(Option<Vec<u8>>),
    /// See [`Reply::hashes`].
    Hash(Option<Values>),
}

impl<'p> Ask<'p> {
    pub(super) fn rows(rows: Keys) -> Self {
        Ask {
            rows,
            hash_keys: Keys::with_capacity(0),
            fields: Vec::new(),
        }
    }

    /// Asks for the one key that is never written.
    pub(super) fn probe() -> Self {
        Ask::rows(Keys::probe())
    }

    /// Asks for fields of the hash whose key `write` appends.
    pub(super) fn hash(&mut self, fields: &'p [Field], write: impl FnOnce(&mut Vec<u8>)) {
        self.hash_keys.push_with(write);
        self.fields.push(fields);
    }

    /// Each hash's key and fields.
    pub(super) fn hashes(&self) -> impl Iterator<Item = (&[u8], &'p [Field])> {
        self.hash_keys.iter().zip(self.fields.iter().copied())
    }

    /// Rows, then hashes.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'_, 'p>> {
        let hashes = self.hashes().map(|(key, fields)| Item::Hash(key, fields));
        self.rows.iter().map(Item::Row).chain(hashes)
    }

    pub(super) fn hash_count(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len() + self.hash_count()
    }
}

impl<'i, 'a: 'i, 'p: 'a> FromIterator<&'i Item<'a, 'p>> for Ask<'p> {
    fn from_iter<I: IntoIterator<Item = &'i Item<'a, 'p>>>(items: I) -> Self {
        let mut ask = Ask::rows(Keys::with_capacity(0));
        for item in items {
            match item {
                Item::Row(key) => ask.rows.push_with(|bytes| bytes.extend_from_slice(key)),
                Item::Hash(key, fields) => {
                    ask.hash(fields, |bytes| bytes.extend_from_slice(key));
                }
            }
        }
        ask
    }
}

impl<'a> Item<'a, '_> {
    /// A name that no other item has: a row's key, which begins with `gavel:`, or `hash:`, the
    /// hash's key, a digest of its fields.
    pub(super) fn name(&self) -> Cow<'a, [u8]> {
        match self {
            Item::Row(key) => Cow::Borrowed(key),
            Item::Hash(key, fields) => {
                Cow::Owned([b"hash:", *key, &digest(fields).to_le_bytes()].concat())
            }
        }
    }
}

/// FNV-1a, 64 bits, of the fields' lengths and bytes.
fn digest(fields: &[Field]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for field in fields {
        for byte in (field.len() as u32).to_le_bytes().iter().chain(&**field) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

impl Reply {
    /// Rows, then hashes.
    pub(super) fn into_items(self) -> impl Iterator<Item = Held> {
        let hashes = self.hashes.into_iter().map(Held::Hash);
        self.rows.into_iter().map(Held::Row).chain(hashes)
    }
}

impl Held {
    /// How much memory it takes, more or less.
    pub(super) fn bytes(&self) -> usize {
        const VALUE: usize = size_of::<Option<Vec<u8>>>();
        match self {
            Held::Row(value) => value.as_ref().map_or(0, Vec::len),
            Held::Hash(None) => 0,
            Held::Hash(Some(values)) => values
                .iter()
                .map(|value| VALUE + value.as_ref().map_or(0, Vec::len))
                .sum(),
        }
    }
}
