//! Whatever is written comes back with the same bits, and whatever comes back was written.

use proptest::{collection::vec, option, prelude::*};

use super::*;

fn name() -> impl Strategy<Value = Arc<str>> {
    "[a-z_.é]{0,6}".prop_map(Arc::from)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int64),
        // Every pattern of bits, each NaN included.
        any::<u32>().prop_map(|bits| Value::Float32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::Float64(f64::from_bits(bits))),
        "\\PC{0,8}".prop_map(|text| Value::Text(text.into())),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => scalar(),
        1 => vec(scalar(), 0..4).prop_map(|values| Value::List(values.into())),
    ]
}

fn any_cell() -> impl Strategy<Value = Cell> {
    let status = prop_oneof![
        Just(Status::Present),
        Just(Status::Null),
        Just(Status::Missing),
        Just(Status::Stale)
    ];
    (any_value(), status).prop_map(|(value, status)| Cell { value, status })
}

fn fields(names: Vec<Arc<str>>) -> Vec<Field> {
    let dtype: Arc<str> = "float32[3]".into();
    let field = |name| Field {
        name,
        dtype: Arc::clone(&dtype),
    };
    names.into_iter().map(field).collect()
}

pub(crate) fn schema() -> impl Strategy<Value = Arc<Schema>> {
    let names = || vec(name(), 0..4);
    (name(), names(), names(), names(), names(), names()).prop_map(
        |(decision, entities, inputs, columns, views, scores)| {
            Arc::new(Schema {
                decision,
                entities: fields(entities),
                inputs: fields(inputs),
                columns: fields(columns),
                views,
                scores,
            })
        },
    )
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    schema().prop_flat_map(record_of)
}

/// A record of this schema.
pub(crate) fn record_of(schema: Arc<Schema>) -> impl Strategy<Value = Record> {
    let asked = (
        any::<i64>(),
        any::<i64>(),
        name(),
        vec(any_value(), schema.entities.len()),
        vec(option::of(any_value()), schema.inputs.len()),
        any::<u64>(),
    );
    let view =
        (any::<bool>(), option::of(any::<i64>())).prop_map(|(found, event_time_us)| ViewRow {
            found,
            event_time_us,
        });
    let tensor = (name(), name(), vec(any::<u8>(), 0..9)).prop_map(|(name, dtype, data)| Tensor {
        name,
        dtype,
        data: data.into(),
    });
    let seen = (
        vec(any_cell(), schema.columns.len()),
        vec(view, schema.views.len()),
        vec(tensor, 0..3),
        [name(), name(), name(), name()],
        vec(any::<u64>().prop_map(f64::from_bits), schema.scores.len()),
    );
    let skip = (name(), name()).prop_map(|(tier, reason)| Skip { tier, reason });
    let said = (
        name(),
        vec(name(), 0..3),
        vec(skip, 0..3),
        vec((name(), any::<u64>()), 0..4),
        any::<[bool; 2]>(),
    );
    (asked, seen, said).prop_map(move |(asked, seen, said)| {
        let [tier, model, version, arm] = seen.3;
        Record {
            schema: Arc::clone(&schema),
            received_us: asked.0,
            as_of_us: asked.1,
            id: asked.2,
            entities: asked.3,
            inputs: asked.4,
            budget_us: asked.5,
            columns: seen.0,
            views: seen.1,
            tensors: seen.2,
            tier,
            model,
            version,
            arm,
            scores: seen.4,
            action: said.0,
            reasons: said.1,
            skipped: said.2,
            timings_us: said.3,
            late: said.4[0],
            in_sample: said.4[1],
        }
    })
}

/// Equal to the bit: NaN is no number, but it has bits.
pub(crate) fn assert_same(a: &Record, b: &Record) {
    let bytes = |record: &Record| {
        let mut out = Vec::new();
        put_schema(&mut out, &record.schema);
        put_record(&mut out, record);
        out
    };
    assert_eq!(bytes(a), bytes(b), "{a:?}\n{b:?}");
}

proptest! {
    #[test]
    fn a_record_comes_back_to_the_bit(record in record()) {
        let mut out = Vec::new();
        put_schema(&mut out, &record.schema);
        put_record(&mut out, &record);
        let mut take = Take::new(&out);
        let schema = Arc::new(take_schema(&mut take).unwrap());
        prop_assert_eq!(&schema, &record.schema);
        let back = take_record(&mut take, &schema).unwrap();
        prop_assert!(take.is_empty());
        assert_same(&record, &back);
        let values = |record: &Record| -> Vec<Value> {
            record.columns.iter().map(|cell| cell.value.clone()).collect()
        };
        for (a, b) in values(&record).iter().zip(&values(&back)) {
            prop_assert!(a.same_bits(b));
        }
        for (a, b) in record.scores.iter().zip(&back.scores) {
            prop_assert_eq!(a.to_bits(), b.to_bits());
        }
        let statuses = |record: &Record| -> Vec<Status> {
            record.columns.iter().map(|cell| cell.status).collect()
        };
        prop_assert_eq!(statuses(&record), statuses(&back));
        prop_assert_eq!((record.as_of_us, &record.views), (back.as_of_us, &back.views));
        prop_assert_eq!((record.late, record.in_sample), (back.late, back.in_sample));
    }

    #[test]
    fn a_record_that_is_cut_is_no_record(record in record()) {
        let mut out = Vec::new();
        put_record(&mut out, &record);
        for length in 0..out.len() {
            let mut take = Take::new(&out[..length]);
            prop_assert!(take_record(&mut take, &record.schema).is_err(), "{} of {}", length, out.len());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, record in record()) {
        let _ = take_schema(&mut Take::new(&bytes));
        let _ = take_record(&mut Take::new(&bytes), &record.schema);
    }
}

#[test]
fn lists_in_lists_are_refused_before_they_are_deep() {
    let mut bytes = [LIST, 1].repeat(100_000);
    bytes.push(TRUE);
    assert_eq!(optional(&mut Take::new(&bytes)), Err(Malformed));
}

#[test]
fn the_same_bits_are_the_same_value() {
    let nan = Value::Float64(f64::NAN);
    assert!(nan.same_bits(&nan));
    assert!(!Value::Float64(0.0).same_bits(&Value::Float64(-0.0)));
    assert!(!Value::Float32(1.0).same_bits(&Value::Float64(1.0)));
    let list = |values: &[i64]| Value::List(values.iter().map(|v| Value::Int64(*v)).collect());
    assert!(list(&[1, 2]).same_bits(&list(&[1, 2])));
    assert!(!list(&[1, 2]).same_bits(&list(&[1])));
}
