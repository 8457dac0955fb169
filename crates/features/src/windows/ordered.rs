//! Numbers of a field as 64 bits that order as the numbers do, so that the least and the greatest
//! of an int64 and of a float64 are found and stored alike, and exactly.

use crate::events::FieldType;
use crate::value::Value;

const SIGN: u64 = 1 << 63;

/// `None` for text.
pub(crate) fn key(value: &Value) -> Option<u64> {
    match value {
        Value::Bool(value) => Some(integer(i64::from(*value))),
        Value::Int64(value) => Some(integer(*value)),
        Value::Float64(value) => {
            let bits = value.to_bits();
            // IEEE 754: positive numbers order by their bits, negative ones the other way round.
            Some(if bits & SIGN == 0 { bits | SIGN } else { !bits })
        }
        _ => None,
    }
}

fn integer(value: i64) -> u64 {
    value as u64 ^ SIGN
}

/// The number that `key` stands for, in a field of this type.
pub(crate) fn number(kind: FieldType, key: u64) -> Number {
    match kind {
        FieldType::Float64 => {
            let bits = if key & SIGN == 0 { !key } else { key ^ SIGN };
            Number::Float(f64::from_bits(bits))
        }
        _ => Number::Integer((key ^ SIGN) as i64),
    }
}

/// A number that is exact until a feature's type rounds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_order_as_numbers_and_come_back(a: i64, b: i64, x in proptest::num::f64::NORMAL | proptest::num::f64::ZERO, y in proptest::num::f64::ANY) {
            let (ka, kb) = (key(&Value::Int64(a)).unwrap(), key(&Value::Int64(b)).unwrap());
            prop_assert_eq!(ka.cmp(&kb), a.cmp(&b));
            prop_assert_eq!(number(FieldType::Int64, ka), Number::Integer(a));
            let (kx, ky) = (key(&Value::Float64(x)).unwrap(), key(&Value::Float64(y)).unwrap());
            prop_assert_eq!(kx.cmp(&ky), x.total_cmp(&y));
            prop_assert_eq!(number(FieldType::Float64, kx), Number::Float(x));
        }
    }
}
