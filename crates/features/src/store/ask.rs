//! What one request asks of one server, and what it answers: rows by their keys, and fields of
//! hashes. However many there are, they cost one round trip.

use crate::catalog::{Field, Fields};
use crate::key::Keys;

/// The keys of rows, and hashes with the fields that are wanted of each.
#[derive(Debug)]
pub(super) struct Ask<'p> {
    pub(super) rows: Keys,
    /// By hash; see [`Item::name`].
    hash_names: Keys,
    /// By hash.
    fields: Vec<&'p Fields>,
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
    /// Its name, and what is asked of it.
    Hash(&'a [u8], &'p Fields),
}

/// What the name of a hash begins with; no row's key does, which begins with `gavel:`.
const HASH: &[u8] = b"hash:";
const DIGEST_BYTES: usize = size_of::<u64>();

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
            hash_names: Keys::with_capacity(0),
            fields: Vec::new(),
        }
    }

    /// Asks for the one key that is never written.
    pub(super) fn probe() -> Self {
        Ask::rows(Keys::probe())
    }

    /// Asks for fields of the hash whose key `write` appends.
    pub(super) fn hash(&mut self, fields: &'p Fields, write: impl FnOnce(&mut Vec<u8>)) {
        self.hash_names.push_with(|name| {
            name.extend_from_slice(HASH);
            write(name);
            name.extend_from_slice(&fields.digest().to_le_bytes());
        });
        self.fields.push(fields);
    }

    /// Each hash's key and fields.
    pub(super) fn hashes(&self) -> impl Iterator<Item = (&[u8], &'p [Field])> {
        let fields = self.fields.iter().map(|fields| &***fields);
        let names = self.hash_names.iter();
        let keys = names.map(|name| &name[HASH.len()..name.len() - DIGEST_BYTES]);
        keys.zip(fields)
    }

    /// Rows, then hashes.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'_, 'p>> {
        let names = self.hash_names.iter().zip(&self.fields);
        let hashes = names.map(|(name, fields)| Item::Hash(name, fields));
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
                Item::Hash(name, fields) => {
                    ask.hash_names
                        .push_with(|bytes| bytes.extend_from_slice(name));
                    ask.fields.push(fields);
                }
            }
        }
        ask
    }
}

impl<'a> Item<'a, '_> {
    /// A name that no other item has: a row's key, or `hash:`, the hash's key, a digest of what is
    /// asked of it.
    pub(super) fn name(&self) -> &'a [u8] {
        match self {
            Item::Row(name) | Item::Hash(name, _) => name,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&str]) -> Fields {
        let names = names.iter().map(|name| Field::from(name.as_bytes()));
        names.collect()
    }

    #[test]
    fn hashes_are_named_by_their_key_and_what_is_asked_of_them() {
        let all = [&["a", "bc"][..], &["ab", "c"], &["a"], &[]].map(fields);
        let mut ask = Ask::rows([&b"gavel:1:v"[..]].into_iter().collect());
        for key in ["k", "k2"] {
            for fields in &all {
                ask.hash(fields, |out| out.extend_from_slice(key.as_bytes()));
            }
        }
        let items: Vec<_> = ask.items().collect();
        let names: std::collections::HashSet<_> = items.iter().map(Item::name).collect();
        assert_eq!(names.len(), 9);
        let again: Ask<'_> = items.iter().skip(1).collect();
        assert!(
            again.hashes().eq(ask.hashes()),
            "the keys and fields are the same"
        );
        let keys: Vec<_> = ask.hashes().map(|(key, _)| key).collect();
        assert_eq!((keys[0], keys[7]), (&b"k"[..], &b"k2"[..]));
        // Made anew, they have the same names: so a plan's names are those of another's.
        assert_eq!(fields(&["a", "bc"]).digest(), all[0].digest());
    }
}
