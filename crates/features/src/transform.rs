//! The closed set of transforms that derived features are made with.
//!
//! Each is a total function of its inputs and its own arguments: it never panics, and where it has
//! no finite result it answers `None`, which the caller replaces by the derived feature's default.
//! All arithmetic is in `f64`. `tests/golden/make_golden.py` is the reference that each is
//! compared with. Which arguments a transform takes in TOML is in `catalog::derived`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::value::{Dtype, Value};

/// Mean radius of the Earth in kilometres (IUGG R1), as used by [`Transform::HaversineKm`].
const EARTH_RADIUS_KM: f64 = 6371.0088;
const SECONDS_PER_DAY: f64 = 86_400.0;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Transform {
    /// ln(1 + x); a negative x counts as 0.
    Log1p,
    /// a / b; nothing when b is 0.
    Ratio,
    /// a - b.
    Difference,
    /// x held within [min, max].
    Clip { min: f64, max: f64 },
    /// (x - mean) / std.
    Scale { mean: f64, std: f64 },
    /// 1 when x equals the operand, else 0.
    Equals(Operand),
    /// Place of a string in the vocabulary, counted from 1; 0 when it is not there.
    Index { vocabulary: HashMap<Arc<str>, i64> },
    /// murmur3 x86 32, seed 0, of the string's UTF-8 bytes, modulo `buckets`.
    HashBucket { buckets: u32 },
    /// How many of the boundaries (ascending) are at most x.
    Bucketize { boundaries: Vec<f64> },
    /// Hour, 0 to 23 UTC, of a Unix time in seconds.
    HourOfDay,
    /// Day of the week, Monday 0 to Sunday 6, UTC, of a Unix time in seconds.
    DayOfWeek,
    /// 1 when the input is missing, else 0. The only transform that is never missing itself.
    IsMissing,
    /// Great-circle distance between two points in degrees: lat1, lng1, lat2, lng2.
    HaversineKm,
}

/// What `equals` compares with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Text(Arc<str>),
    /// Compared exactly with an int64 or bool input: f64 would merge integers past 2^53.
    Integer(i64),
    Number(f64),
}

/// Which types of input a transform takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Number,
    Text,
    Anything,
}

impl Takes {
    pub(crate) fn accepts(self, dtype: Dtype) -> bool {
        match self {
            Takes::Number => dtype.is_numeric(),
            Takes::Text => dtype == Dtype::String,
            Takes::Anything => true,
        }
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Takes::Number => "a number (bool, int64, float32 or float64)",
            Takes::Text => "a string",
            Takes::Anything => "anything",
        }
    }
}

