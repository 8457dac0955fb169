//! Bytes that look like the state of a view from events, as far as a store knows: its head, a
//! counter and who wrote it.

use features::{Catalog, StateKey, StateWrite, Value, revision};

pub(crate) fn catalog() -> Catalog {
    Catalog::parse(
        r#"
        entities.card_id = "string"
        [views.card]
        entity = "card_id"
        features.n = { dtype = "float64", default = -1.0 }
        "#,
    )
    .unwrap()
}

pub(crate) fn key(catalog: &Catalog, card: &str) -> StateKey {
    let card = Value::String(card.into());
    catalog.state_key("card", &[card]).unwrap()
}

/// `version 2 | fingerprint | newest event time | revision | count | writer`
pub(crate) fn state(revision: u64, count: u64, writer: u64) -> Vec<u8> {
    let mut bytes = vec![2];
    for part in [7, 1_567_245_600_000_000, revision, count, writer] {
        bytes.extend_from_slice(&part.to_le_bytes());
    }
    bytes
}

pub(crate) fn count(state: &[u8]) -> u64 {
    u64::from_le_bytes(state[25..33].try_into().unwrap())
}

/// The write that counts one up from what was read.
pub(crate) fn next(key: &StateKey, read: Option<&[u8]>, writer: u64) -> StateWrite {
    let expected = read.and_then(revision).unwrap_or(0);
    StateWrite {
        key: key.clone(),
        expected,
        bytes: state(expected + 1, read.map_or(0, count) + 1, writer),
        expires_in: None,
    }
}
