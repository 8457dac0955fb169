//! What a field of Feast's hash holds: a `feast.types.Value`, or the view's `Timestamp`.
//!
//! | stored | means |
//! |---|---|
//! | no field | never written |
//! | a field of 0 bytes, or the kind `null_val` | null |
//! | zero, `""`, `false` | the kind's tag and the value: not null |
//!
//! Source of the format: Feast 0.67.0, `feast/types/Value.proto`; see `proto`.

use std::sync::Arc;

use prost::Message;
use serde_json::{Map as Object, Number, Value as Json, json};

use super::proto::{self, Key, Kind, Span};
use crate::value::{Dtype, Scalar, Value};

/// The bytes are no value of Feast's, or of a kind that a newer Feast has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// A value of any kind that is not null.
#[derive(Clone, PartialEq)]
pub(crate) struct FeastValue(Kind);

/// Reads a field; `None` is null.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<FeastValue>, Corrupt> {
    let value = proto::Value::decode(bytes).map_err(|_| Corrupt)?;
    match value.val {
        Some(Kind::Null(_)) => Ok(None),
        Some(kind) => Ok(Some(FeastValue(kind))),
        None if bytes.is_empty() => Ok(None),
        None => Err(Corrupt),
    }
}

/// Reads a `_ts:` field: microseconds since the Unix epoch. Time zero is 0 bytes.
pub(crate) fn decode_time(bytes: &[u8]) -> Result<i64, Corrupt> {
    let Span { seconds, nanos } = Span::decode(bytes).map_err(|_| Corrupt)?;
    if !(0..1_000_000_000).contains(&nanos) {
        return Err(Corrupt);
    }
    let micros = seconds.checked_mul(1_000_000).ok_or(Corrupt)?;
    micros.checked_add(i64::from(nanos / 1000)).ok_or(Corrupt)
}

impl FeastValue {
    /// The value as a feature of type `dtype`; `None` if it is of another type. Feast widens what it
    /// stores when a feature's type is widened: an int32 is an int64 too, a float a double.
    pub(crate) fn into_feature(self, dtype: Dtype) -> Option<Value> {
        Some(match (dtype, self.0) {
            (Dtype::Bool, Kind::Bool(value)) => Value::Bool(value),
            (Dtype::Int64, Kind::Int64(value) | Kind::UnixTimestamp(value)) => Value::Int64(value),
            (Dtype::Int64, Kind::Int32(value)) => Value::Int64(value.into()),
            (Dtype::Float32, Kind::Float(value)) => Value::Float32(value),
            (Dtype::Float64, Kind::Double(value)) => Value::Float64(value),
            (Dtype::Float64, Kind::Float(value)) => Value::Float64(value.into()),
            (Dtype::String, Kind::String(text)) => Value::String(Arc::from(text)),
            (Dtype::List { of, .. }, kind) => Value::List(elements(of, kind)?),
            _ => return None,
        })
    }

    /// The name of its kind, as in `feast.types.Value`.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.0 {
            Kind::Bytes(_) => "bytes_val",
            Kind::String(_) => "string_val",
            Kind::Int32(_) => "int32_val",
            Kind::Int64(_) => "int64_val",
            Kind::Double(_) => "double_val",
            Kind::Float(_) => "float_val",
            Kind::Bool(_) => "bool_val",
            Kind::UnixTimestamp(_) => "unix_timestamp_val",
            Kind::BytesList(_) => "bytes_list_val",
            Kind::StringList(_) => "string_list_val",
            Kind::Int32List(_) => "int32_list_val",
            Kind::Int64List(_) => "int64_list_val",
            Kind::DoubleList(_) => "double_list_val",
            Kind::FloatList(_) => "float_list_val",
            Kind::BoolList(_) => "bool_list_val",
            Kind::UnixTimestampList(_) => "unix_timestamp_list_val",
            Kind::Null(_) => "null_val",
            Kind::Map(_) => "map_val",
            Kind::MapList(_) => "map_list_val",
            Kind::BytesSet(_) => "bytes_set_val",
            Kind::StringSet(_) => "string_set_val",
            Kind::Int32Set(_) => "int32_set_val",
            Kind::Int64Set(_) => "int64_set_val",
            Kind::DoubleSet(_) => "double_set_val",
            Kind::FloatSet(_) => "float_set_val",
            Kind::BoolSet(_) => "bool_set_val",
            Kind::UnixTimestampSet(_) => "unix_timestamp_set_val",
            Kind::Json(_) => "json_val",
            Kind::JsonList(_) => "json_list_val",
            Kind::Struct(_) => "struct_val",
            Kind::StructList(_) => "struct_list_val",
            Kind::Uuid(_) => "uuid_val",
            Kind::TimeUuid(_) => "time_uuid_val",
            Kind::UuidList(_) => "uuid_list_val",
            Kind::TimeUuidList(_) => "time_uuid_list_val",
            Kind::UuidSet(_) => "uuid_set_val",
            Kind::TimeUuidSet(_) => "time_uuid_set_val",
            Kind::List(_) => "list_val",
            Kind::Set(_) => "set_val",
            Kind::Decimal(_) => "decimal_val",
            Kind::DecimalList(_) => "decimal_list_val",
            Kind::DecimalSet(_) => "decimal_set_val",
            Kind::ScalarMap(_) => "scalar_map_val",
            Kind::ZonedTimestamp(_) => "zoned_timestamp_val",
        }
    }

    /// The value as JSON. What JSON has no form for: bytes are `{"hex": "00ff"}`; numbers that are
    /// not finite are `"NaN"`, `"Infinity"` and `"-Infinity"`; a map whose keys are not text is a
    /// list of pairs. Timestamps are Unix seconds; JSON, UUIDs and decimals the text that is stored.
    pub(crate) fn to_json(&self) -> Json {
        kind_to_json(&self.0)
    }
}

