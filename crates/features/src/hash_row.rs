//! Rows that are plain Redis hashes: text, as Redis clients write it.
//!
//! | dtype | text |
//! |---|---|
//! | bool | `1`, `0`, `true`, `false`, in any case |
//! | int64, float32, float64 | a decimal number |
//! | string | UTF-8 |
//! | a list | a JSON array |
//!
//! An empty text is null, unless a string is wanted. A field that is not there is missing, and so is
//! one that is not of its type, which is counted and logged. The event time is in seconds since the
//! Unix epoch, perhaps with a fraction, or RFC 3339 in UTC.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::catalog::Source;
use crate::feature_row::{Cell, FeatureRow};
use crate::given::Given;
use crate::plan::ViewColumns;
use crate::row::micros_since_epoch;
use crate::value::{Dtype, Value};

/// The last second of the year 9999: a time beyond is in milliseconds, or is none.
const LAST_SECOND: i64 = 253_402_300_799;

/// A text that is not of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unreadable;

impl FeatureRow {
    /// Takes the hash of the layout's view number `place`: a text for each field that the view
    /// asks for, or `None` if what is stored is no hash. `now` is in microseconds since the Unix
    /// epoch.
    pub(crate) fn take_hash(&mut self, place: usize, stored: Option<&[Option<Vec<u8>>]>, now: i64) {
        let ViewColumns {
            view,
            columns,
            warned,
            ..
        } = &self.layout.views[place];
        let Source::Hash(hash) = &view.source else {
            return;
        };
        let Some(stored) = stored else {
            self.discarded_rows += 1;
            if !warned.swap(true, Ordering::Relaxed) {
                let view = &*view.name;
                tracing::warn!(
                    view,
                    "keys of this view hold no hashes; they count as missing"
                );
            }
            return;
        };
        if stored.iter().all(Option::is_none) {
            return;
        }
        let mut texts = stored.iter().map(Option::as_deref);
        let mut unreadable: Option<&str> = None;
        let cells = &mut self.cells;
        for (feature, column) in view.features.iter().zip(columns) {
            let Some(column) = column else { continue };
            match texts
                .next()
                .flatten()
                .map(|text| value(feature.dtype, text))
            {
                Some(Ok(value)) => cells[column.index()].take(feature, value),
                Some(Err(Unreadable)) => unreadable = unreadable.or(Some(&feature.name)),
                None => {}
            }
        }
        let mut time_us = None;
        if hash.event_time.is_some() {
            match texts.next().flatten().map(event_time_us) {
                Some(Ok(time)) => time_us = Some(time),
                Some(Err(Unreadable)) => unreadable = unreadable.or(Some("its event time")),
                None => {}
            }
        }
        cells[self.layout.view_cell(place)] = Cell::found(time_us);
        let is_old = |ttl| time_us.is_none_or(|time| now.saturating_sub(time) > ttl);
        if view.ttl_micros.is_some_and(is_old) {
            for column in columns.iter().flatten() {
                cells[column.index()].set_stale();
            }
        }
        if let Some(field) = unreadable {
            self.discarded_rows += 1;
            if !warned.swap(true, Ordering::Relaxed) {
                let view = &*view.name;
                tracing::warn!(
                    view,
                    field,
                    "hashes of this view hold a text that is not of its field's type; it counts as missing"
                );
            }
        }
    }
}

fn value(dtype: Dtype, text: &[u8]) -> Result<Option<Value>, Unreadable> {
    let text = std::str::from_utf8(text).map_err(|_| Unreadable)?;
    if dtype == Dtype::String {
        return Ok(Some(Value::String(Arc::from(text))));
    }
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let value = match dtype {
        Dtype::Bool => boolean(text).map(Value::Bool),
        Dtype::Int64 => text.parse().ok().map(Value::Int64),
        Dtype::Float64 => text.parse().ok().map(Value::Float64),
        // By way of a float64, as rows are loaded.
        Dtype::Float32 => text.parse().ok().map(|x: f64| Value::Float32(x as f32)),
        Dtype::String | Dtype::List { .. } => serde_json::from_str(text)
            .ok()
            .and_then(|json: serde_json::Value| Given::from(&json).value("", dtype).ok()),
    };
    value.map(Some).ok_or(Unreadable)
}

