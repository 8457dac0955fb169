//! The packed bytes: round trips, damage, and the documented layout.

use proptest::prelude::*;

use super::*;
use crate::catalog::Source;

fn view(dtypes: &[Dtype]) -> Arc<View> {
    let features: Vec<Feature> = dtypes
        .iter()
        .enumerate()
        .map(|(i, dtype)| Feature {
            name: format!("f{i:03}").into(),
            dtype: *dtype,
            default: dtype.zero(),
        })
        .collect();
    let entities = vec![("id".into(), Dtype::Int64)];
    Arc::new(View {
        name: "v".into(),
        ttl_micros: None,
        fingerprint: fingerprint("v", &entities, &features),
        entities,
        features,
        source: Source::Packed,
    })
}

fn row(view: Arc<View>, values: Vec<Option<Value>>) -> Row {
    let event_time = UNIX_EPOCH + Duration::from_micros(1_567_245_600_000_001);
    Row {
        view,
        entity: vec![Value::Int64(1)],
        event_time,
        values,
    }
}

fn read(view: &View, bytes: &[u8]) -> Result<(i64, Vec<Option<Value>>), Unreadable> {
    let mut values = Vec::new();
    let event_time = decode(view, bytes, |feature, field| {
        assert_eq!(feature, values.len());
        values.push(field.map(Field::to_value));
    })?;
    Ok((event_time, values))
}

fn scalar() -> impl Strategy<Value = (Scalar, Value)> {
    prop_oneof![
        any::<bool>().prop_map(|value| (Scalar::Bool, Value::Bool(value))),
        any::<i64>().prop_map(|value| (Scalar::Int64, Value::Int64(value))),
        any::<f32>().prop_map(|value| (Scalar::Float32, Value::Float32(value))),
        any::<f64>().prop_map(|value| (Scalar::Float64, Value::Float64(value))),
        ".{0,12}".prop_map(|text| (Scalar::String, Value::String(text.into()))),
    ]
}