/// A list's elements, however many there are.
fn elements(of: Scalar, kind: Kind) -> Option<Arc<[Value]>> {
    Some(match (of, kind) {
        (Scalar::Bool, Kind::BoolList(all)) => all.val.into_iter().map(Value::Bool).collect(),
        (Scalar::Int64, Kind::Int64List(all) | Kind::UnixTimestampList(all)) => {
            all.val.into_iter().map(Value::Int64).collect()
        }
        (Scalar::Int64, Kind::Int32List(all)) => {
            let wide = all.val.into_iter().map(i64::from);
            wide.map(Value::Int64).collect()
        }
        (Scalar::Float32, Kind::FloatList(all)) => {
            all.val.into_iter().map(Value::Float32).collect()
        }
        (Scalar::Float64, Kind::DoubleList(all)) => {
            all.val.into_iter().map(Value::Float64).collect()
        }
        (Scalar::Float64, Kind::FloatList(all)) => {
            let wide = all.val.into_iter().map(f64::from);
            wide.map(Value::Float64).collect()
        }
        (Scalar::String, Kind::StringList(all)) => {
            let texts = all.val.into_iter().map(Arc::from);
            texts.map(Value::String).collect()
        }
        _ => return None,
    })
}

fn kind_to_json(kind: &Kind) -> Json {
    match kind {
        Kind::Null(_) => Json::Null,
        Kind::Bytes(bytes) => blob(bytes),
        Kind::String(text)
        | Kind::Json(text)
        | Kind::Uuid(text)
        | Kind::TimeUuid(text)
        | Kind::Decimal(text) => json!(text),
        Kind::Int32(value) => json!(value),
        Kind::Int64(value) | Kind::UnixTimestamp(value) => json!(value),
        Kind::Double(value) => double(*value),
        Kind::Float(value) => double(f64::from(*value)),
        Kind::Bool(value) => json!(value),
        Kind::BytesList(all) | Kind::BytesSet(all) => all.val.iter().map(|b| blob(b)).collect(),
        Kind::StringList(all)
        | Kind::StringSet(all)
        | Kind::JsonList(all)
        | Kind::UuidList(all)
        | Kind::TimeUuidList(all)
        | Kind::UuidSet(all)
        | Kind::TimeUuidSet(all)
        | Kind::DecimalList(all)
        | Kind::DecimalSet(all) => json!(all.val),
        Kind::Int32List(all) | Kind::Int32Set(all) => json!(all.val),
        Kind::Int64List(all)
        | Kind::UnixTimestampList(all)
        | Kind::Int64Set(all)
        | Kind::UnixTimestampSet(all) => json!(all.val),
        Kind::DoubleList(all) | Kind::DoubleSet(all) => {
            all.val.iter().map(|value| double(*value)).collect()
        }
        Kind::FloatList(all) | Kind::FloatSet(all) => {
            let values = all.val.iter();
            values.map(|value| double(f64::from(*value))).collect()
        }
        Kind::BoolList(all) | Kind::BoolSet(all) => json!(all.val),
        Kind::Map(map) | Kind::Struct(map) => object(map),
        Kind::MapList(all) | Kind::StructList(all) => all.val.iter().map(object).collect(),
        Kind::List(all) | Kind::Set(all) => all.val.iter().map(nested).collect(),
        Kind::ScalarMap(map) => {
            let pair = |entry: &proto::ScalarMapEntry| {
                let key = entry.key.as_ref().and_then(|key| key.key.as_ref());
                let value = entry.value.as_ref().map_or(Json::Null, nested);
                json!([key.map_or(Json::Null, key_to_json), value])
            };
            map.val.iter().map(pair).collect()
        }
        Kind::ZonedTimestamp(at) => {
            json!({ "unix_timestamp": at.unix_timestamp, "zone": at.zone })
        }
    }
}

fn key_to_json(key: &Key) -> Json {
    match key {
        Key::Int32(value) => json!(value),
        Key::Int64(value) | Key::UnixTimestamp(value) => json!(value),
        Key::Float(value) => double(f64::from(*value)),
        Key::Double(value) => double(*value),
        Key::Bool(value) => json!(value),
        Key::Bytes(bytes) => blob(bytes),
        Key::Uuid(text) | Key::TimeUuid(text) | Key::Decimal(text) => json!(text),
    }
}

fn nested(value: &proto::Value) -> Json {
    value.val.as_ref().map_or(Json::Null, kind_to_json)
}

fn object(map: &proto::Map) -> Json {
    let entries = map.val.iter();
    let entries: Object<String, Json> = entries
        .map(|(name, value)| (name.clone(), nested(value)))
        .collect();
    Json::Object(entries)
}

fn blob(bytes: &[u8]) -> Json {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "hex": hex })
}

fn double(value: f64) -> Json {
    match Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => json!("NaN"),
        None if value > 0.0 => json!("Infinity"),
        None => json!("-Infinity"),
    }
}

#[cfg(test)]
mod tests;