fn boolean(text: &str) -> Option<bool> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if is("true") => Some(true),
        _ if is("false") => Some(false),
        _ => None,
    }
}

/// In microseconds since the Unix epoch.
fn event_time_us(text: &[u8]) -> Result<i64, Unreadable> {
    let text = std::str::from_utf8(text).map_err(|_| Unreadable)?.trim();
    let in_range = |seconds: i64| (-LAST_SECOND..=LAST_SECOND).contains(&seconds);
    if let Ok(seconds) = text.parse::<i64>() {
        return in_range(seconds)
            .then(|| seconds * 1_000_000)
            .ok_or(Unreadable);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let fits = seconds.is_finite() && in_range(seconds as i64);
        return fits
            .then(|| (seconds * 1e6).round() as i64)
            .ok_or(Unreadable);
    }
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| Unreadable)?;
    Ok(micros_since_epoch(time))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Scalar;

    fn read(dtype: Dtype, text: &str) -> Result<Option<Value>, Unreadable> {
        value(dtype, text.as_bytes())
    }

    #[test]
    fn texts_are_read_as_redis_clients_write_them() {
        for (text, expected) in [("1", true), ("0", false), ("True", true), ("false", false)] {
            assert_eq!(read(Dtype::Bool, text), Ok(Some(Value::Bool(expected))));
        }
        assert_eq!(read(Dtype::Int64, " -3 "), Ok(Some(Value::Int64(-3))));
        assert_eq!(read(Dtype::Float64, "1e3"), Ok(Some(Value::Float64(1e3))));
        assert_eq!(read(Dtype::Float32, "0.1"), Ok(Some(Value::Float32(0.1))));
        let text = Value::String(" a ".into());
        assert_eq!(read(Dtype::String, " a "), Ok(Some(text)));
        let list = Dtype::List {
            of: Scalar::Int64,
            length: 3,
        };
        let two = Value::List([Value::Int64(1), Value::Int64(2)].into());
        assert_eq!(read(list, "[1, 2]"), Ok(Some(two)));
    }

    #[test]
    fn an_empty_text_is_null_unless_a_string_is_wanted() {
        for dtype in [Dtype::Bool, Dtype::Int64, Dtype::Float32, Dtype::Float64] {
            assert_eq!(read(dtype, ""), Ok(None));
            assert_eq!(read(dtype, " "), Ok(None));
        }
        let empty = Value::String("".into());
        assert_eq!(read(Dtype::String, ""), Ok(Some(empty)));
    }

    #[test]
    fn what_is_not_of_its_type_is_unreadable() {
        let list = Dtype::List {
            of: Scalar::Bool,
            length: 1,
        };
        for (dtype, text) in [
            (Dtype::Bool, "yes"),
            (Dtype::Int64, "1.5"),
            (Dtype::Int64, "9223372036854775808"),
            (Dtype::Float64, "1,5"),
            (list, "true"),
            (list, "[1]"),
            (list, "[true"),
        ] {
            assert_eq!(read(dtype, text), Err(Unreadable), "{dtype} {text}");
        }
        assert_eq!(value(Dtype::String, b"\xff"), Err(Unreadable));
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        let time = |text: &str| event_time_us(text.as_bytes());
        assert_eq!(time("1567245600"), Ok(1_567_245_600_000_000));
        assert_eq!(time("1567245600.25"), Ok(1_567_245_600_250_000));
        assert_eq!(time("2019-08-31T10:00:00Z"), Ok(1_567_245_600_000_000));
        assert_eq!(time("-1"), Ok(-1_000_000));
        // Milliseconds are no seconds.
        for text in [
            "1567245600000",
            "9223372036854775807",
            "-9223372036854775808",
            "",
            "nan",
            "inf",
            "1e300",
            "yesterday",
        ] {
            assert_eq!(time(text), Err(Unreadable), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text: Vec<u8>) {
            let list = Dtype::List { of: Scalar::String, length: 2 };
            for dtype in [Dtype::Bool, Dtype::Int64, Dtype::Float32, Dtype::String, list] {
                let _ = value(dtype, &text);
            }
            let _ = event_time_us(&text);
        }
    }
}
