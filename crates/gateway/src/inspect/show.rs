//! What was seen, as JSON and as a table.

use std::time::{Duration, UNIX_EPOCH};

use features::{Column, Source, Value};
use serde_json::{Map, Number, Value as Json, json};

use super::Seen;

/// Longer values are cut in a table; JSON has all of them.
const MAX_SHOWN_CHARS: usize = 40;
const HEADS: [&str; 6] = ["FEATURE", "VALUE", "STATUS", "EVENT TIME", "AGE", "SOURCE"];

impl Seen<'_> {
    /// Times in RFC 3339, ages in seconds. An age below 0 is that of a row from the future.
    pub fn json(&self) -> Json {
        let features: Vec<Json> = self
            .row
            .columns()
            .map(|column| self.column(&column))
            .collect();
        json!({
            "decision": self.decision,
            "at": rfc3339(self.at_us()),
            "store": self.store,
            "store_outcome": self.row.store().name(),
            "features": features,
        })
    }

    fn column(&self, column: &Column<'_>) -> Json {
        let mut shown = Map::new();
        shown.insert("feature".into(), column.name.into());
        shown.insert("value".into(), value(column.value));
        shown.insert("status".into(), column.status.name().into());
        let source = match column.source {
            Source::Request => "request",
            Source::Derived => "derived",
            Source::View(view) => {
                shown.insert("view".into(), view.into());
                "view"
            }
            Source::Feast(view) => {
                shown.insert("view".into(), view.into());
                "feast"
            }
        };
        shown.insert("source".into(), source.into());
        if let Some((time, age_us)) = self.time(column) {
            shown.insert("event_time".into(), time.into());
            shown.insert("age_s".into(), (age_us as f64 / 1e6).into());
        }
        Json::Object(shown)
    }

    /// The event time, and the age at the moment of the decision in microseconds.
    fn time(&self, column: &Column<'_>) -> Option<(String, i128)> {
        let event_time_us = i128::from(column.event_time_us?);
        Some((rfc3339(event_time_us), self.at_us() - event_time_us))
    }

    fn at_us(&self) -> i128 {
        match self.at.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_micros() as i128,
            Err(before) => -(before.duration().as_micros() as i128),
        }
    }

    /// A line a feature, in aligned columns under a line of heads.
    pub fn table(&self) -> String {
        let mut lines = vec![HEADS.map(str::to_owned)];
        lines.extend(self.row.columns().map(|column| self.line(&column)));
        let width = |place: usize| lines.iter().map(|line| line[place].chars().count()).max();
        let widths: [usize; HEADS.len()] = std::array::from_fn(|i| width(i).unwrap_or(0));
        let mut table = format!("{} at {}", self.decision, rfc3339(self.at_us()));
        for line in &lines {
            let cells = line.iter().zip(widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            table.push('\n');
            table.push_str(cells.join("  ").trim_end());
        }
        table
    }

    fn line(&self, column: &Column<'_>) -> [String; HEADS.len()] {
        let text = value(column.value).to_string();
        let shown = match text.char_indices().nth(MAX_SHOWN_CHARS) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text,
        };
        let (time, age) = match self.time(column) {
            Some((time, age_us)) => (time, age(age_us)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let source = match column.source {
            Source::Request => "request".to_owned(),
            Source::Derived => "derived".to_owned(),
            Source::View(view) => format!("view {view} ({})", self.store),
            Source::Feast(view) => format!("view {view} (Feast)"),
        };
        let status = column.status.name().to_owned();
        [column.name.to_owned(), shown, status, time, age, source]
    }
}

/// A float32 with the digits that it was written with, not those of its neighbour in 64 bits.
fn value(value: &Value) -> Json {
    match value {
        Value::Bool(flag) => (*flag).into(),
        Value::Int64(number) => (*number).into(),
        Value::Float32(number) => {
            let written = number.to_string().parse().ok();
            written
                .and_then(Number::from_f64)
                .map_or(Json::Null, Json::Number)
        }
        Value::Float64(number) => (*number).into(),
        Value::String(text) => (&**text).into(),
        Value::List(elements) => elements.iter().map(self::value).collect(),
    }
}

/// A moment in microseconds since the Unix epoch. What humantime does not write, a year before 1970
/// or after 9999, is in seconds.
fn rfc3339(moment_us: i128) -> String {
    const YEAR_10000_US: i128 = 253_402_300_800_000_000;
    let since = u64::try_from(moment_us).ok().map(Duration::from_micros);
    match since.filter(|_| moment_us < YEAR_10000_US) {
        Some(since) if since.subsec_micros() == 0 => {
            humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
        }
        Some(since) => humantime::format_rfc3339_micros(UNIX_EPOCH + since).to_string(),
        None => format!("{} s since 1970", moment_us / 1_000_000),
    }
}

/// The two largest units, such as `3h 12m`.
fn age(age_us: i128) -> String {
    let span = Duration::from_secs(u64::try_from(age_us.abs() / 1_000_000).unwrap_or(u64::MAX));
    let written = humantime::format_duration(span).to_string();
    let units: Vec<&str> = written.split(' ').take(2).collect();
    match age_us {
        0.. => units.join(" "),
        _ => format!("in {}", units.join(" ")),
    }
}
