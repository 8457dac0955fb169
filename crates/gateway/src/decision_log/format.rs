//! A record as JSON, for whoever reads the log elsewhere, and as text for people.
//!
//! In JSON, numbers are written so that they are read back with the same bits; a tensor is base64.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use decision_log::{Field, Record, Value};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can tell.
const LAST_US: i64 = 253_402_300_799_000_000;

/// A time in microseconds since the Unix epoch, as RFC 3339 in UTC.
pub fn moment(us: i64) -> String {
    let since = Duration::from_micros(us.clamp(0, LAST_US).unsigned_abs());
    humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + since).to_string()
}

/// A record in one line.
pub fn json(record: &Record) -> String {
    // Keys are strings, and no value refuses to be written: there is no error.
    serde_json::to_string(&Json(record)).unwrap_or_default()
}

/// A record for a person, in several lines.
pub fn text(record: &Record) -> String {
    let schema = &*record.schema;
    let pairs = |pairs: Vec<(&str, String)>| {
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("  ")
    };
    let entities = schema.entities.iter().zip(&record.entities);
    let entities = entities.map(|(field, value)| (&*field.name, plain(value)));
    let inputs = schema.inputs.iter().zip(&record.inputs);
    let inputs = inputs.filter_map(|(field, value)| Some((&*field.name, plain(value.as_ref()?))));
    let scores = schema.scores.iter().zip(&record.scores);
    let scores = scores.map(|(name, score)| (&**name, score.to_string()));
    let timings = record.timings_us.iter();
    let timings = timings.map(|(stage, took)| (&**stage, format!("{took}us")));
    let skipped = record.skipped.iter();
    let skipped = skipped.map(|skip| (&*skip.tier, skip.reason.to_string()));
    let late = if record.late { ", late" } else { "" };
    let mut lines = vec![
        format!(
            "{}  {}  {}",
            moment(record.received_us),
            schema.decision,
            record.id
        ),
        format!(
            "  {} by {} ({} {}), budget {:?}{late}",
            record.action,
            record.tier,
            record.model,
            record.version,
            Duration::from_micros(record.budget_us)
        ),
        format!("  scores    {}", pairs(scores.collect())),
        format!("  reasons   {}", record.reasons.join("  ")),
        format!("  skipped   {}", pairs(skipped.collect())),
        format!("  timings   {}", pairs(timings.collect())),
        format!("  entities  {}", pairs(entities.collect())),
        format!("  inputs    {}", pairs(inputs.collect())),
        format!("  features, as of {}", moment(record.as_of_us)),
    ];
    let columns = || schema.columns.iter().zip(&record.columns);
    let width = columns()
        .map(|(field, _)| field.name.len())
        .max()
        .unwrap_or(0);
    lines.extend(columns().map(|(field, cell)| {
        let status = match cell.status {
            decision_log::Status::Present => "",
            unusual => unusual.name(),
        };
        let line = format!(
            "    {:width$}  {}  {status}",
            field.name,
            plain(&cell.value)
        );
        line.trim_end().to_owned()
    }));
    let views = schema.views.iter().zip(&record.views);
    lines.extend(
        views.map(|(view, row)| match (row.found, row.event_time_us) {
            (true, Some(us)) => format!("  row of {view}, of {}", moment(us)),
            (true, None) => format!("  row of {view}, without a time"),
            (false, _) => format!("  no row of {view}"),
        }),
    );
    lines.extend(record.tensors.iter().map(|tensor| {
        let (name, dtype, bytes) = (&tensor.name, &tensor.dtype, tensor.data.len());
        format!("  tensor {name}: {dtype}, {bytes} bytes")
    }));
    lines.join("\n")
}

/// A value, as JSON has it.
pub(crate) fn plain(value: &Value) -> String {
    serde_json::to_string(&Plain(value)).unwrap_or_default()
}

struct Json<'r>(&'r Record);

/// An object of named things, in order.
struct Named<I>(I);

