//! Which decisions are kept: a share of the entities, always the same ones.

use decision_log::Schema;
use features::Value;

/// A share of all entities.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Hashes below this are in it; `None` keeps everybody.
    below: Option<u64>,
    /// The entity by which decisions are told apart, where they have it.
    by: Option<String>,
}

impl Sample {
    /// `share` is from 0 to 1.
    pub(super) fn new(share: f64, by: Option<String>) -> Self {
        // 2^64 is exact in a float; a share below 1 is below it.
        let below = (share < 1.0).then_some((share * 18_446_744_073_709_551_616.0) as u64);
        Self { below, by }
    }

    /// Whether decisions about this entity are kept. Those of a decision without entities are told
    /// apart by `id`.
    pub(super) fn holds(&self, schema: &Schema, entities: &[Value], id: &str) -> bool {
        let Some(below) = self.below else {
            return true;
        };
        let mut fields = schema.entities.iter();
        let named = self.by.as_deref();
        let place = named.and_then(|by| fields.position(|field| *field.name == *by));
        let hash = match entities.get(place.unwrap_or(0)) {
            Some(Value::String(key)) => hash(key.as_bytes()),
            Some(Value::Int64(key)) => hash(&key.to_le_bytes()),
            _ => hash(id.as_bytes()),
        };
        hash < below
    }
}

/// FNV-1a in 64 bits, its bits spread as splitmix64 does. It must never change: a sample that is
/// drawn tomorrow holds the same entities.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ fnv >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use decision_log::Field;

    use super::*;

    fn schema(names: &[&str]) -> Schema {
        let field = |name: &&str| Field {
            name: (*name).into(),
            dtype: "string".into(),
        };
        Schema {
            entities: names.iter().map(field).collect(),
            ..Schema::default()
        }
    }

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn an_entity_is_in_the_sample_with_all_its_decisions_or_with_none() {
        let sample = Sample::new(0.1, None);
        let schema = schema(&["card_id", "store_id"]);
        let mut kept = 0;
        for card in 0..20_000 {
            let card = text(&format!("card-{card}"));
            let holds = |store: &str| sample.holds(&schema, &[card.clone(), text(store)], "");
            assert_eq!(holds("a"), holds("b"));
            kept += i32::from(holds("a"));
        }
        assert!((1_800..2_200).contains(&kept), "a tenth of 20,000: {kept}");
    }

    #[test]
    fn the_entity_can_be_chosen_and_a_larger_share_holds_the_smaller() {
        let schema = schema(&["card_id", "store_id"]);
        let by_store = |share| Sample::new(share, Some("store_id".into()));
        for i in 0..1000 {
            let key = text(&format!("s{i}"));
            let pair = |card: &str| [text(card), key.clone()];
            let (small, large) = (by_store(0.05), by_store(0.5));
            assert_eq!(
                small.holds(&schema, &pair("a"), ""),
                small.holds(&schema, &pair("b"), "")
            );
            if small.holds(&schema, &pair("a"), "") {
                assert!(large.holds(&schema, &pair("a"), ""));
            }
            assert!(by_store(1.0).holds(&schema, &pair("a"), ""));
            assert!(!by_store(0.0).holds(&schema, &pair("a"), ""));
        }
    }

    #[test]
    fn the_hash_is_what_it_was() {
        assert_eq!(hash(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(hash(b"card-1"), 0x35fb_c0b8_ff92_9f92);
        // A key that is a number is hashed as its eight bytes, little endian.
        let of_42: u64 = 0xe15f_07fe_f55b_9454;
        let sample = |below| Sample {
            below: Some(below),
            by: None,
        };
        let schema = schema(&["card_id"]);
        let holds = |below| sample(below).holds(&schema, &[Value::Int64(42)], "");
        assert!(holds(of_42 + 1) && !holds(of_42));
    }
}
