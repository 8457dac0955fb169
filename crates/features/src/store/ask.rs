//! What one request asks of one server, and what it answers: rows by their keys, and fields of
//! hashes. However many there are, they cost one round trip.

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

    pub(super) fn hash_count(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 0 && self.fields.is_empty()
    }
}
