//! Values there and back, and what Feast itself wrote.

use proptest::prelude::*;

use super::*;
use crate::feast::key::{KeyFormat, KeyType, KeyVersion, feature_field, time_field};

fn encode(kind: Kind) -> Vec<u8> {
    proto::Value { val: Some(kind) }.encode_to_vec()
}

fn read(kind: Kind) -> FeastValue {
    decode(&encode(kind)).unwrap().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn vectors() -> Json {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/feast_redis.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The vectors say the kind of what is within a map; we show the value alone.
fn plain(value: &Json) -> Json {
    match value {
        Json::Object(entries) if entries.contains_key("kind") => plain(&entries["value"]),
        Json::Object(entries) => Json::Object(
            entries
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
        ),
        Json::Array(all) => all.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn key_of(row: &Json) -> Vec<u8> {
    let number = |name: &str| match name {
        "BYTES" => KeyType::Bytes,
        "STRING" => KeyType::String,
        "INT32" => KeyType::Int32,
        "INT64" => KeyType::Int64,
        "UNIX_TIMESTAMP" => KeyType::UnixTimestamp,
        other => panic!("{other}"),
    };
    let declared = row["join_keys"].as_array().unwrap();
    let mut keys: Vec<(&str, KeyType, Value)> = Vec::new();
    for key in declared {
        let key_type = number(key["type"].as_str().unwrap());
        let value = match (key_type, &key["value"]) {
            (KeyType::Bytes, Json::String(digits)) => {
                // A string of ours is UTF-8, and these bytes are not: written below.
                Value::String(digits.as_str().into())
            }
            (_, Json::String(text)) => Value::String(text.as_str().into()),
            (_, number) => Value::Int64(number.as_i64().unwrap()),
        };
        keys.push((key["name"].as_str().unwrap(), key_type, value));
    }
    keys.sort_by_key(|(name, _, _)| *name);
    if keys[0].0 == "__dummy_id" {
        keys.clear();
    }
    let version = match row["serialization_version"].as_i64().unwrap() {
        2 => KeyVersion::V2,
        3 => KeyVersion::V3,
        other => panic!("{other}"),
    };
    let names = keys.iter().map(|(name, key_type, _)| (*name, *key_type));
    let format = KeyFormat::new(version, names, row["project"].as_str().unwrap());
    let mut out = Vec::new();
    format
        .write(&mut out, keys.iter().map(|(_, _, value)| value))
        .unwrap();
    out
}

#[test]
fn keys_are_what_feast_wrote() {
    let mut seen = 0;
    for row in vectors()["rows"].as_array().unwrap() {
        let (key, id) = (hex(row["redis_key_hex"].as_str().unwrap()), &row["id"]);
        if id == "bytes-key" {
            // 00 01 fe ff is not text. The same key with text of four bytes, put in its place.
            let format = KeyFormat::new(KeyVersion::V3, [("blob_id", KeyType::Bytes)], "gavel");
            let mut out = Vec::new();
            format
                .write(&mut out, [&Value::String("abcd".into())])
                .unwrap();
            let at = out.windows(4).position(|bytes| bytes == b"abcd").unwrap();
            out[at..at + 4].copy_from_slice(&[0, 1, 0xfe, 0xff]);
            assert_eq!(out, key);
        } else {
            assert_eq!(key_of(row), key, "{id}");
        }
        seen += 1;
    }
    assert_eq!(seen, 15);
}

#[test]
fn fields_times_and_values_are_what_feast_wrote() {
    let mut seen = 0;
    for row in vectors()["rows"].as_array().unwrap() {
        for view in row["views"].as_array().unwrap() {
            let (id, name) = (&row["id"], view["hash_name"].as_str().unwrap());
            assert_eq!(
                time_field(name),
                view["ts_field"].as_str().unwrap().as_bytes(),
                "{id}"
            );
            let micros = view["ts_seconds"].as_i64().unwrap() * 1_000_000
                + view["ts_nanos"].as_i64().unwrap() / 1000;
            let time = hex(view["ts_value_hex"].as_str().unwrap());
            assert_eq!(decode_time(&time), Ok(micros), "{id}");
            for feature in view["features"].as_array().unwrap() {
                let feature_name = feature["name"].as_str().unwrap();
                let field = hex(feature["field_hex"].as_str().unwrap());
                assert_eq!(
                    feature_field(name, feature_name).to_vec(),
                    field,
                    "{id} {feature_name}"
                );
                let Some(stored) = feature["value_hex"].as_str() else {
                    continue;
                };
                let value = decode(&hex(stored)).unwrap();
                let kind = value.as_ref().map(FeastValue::kind);
                assert_eq!(kind, feature["kind"].as_str(), "{id} {feature_name}");
                let shown = value.map_or(Json::Null, |value| value.to_json());
                assert_eq!(shown, plain(&feature["value"]), "{id} {feature_name}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 56);
}

#[test]
fn null_is_not_zero_and_not_a_kind_that_is_unknown() {
    assert_eq!(decode(b"").map(|value| value.is_none()), Ok(true));
    assert_eq!(
        decode(&encode(Kind::Null(0))).map(|value| value.is_none()),
        Ok(true)
    );
    let zero = decode(&[0x20, 0]).unwrap().unwrap();
    assert_eq!(zero.into_feature(Dtype::Int64), Some(Value::Int64(0)));
    // Field 49, which a newer Feast may have.
    assert!(decode(&[0x88, 0x03, 1]) == Err(Corrupt));
    for bad in [
        &b"\x20"[..],
        b"\x12\x05ab",
        b"\x12\x02\xff\xfe",
        b"\x21\x00",
        b"\xff",
    ] {
        assert!(decode(bad) == Err(Corrupt), "{bad:?}");
    }
}

#[test]
fn times_before_1970_at_zero_and_out_of_range() {
    let time = |seconds, nanos| Span { seconds, nanos }.encode_to_vec();
    assert_eq!(decode_time(b""), Ok(0));
    assert_eq!(decode_time(&time(-1, 999_999_000)), Ok(-1));
    assert_eq!(time(-62_135_596_800, 0).len(), 11);
    assert_eq!(
        decode_time(&time(-62_135_596_800, 0)),
        Ok(-62_135_596_800_000_000)
    );
    for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
        assert_eq!(decode_time(&time(seconds, nanos)), Err(Corrupt));
    }
    assert_eq!(decode_time(&[8]), Err(Corrupt));
}

#[test]
fn a_feature_takes_its_type_and_what_was_widened_to_it() {
    let takes = |kind: Kind, dtype| read(kind).into_feature(dtype);
    assert_eq!(takes(Kind::Int32(-7), Dtype::Int64), Some(Value::Int64(-7)));
    assert_eq!(
        takes(Kind::UnixTimestamp(5), Dtype::Int64),
        Some(Value::Int64(5))
    );
    assert_eq!(
        takes(Kind::Float(0.5), Dtype::Float64),
        Some(Value::Float64(0.5))
    );
    assert_eq!(
        takes(Kind::Float(0.5), Dtype::Float32),
        Some(Value::Float32(0.5))
    );
    assert_eq!(
        takes(Kind::Bool(true), Dtype::Bool),
        Some(Value::Bool(true))
    );
    assert_eq!(
        takes(Kind::String("ü".into()), Dtype::String),
        Some(Value::String("ü".into()))
    );
    assert_eq!(takes(Kind::Double(0.5), Dtype::Float32), None);
    assert_eq!(takes(Kind::Int64(1), Dtype::Float64), None);
    assert_eq!(takes(Kind::Uuid("u".into()), Dtype::String), None);
    assert_eq!(takes(Kind::Bytes(vec![1]), Dtype::String), None);
}

#[test]
fn what_json_has_no_form_for_is_shown() {
    let shown = |kind: Kind| read(kind).to_json();
    assert_eq!(shown(Kind::Double(f64::NAN)), json!("NaN"));
    assert_eq!(shown(Kind::Float(f32::INFINITY)), json!("Infinity"));
    assert_eq!(shown(Kind::Double(f64::NEG_INFINITY)), json!("-Infinity"));
    let entry = proto::ScalarMapEntry {
        key: Some(proto::MapKey {
            key: Some(Key::Int64(7)),
        }),
        value: Some(proto::Value {
            val: Some(Kind::Bool(true)),
        }),
    };
    let map = proto::ScalarMap { val: vec![entry] };
    assert_eq!(shown(Kind::ScalarMap(map)), json!([[7, true]]));
    let nested = proto::Values {
        val: vec![
            proto::Value { val: None },
            proto::Value {
                val: Some(Kind::Int32(1)),
            },
        ],
    };
    assert_eq!(shown(Kind::List(nested)), json!([null, 1]));
}

fn kind() -> impl Strategy<Value = Kind> {
    let texts =
        || proptest::collection::vec(any::<String>(), 0..4).prop_map(|val| proto::Texts { val });
    let leaf = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Kind::Bytes),
        any::<String>().prop_map(Kind::String),
        any::<i32>().prop_map(Kind::Int32),
        any::<i64>().prop_map(Kind::Int64),
        any::<f64>().prop_map(Kind::Double),
        any::<f32>().prop_map(Kind::Float),
        any::<bool>().prop_map(Kind::Bool),
        any::<i64>().prop_map(Kind::UnixTimestamp),
        any::<String>().prop_map(Kind::Json),
        any::<String>().prop_map(Kind::Decimal),
        texts().prop_map(Kind::StringList),
        texts().prop_map(Kind::UuidSet),
        proptest::collection::vec(any::<i64>(), 0..4)
            .prop_map(|val| Kind::Int64List(proto::Int64s { val })),
        proptest::collection::vec(any::<f32>(), 0..4)
            .prop_map(|val| Kind::FloatList(proto::Floats { val })),
        proptest::collection::vec(any::<bool>(), 0..4)
            .prop_map(|val| Kind::BoolSet(proto::Bools { val })),
        (any::<i64>(), any::<String>()).prop_map(|(unix_timestamp, zone)| {
            Kind::ZonedTimestamp(proto::ZonedTimestamp {
                unix_timestamp,
                zone,
            })
        }),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let value = inner.prop_map(|kind| proto::Value { val: Some(kind) });
        let map = proptest::collection::btree_map(any::<String>(), value.clone(), 0..4)
            .prop_map(|val| proto::Map { val });
        let values = proptest::collection::vec(value, 0..4).prop_map(|val| proto::Values { val });
        prop_oneof![
            map.clone().prop_map(Kind::Map),
            proptest::collection::vec(map, 0..3)
                .prop_map(|val| Kind::StructList(proto::Maps { val })),
            values.clone().prop_map(Kind::List),
            values.prop_map(Kind::Set),
        ]
    })
}

proptest! {
    #[test]
    fn every_kind_is_read_as_it_was_written(kind in kind()) {
        let bytes = encode(kind);
        let read = decode(&bytes).unwrap().unwrap();
        // Bytes, because NaN is not equal to itself.
        prop_assert_eq!(encode(read.0.clone()), bytes);
        let text = serde_json::to_string(&read.to_json()).unwrap();
        prop_assert!(!text.is_empty());
    }

    #[test]
    fn any_bytes_are_a_value_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(Some(value)) = decode(&bytes) {
            value.to_json();
            value.into_feature(Dtype::Int64);
        }
        let _ = decode_time(&bytes);
    }

    #[test]
    fn times_keep_their_microseconds(micros in -62_135_596_800_000_000i64..253_402_300_800_000_000) {
        let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let bytes = Span { seconds, nanos: rest as i32 * 1000 }.encode_to_vec();
        prop_assert_eq!(decode_time(&bytes), Ok(micros));
    }
}
