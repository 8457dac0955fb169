//! Hashes of values: of event ids, and for counting distinct values. They are stored, so they never
//! change.
//!
//! FNV-1a, 64 bits (Fowler, Noll, Vo), whose high bits are weak on short input, then the finalizer
//! of MurmurHash3 x64 (Appleby), which spreads every bit over all of them.

use crate::value::Value;

/// FNV-1a, 64 bits.
pub(crate) fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

pub(crate) fn text(text: &str) -> u64 {
    finish(fnv1a(text.bytes()))
}

/// Of a field's value, which is no list. Values of one field have one type, so values of different
/// types may share a hash.
pub(crate) fn value(value: &Value) -> u64 {
    match value {
        Value::Bool(value) => finish(fnv1a([u8::from(*value)])),
        Value::Int64(value) => finish(fnv1a(value.to_le_bytes())),
        Value::Float32(value) => finish(fnv1a(value.to_le_bytes())),
        Value::Float64(value) => finish(fnv1a(value.to_le_bytes())),
        Value::String(value) => text(value),
        Value::List(_) => finish(0),
    }
}

fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored states rely on these. FNV-1a's own test vectors: http://www.isthe.com/chongo/tech/comp/fnv/
    #[test]
    fn hashes_never_change() {
        assert_eq!(fnv1a(*b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(*b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(*b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(finish(0), 0);
        assert_eq!(value(&Value::String("a".into())), text("a"));
        assert_ne!(value(&Value::Int64(1)), value(&Value::Int64(2)));
    }
}