struct Plain<'v>(&'v Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let schema = &*record.schema;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("time", &moment(record.received_us))?;
        map.serialize_entry("as_of", &moment(record.as_of_us))?;
        map.serialize_entry("decision", &*schema.decision)?;
        map.serialize_entry("id", &*record.id)?;
        map.serialize_entry(
            "entities",
            &Named(named(&schema.entities, &record.entities)),
        )?;
        let inputs = schema.inputs.iter().zip(&record.inputs);
        let inputs = inputs.filter_map(|(f, value)| Some((&*f.name, Plain(value.as_ref()?))));
        map.serialize_entry("inputs", &Named(inputs))?;
        map.serialize_entry("budget_us", &record.budget_us)?;
        let columns = || schema.columns.iter().zip(&record.columns);
        let values = columns().map(|(field, cell)| (&*field.name, Plain(&cell.value)));
        map.serialize_entry("features", &Named(values))?;
        let statuses = columns().map(|(field, cell)| (&*field.name, cell.status.name()));
        let unusual = statuses.filter(|(_, status)| *status != "present");
        map.serialize_entry("status", &Named(unusual))?;
        let views = schema
            .views
            .iter()
            .zip(&record.views)
            .filter(|(_, row)| row.found);
        let times = views.map(|(view, row)| (&**view, row.event_time_us.map(moment)));
        map.serialize_entry("event_times", &Named(times))?;
        map.serialize_entry("tier", &*record.tier)?;
        map.serialize_entry("model", &*record.model)?;
        map.serialize_entry("model_version", &*record.version)?;
        map.serialize_entry("arm", &*record.arm)?;
        let scores = schema.scores.iter().map(|name| &**name).zip(&record.scores);
        map.serialize_entry("scores", &Named(scores))?;
        map.serialize_entry("action", &*record.action)?;
        let reasons: Vec<&str> = record.reasons.iter().map(|reason| &**reason).collect();
        map.serialize_entry("reasons", &reasons)?;
        map.serialize_entry("degraded", &!record.skipped.is_empty())?;
        let skipped = record
            .skipped
            .iter()
            .map(|skip| (&*skip.tier, &*skip.reason));
        map.serialize_entry("skipped", &Named(skipped))?;
        map.serialize_entry("late", &record.late)?;
        map.serialize_entry("in_sample", &record.in_sample)?;
        let timings = record
            .timings_us
            .iter()
            .map(|(stage, took)| (&**stage, took));
        map.serialize_entry("timings_us", &Named(timings))?;
        let tensors = record.tensors.iter();
        let tensors = tensors.map(|tensor| {
            let described = [
                ("dtype", tensor.dtype.to_string()),
                ("base64", STANDARD.encode(&tensor.data)),
            ];
            (&*tensor.name, Named(described.into_iter()))
        });
        map.serialize_entry("tensors", &Named(tensors))?;
        map.end()
    }
}

fn named<'r>(
    fields: &'r [Field],
    values: &'r [Value],
) -> impl Iterator<Item = (&'r str, Plain<'r>)> + Clone {
    let fields = fields.iter().map(|field| &*field.name);
    fields.zip(values.iter().map(Plain))
}

impl<'n, V: Serialize, I: Iterator<Item = (&'n str, V)> + Clone> Serialize for Named<I> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (name, value) in self.0.clone() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(flag) => to.serialize_bool(*flag),
            Value::Int64(number) => to.serialize_i64(*number),
            Value::Float32(number) => to.serialize_f32(*number),
            Value::Float64(number) => to.serialize_f64(*number),
            Value::Text(text) => to.serialize_str(text),
            Value::List(values) => to.collect_seq(values.iter().map(Plain)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_s() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(STANDARD.encode(bytes), text, "RFC 4648, section 10");
        }
        assert_eq!(STANDARD.encode([0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn moments_are_rfc_3339_whatever_they_are() {
        assert_eq!(moment(1_567_245_600_123_456), "2019-08-31T10:00:00.123456Z");
        assert_eq!(moment(i64::MIN), "1970-01-01T00:00:00.000000Z");
        assert_eq!(moment(i64::MAX), "9999-12-31T23:59:59.000000Z");
    }
}
