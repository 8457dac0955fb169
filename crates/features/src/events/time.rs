//! The time of an event: its units, and which times are believed.

use super::error::{EventError, EventErrorKind};
use super::raw::Raw;
use crate::row::micros_since_epoch;

/// How far ahead of our clock an event's may be, in microseconds: five minutes.
const MAX_AHEAD_US: i64 = 300_000_000;

/// How an event writes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    /// Numbers since the Unix epoch; fractions are kept to the microsecond.
    Seconds,
    Millis,
    Micros,
    /// Text such as `2019-08-31T10:00:00Z` or `2019-08-31T12:00:00.5+02:00`.
    Rfc3339,
}

impl TimeUnit {
    pub(crate) const ALL: [TimeUnit; 4] = [
        TimeUnit::Seconds,
        TimeUnit::Millis,
        TimeUnit::Micros,
        TimeUnit::Rfc3339,
    ];

    /// The name used in `features.toml`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            TimeUnit::Seconds => "s",
            TimeUnit::Millis => "ms",
            TimeUnit::Micros => "us",
            TimeUnit::Rfc3339 => "rfc3339",
        }
    }

    /// Microseconds since the Unix epoch.
    pub(crate) fn micros(self, raw: &Raw<'_>) -> Result<i64, EventError> {
        let scale: i64 = match self {
            TimeUnit::Seconds => 1_000_000,
            TimeUnit::Millis => 1_000,
            TimeUnit::Micros => 1,
            TimeUnit::Rfc3339 => return rfc3339(raw),
        };
        match raw {
            Raw::Null => Err(no_time()),
            Raw::Integer(number) => number.checked_mul(scale).ok_or_else(|| out_of_range(raw)),
            Raw::Float(number) => {
                let micros = (number * scale as f64).round();
                // The largest float64 below 2^63; NaN fails too.
                match micros.abs() < 9_223_372_036_854_774_784.0 {
                    true => Ok(micros as i64),
                    false => Err(out_of_range(raw)),
                }
            }
            Raw::Large(_) => Err(out_of_range(raw)),
            _ => Err(EventError::new(
                EventErrorKind::WrongType,
                format!(
                    "the time is {}, not a number; `time_unit = \"rfc3339\"` reads text",
                    raw.shown()
                ),
            )),
        }
    }
}

/// Refuses times that no clock shows now or has shown.
pub(super) fn check(time_us: i64, now_us: i64) -> Result<(), EventError> {
    if time_us < 0 {
        let message = format!("the time is {time_us} microseconds from 1970: before it");
        return Err(EventError::new(EventErrorKind::TimeOutOfRange, message));
    }
    let ahead = time_us.saturating_sub(now_us);
    if ahead > MAX_AHEAD_US {
        let seconds = ahead / 1_000_000;
        let message = format!(
            "the time is {seconds} s in the future, more than five minutes; check `time_unit` and the sender's clock"
        );
        return Err(EventError::new(EventErrorKind::TimeInFuture, message));
    }
    Ok(())
}

fn rfc3339(raw: &Raw<'_>) -> Result<i64, EventError> {
    let text = match raw {
        Raw::Null => return Err(no_time()),
        Raw::Text(text) => &**text,
        _ => {
            let message = format!(
                "the time is {}, not a text such as \"2019-08-31T10:00:00Z\"",
                raw.shown()
            );
            return Err(EventError::new(EventErrorKind::WrongType, message));
        }
    };
    let parsed = match offset_us(text) {
        Some((local, offset)) => humantime::parse_rfc3339(&format!("{local}Z"))
            .ok()
            .and_then(|time| micros_since_epoch(time).checked_sub(offset)),
        None => humantime::parse_rfc3339(text).ok().map(micros_since_epoch),
    };
    parsed.ok_or_else(|| {
        let message = format!(
            "the time is {}, not one such as \"2019-08-31T10:00:00Z\" or \"2019-08-31T12:00:00+02:00\"",
            raw.shown()
        );
        EventError::new(EventErrorKind::TimeOutOfRange, message)
    })
}

/// Splits `+02:00` or `-02:00` off the end, as microseconds.
fn offset_us(text: &str) -> Option<(&str, i64)> {
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let [sign, h1, h0, b':', m1, m0] = *offset.as_bytes() else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let (hours, minutes) = (10 * digit(h1)? + digit(h0)?, 10 * digit(m1)? + digit(m0)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let micros = (60 * hours + minutes) * 60_000_000;
    match sign {
        b'+' => Some((local, micros)),
        b'-' => Some((local, -micros)),
        _ => None,
    }
}

fn no_time() -> EventError {
    EventError::new(EventErrorKind::NoTime, "the event has no time")
}

fn out_of_range(raw: &Raw<'_>) -> EventError {
    let message = format!(
        "the time {} is out of range; check `time_unit`",
        raw.shown()
    );
    EventError::new(EventErrorKind::TimeOutOfRange, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_to_the_microsecond() {
        let text = |text: &'static str| Raw::Text(text.into());
        for (unit, raw, micros) in [
            (
                TimeUnit::Seconds,
                Raw::Integer(1_567_245_600),
                1_567_245_600_000_000,
            ),
            (TimeUnit::Seconds, Raw::Float(1.25), 1_250_000),
            (
                TimeUnit::Millis,
                Raw::Integer(1_567_245_600_123),
                1_567_245_600_123_000,
            ),
            (TimeUnit::Micros, Raw::Integer(-1), -1),
            (TimeUnit::Rfc3339, text("1970-01-01T00:00:01Z"), 1_000_000),
            (
                TimeUnit::Rfc3339,
                text("1970-01-01T02:00:01.5+02:00"),
                1_500_000,
            ),
            (
                TimeUnit::Rfc3339,
                text("1970-01-01T00:00:00-00:30"),
                1_800_000_000,
            ),
        ] {
            assert_eq!(unit.micros(&raw), Ok(micros), "{unit:?} {raw:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_by_its_kind() {
        use EventErrorKind::*;
        let text = |text: &'static str| Raw::Text(text.into());
        for (unit, raw, kind) in [
            (TimeUnit::Seconds, Raw::Null, NoTime),
            (TimeUnit::Rfc3339, Raw::Null, NoTime),
            (TimeUnit::Seconds, text("1567245600"), WrongType),
            (TimeUnit::Rfc3339, Raw::Integer(1), WrongType),
            (TimeUnit::Seconds, Raw::Integer(i64::MAX), TimeOutOfRange),
            (TimeUnit::Seconds, Raw::Float(1e300), TimeOutOfRange),
            (TimeUnit::Seconds, Raw::Float(f64::NAN), TimeOutOfRange),
            (TimeUnit::Micros, Raw::Large(u64::MAX), TimeOutOfRange),
            (TimeUnit::Rfc3339, text("2019-08-31"), TimeOutOfRange),
            (
                TimeUnit::Rfc3339,
                text("2019-08-31T10:00:00+24:00"),
                TimeOutOfRange,
            ),
            (TimeUnit::Rfc3339, text("é1:00"), TimeOutOfRange),
        ] {
            let error = unit.micros(&raw).unwrap_err();
            assert_eq!(error.kind(), kind, "{unit:?} {raw:?}");
        }
        assert_eq!(check(-1, 0).unwrap_err().kind(), TimeOutOfRange);
        assert_eq!(check(300_000_001, 0).unwrap_err().kind(), TimeInFuture);
        assert_eq!(check(300_000_000, 0), Ok(()));
    }
}
