//! Times as text: RFC 3339 and the forms of it that pandas, DuckDB and Spark write.
//!
//! The calendar is the proleptic Gregorian one; the arithmetic is Howard Hinnant's
//! (<https://howardhinnant.github.io/date_algorithms.html>).

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Microseconds since the Unix epoch of `2019-08-31T10:00:00.5Z`, of `2019-08-31 12:00:00+02:00`, and
/// of `2019-08-31` (midnight). Without an offset it is UTC. Digits beyond microseconds are cut off.
/// `None` for anything else.
pub fn parse(text: &str) -> Option<i64> {
    let (date, clock) = match text.split_once(['T', 't', ' ']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (
        digits(parts.next()?, 4)?,
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
    );
    if parts.next().is_some()
        || !(1..=12).contains(&month)
        || !(1..=month_days(year, month)).contains(&day)
    {
        return None;
    }
    let micros = match clock {
        Some(clock) => time_of_day(clock)?,
        None => 0,
    };
    let midnight = days_from_civil(year, month, day) * SECONDS_PER_DAY * MICROS_PER_SECOND;
    Some(midnight + micros)
}

/// RFC 3339 in UTC, with microseconds where there are any: `2019-08-31T10:00:00.500000Z`.
pub fn format(micros: i64) -> String {
    let seconds = micros.div_euclid(MICROS_PER_SECOND);
    let fraction = micros.rem_euclid(MICROS_PER_SECOND);
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        text += &format!(".{fraction:06}");
    }
    text.push('Z');
    text
}

/// Microseconds since midnight UTC of `10:00:00.5Z`, `10:00`, `12:00:00+02:00` or `12:00:00 +0200`.
fn time_of_day(text: &str) -> Option<i64> {
    let end = text.find(['Z', 'z', '+', '-']).unwrap_or(text.len());
    let (clock, offset) = text.split_at(end);
    let (clock, fraction) = match clock.trim_end().split_once('.') {
        Some((clock, fraction)) => (clock, micros_of(fraction)?),
        None => (clock.trim_end(), 0),
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |text| digits(text, 2))?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = hour * 3600 + minute * 60 + second - offset_seconds(offset)?;
    Some(seconds * MICROS_PER_SECOND + fraction)
}

fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first() {
        None | Some(b'Z' | b'z') => return (text.len() <= 1).then_some(0),
        Some(b'+') => (1, &text[1..]),
        _ => (-1, text.get(1..)?),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None => rest.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() { "00" } else { minutes };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn micros_of(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(padded.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_moment_in_the_forms_that_tools_write() {
        for text in [
            "2019-08-31T10:00:00.5Z",
            "2019-08-31t10:00:00.500000z",
            "2019-08-31 10:00:00.5",
            "2019-08-31 12:00:00.500000+02:00",
            "2019-08-31 12:00:00.500000999 +0200",
            "2019-08-31 06:30:00.5-03:30",
        ] {
            assert_eq!(parse(text), Some(1_567_245_600_500_000), "{text}");
        }
        assert_eq!(parse("2019-08-31"), Some(1_567_209_600_000_000));
        assert_eq!(parse("2019-08-31 10:00"), Some(1_567_245_600_000_000));
        assert_eq!(parse("1969-12-31T23:59:59.999999Z"), Some(-1));
        assert_eq!(parse("2000-02-29"), Some(951_782_400_000_000));
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "now",
            "2019",
            "2019-8-31",
            "2019-02-29",
            "1900-02-29",
            "2019-13-01",
            "2019-00-01",
            "2019-08-00",
            "2019-08-31T",
            "2019-08-31T24:00:00Z",
            "2019-08-31T10:60:00Z",
            "2019-08-31T10:00:60Z",
            "2019-08-31T10:00:00.Z",
            "2019-08-31T10:00:00.x",
            "2019-08-31Z",
            "2019-08-31T10:00:00ZZ",
            "2019-08-31T10:00:00+2",
            "2019-08-31T10:00:00+25:00",
            "2019-08-31T10:00:00+é",
            "2019-08-31T+",
            "+2019-08-31",
            "1567245600",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            prop_assert_eq!(parse(&format(micros)), Some(micros));
        }

        #[test]
        fn no_text_panics_and_no_moment_does(text in "[0-9TZ:.+ -]{0,32}", micros: i64) {
            let _ = parse(&text);
            let _ = format(micros);
        }
    }
}