impl Transform {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Transform::Log1p => "log1p",
            Transform::Ratio => "ratio",
            Transform::Difference => "difference",
            Transform::Clip { .. } => "clip",
            Transform::Scale { .. } => "scale",
            Transform::Equals(_) => "equals",
            Transform::Index { .. } => "index",
            Transform::HashBucket { .. } => "hash_bucket",
            Transform::Bucketize { .. } => "bucketize",
            Transform::HourOfDay => "hour_of_day",
            Transform::DayOfWeek => "day_of_week",
            Transform::IsMissing => "is_missing",
            Transform::HaversineKm => "haversine_km",
        }
    }

    pub(crate) fn arity(&self) -> usize {
        match self {
            Transform::Ratio | Transform::Difference => 2,
            Transform::HaversineKm => 4,
            _ => 1,
        }
    }

    pub(crate) fn takes(&self) -> Takes {
        match self {
            Transform::Index { .. } | Transform::HashBucket { .. } => Takes::Text,
            Transform::Equals(Operand::Text(_)) => Takes::Text,
            Transform::IsMissing => Takes::Anything,
            _ => Takes::Number,
        }
    }

    /// Whether the transform has a result, and is not missing, when its input is missing.
    pub(crate) fn sees_missing(&self) -> bool {
        matches!(self, Transform::IsMissing)
    }

    /// int64 for `index`, `hash_bucket` and `bucketize`; float64 for every other transform.
    pub(crate) fn dtype(&self) -> Dtype {
        match self {
            Transform::Index { .. }
            | Transform::HashBucket { .. }
            | Transform::Bucketize { .. } => Dtype::Int64,
            _ => Dtype::Float64,
        }
    }

    /// Applies the transform. `input(i)` is its i-th input, `i < arity`; `missing` says whether
    /// any input is missing. `None` stands for "no finite result".
    pub(crate) fn apply<'v>(
        &self,
        input: impl Fn(usize) -> &'v Value,
        missing: bool,
    ) -> Option<Value> {
        let number = |i: usize| input(i).as_f64();
        let result = match self {
            Transform::Log1p => number(0)?.max(0.0).ln_1p(),
            Transform::Ratio => {
                let (a, b) = (number(0)?, number(1)?);
                if b == 0.0 { return None } else { a / b }
            }
            Transform::Difference => number(0)? - number(1)?,
            Transform::Clip { min, max } => number(0)?.max(*min).min(*max),
            Transform::Scale { mean, std } => (number(0)? - mean) / std,
            Transform::Equals(operand) => flag(operand.equals(input(0))),
            Transform::Index { vocabulary } => {
                let place = vocabulary.get(input(0).as_str()?).copied();
                return Some(Value::Int64(place.unwrap_or(0)));
            }
            Transform::HashBucket { buckets } => {
                let hash = murmur3_x86_32(input(0).as_str()?);
                return Some(Value::Int64(i64::from(hash.checked_rem(*buckets)?)));
            }
            Transform::Bucketize { boundaries } => {
                let x = number(0)?;
                let count = boundaries.partition_point(|boundary| *boundary <= x);
                return Some(Value::Int64(count as i64));
            }
            Transform::HourOfDay => hour_of_day(number(0)?),
            Transform::DayOfWeek => day_of_week(number(0)?),
            Transform::IsMissing => flag(missing),
            Transform::HaversineKm => haversine_km(number(0)?, number(1)?, number(2)?, number(3)?),
        };
        result.is_finite().then_some(Value::Float64(result))
    }
}

impl Operand {
    fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Operand::Text(text), Value::String(value)) => text == value,
            (Operand::Integer(integer), Value::Int64(value)) => integer == value,
            (Operand::Integer(integer), Value::Bool(value)) => *integer == i64::from(*value),
            (Operand::Integer(integer), value) => value.as_f64() == Some(*integer as f64),
            (Operand::Number(number), value) => value.as_f64() == Some(*number),
            (Operand::Text(_), _) => false,
        }
    }
}

fn flag(condition: bool) -> f64 {
    if condition { 1.0 } else { 0.0 }
}

#[expect(clippy::expect_used, reason = "the proof is in the sentence")]
fn murmur3_x86_32(text: &str) -> u32 {
    murmur3::murmur3_32(&mut text.as_bytes(), 0).expect("reading from a slice cannot fail")
}

fn hour_of_day(unix_seconds: f64) -> f64 {
    // rem_euclid of a tiny negative number rounds up to the divisor itself, hence the min.
    (unix_seconds.rem_euclid(SECONDS_PER_DAY) / 3600.0)
        .floor()
        .min(23.0)
}

fn day_of_week(unix_seconds: f64) -> f64 {
    // Day 0, 1 January 1970, was a Thursday: 3 when Monday is 0.
    ((unix_seconds / SECONDS_PER_DAY).floor() + 3.0).rem_euclid(7.0)
}

fn haversine_km(lat1: f64, lng1: f64, lat2: f64, lng2: f64) -> f64 {
    let (phi1, phi2) = (lat1.to_radians(), lat2.to_radians());
    let half_dphi = (lat2 - lat1).to_radians() / 2.0;
    let half_dlambda = (lng2 - lng1).to_radians() / 2.0;
    let a = half_dphi.sin().powi(2) + phi1.cos() * phi2.cos() * half_dlambda.sin().powi(2);
    // Rounding may push `a` a hair outside [0, 1], where the arcsine would be NaN.
    2.0 * EARTH_RADIUS_KM * a.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests;