/// Lists are of any length, whatever their type says.
fn value() -> impl Strategy<Value = (Dtype, Option<Value>)> {
    let list = (
        proptest::collection::vec(scalar(), 1..8),
        1..9_u16,
        0..9_usize,
    );
    let list = list.prop_map(|(some, length, stored)| {
        let of = some[0].0;
        let same = some.into_iter().filter(|(element, _)| *element == of);
        let elements: Vec<Value> = same.map(|(_, value)| value).collect();
        let elements = elements.iter().cycle().take(stored).cloned();
        (Dtype::List { of, length }, Value::List(elements.collect()))
    });
    let scalar = scalar().prop_map(|(of, value)| (of.into(), value));
    (prop_oneof![3 => scalar, 1 => list], any::<bool>())
        .prop_map(|((dtype, value), null)| (dtype, (!null).then_some(value)))
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(all in proptest::collection::vec(value(), 1..40)) {
        let (dtypes, values): (Vec<Dtype>, Vec<Option<Value>>) = all.into_iter().unzip();
        let view = view(&dtypes);
        let bytes = row(view.clone(), values.clone()).encode();
        let (event_time, decoded) = read(&view, &bytes).unwrap();
        prop_assert_eq!(event_time, 1_567_245_600_000_001);
        prop_assert_eq!(decoded, values);
    }

    /// Cut, extended or changed, a row is refused or read, and nothing panics; and a row is never
    /// handed over in part.
    #[test]
    fn damaged_bytes_never_panic(
        all in proptest::collection::vec(value(), 1..12),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length in any::<prop::sample::Index>(),
        tail in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let (dtypes, values): (Vec<Dtype>, Vec<Option<Value>>) = all.into_iter().unzip();
        let view = view(&dtypes);
        let mut bytes = row(view.clone(), values).encode();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(length.index(bytes.len() + 1));
        bytes.extend(tail);
        let mut handed_over = 0;
        match decode(&view, &bytes, |_, _| handed_over += 1) {
            Ok(_) => prop_assert_eq!(handed_over, dtypes.len()),
            Err(_) => prop_assert_eq!(handed_over, 0),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let list = Dtype::List { of: Scalar::String, length: 3 };
        let view = view(&[Dtype::String, list, Dtype::Float32]);
        let read = decode(&view, &bytes, |_, _| ());
        prop_assert!(read.is_err());
    }
}

#[test]
fn the_layout_is_the_documented_one() {
    let view = view(&[Dtype::Bool, Dtype::String, Dtype::Float32, Dtype::Int64]);
    let values = vec![
        Some(Value::Bool(true)),
        Some(Value::String("é".into())),
        None,
        Some(Value::Int64(-1)),
    ];
    let bytes = row(view.clone(), values).encode();
    let (header, rest) = bytes.split_at(HEADER_BYTES);
    assert_eq!(header[0], 1);
    assert_eq!(header[1..9], view.fingerprint.to_le_bytes());
    assert_eq!(header[9..17], 1_567_245_600_000_001_i64.to_le_bytes());
    assert_eq!(
        rest,
        b"\x04\x01\x02\0\0\0\xc3\xa9\xff\xff\xff\xff\xff\xff\xff\xff"
    );
}

#[test]
fn a_list_is_its_count_and_its_elements() {
    let words = Dtype::List {
        of: Scalar::String,
        length: 9,
    };
    let numbers = Dtype::List {
        of: Scalar::Int64,
        length: 1,
    };
    let view = view(&[words, numbers]);
    let texts = ["a", "", "bc"].map(|text| Value::String(text.into()));
    let values = vec![
        Some(Value::List(texts.into())),
        Some(Value::List([].into())),
    ];
    let bytes = row(view.clone(), values.clone()).encode();
    assert_eq!(
        bytes[HEADER_BYTES..],
        *b"\0\x03\0\0\0\x01\0\0\0a\0\0\0\0\x02\0\0\0bc\0\0\0\0"
    );
    assert_eq!(read(&view, &bytes).unwrap().1, values);
    // A count of what is not there reserves nothing, and is refused.
    let mut more = bytes;
    more[HEADER_BYTES + 1..HEADER_BYTES + 5].fill(0xff);
    assert_eq!(read(&view, &more), Err(Unreadable::Corrupt));
}

#[test]
fn stored_rows_stay_readable_as_their_fingerprints_do() {
    let list = |length| Dtype::List {
        of: Scalar::Int64,
        length,
    };
    let scalars = view(&[Dtype::Bool, Dtype::Float32]);
    assert_eq!(scalars.fingerprint, 0x8d0a_6ee8_4423_586b);
    assert_eq!(view(&[list(5)]).fingerprint, 0x4bd0_dd31_0086_cf20);
    // Rows hold lists as they were loaded: another length needs no other rows.
    assert_eq!(view(&[list(6)]).fingerprint, view(&[list(5)]).fingerprint);
    assert_ne!(
        view(&[Dtype::Int64]).fingerprint,
        view(&[list(5)]).fingerprint
    );
}

#[test]
fn rows_of_other_definitions_are_told_from_corrupt_ones() {
    let (old, new) = (view(&[Dtype::Float32]), view(&[Dtype::Int64]));
    let bytes = row(old, vec![Some(Value::Float32(1.0))]).encode();
    assert_eq!(read(&new, &bytes), Err(Unreadable::OtherFingerprint));
    assert_eq!(read(&new, &bytes[..5]), Err(Unreadable::Corrupt));
    assert_eq!(read(&new, b""), Err(Unreadable::Corrupt));
}

#[test]
fn times_before_the_epoch_are_negative() {
    assert_eq!(
        micros_since_epoch(UNIX_EPOCH - Duration::from_micros(5)),
        -5
    );
    assert_eq!(
        micros_since_epoch(UNIX_EPOCH + Duration::from_nanos(1999)),
        1
    );
}
