//! Properties; values are in `tests/golden.rs`.

use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int64),
        any::<f32>().prop_map(Value::Float32),
        prop_oneof![
            any::<f64>(),
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(-1e-300)
        ]
        .prop_map(Value::Float64),
        ".{0,20}".prop_map(|text| Value::String(text.into())),
        any::<i64>().prop_map(|element| Value::List([Value::Int64(element)].into())),
    ]
}

fn transform() -> impl Strategy<Value = Transform> {
    let number = || prop_oneof![any::<f64>(), -10.0..10.0];
    prop_oneof![
        Just(Transform::Log1p),
        Just(Transform::Ratio),
        Just(Transform::Difference),
        (number(), number()).prop_map(|(min, max)| Transform::Clip { min, max }),
        (number(), number()).prop_map(|(mean, std)| Transform::Scale { mean, std }),
        ".{0,3}".prop_map(|text| Transform::Equals(Operand::Text(text.into()))),
        any::<i64>().prop_map(|integer| Transform::Equals(Operand::Integer(integer))),
        number().prop_map(|number| Transform::Equals(Operand::Number(number))),
        ".{0,3}".prop_map(|word| Transform::Index {
            vocabulary: [(word.into(), 1)].into()
        }),
        any::<u32>().prop_map(|buckets| Transform::HashBucket { buckets }),
        proptest::collection::vec(number(), 0..5)
            .prop_map(|boundaries| Transform::Bucketize { boundaries }),
        Just(Transform::HourOfDay),
        Just(Transform::DayOfWeek),
        Just(Transform::IsMissing),
        Just(Transform::HaversineKm),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn total_finite_typed_and_deterministic(
        transform in transform(),
        inputs in proptest::collection::vec(value(), 4),
        missing in any::<bool>(),
    ) {
        let result = transform.apply(|i| &inputs[i], missing);
        prop_assert_eq!(&result, &transform.apply(|i| &inputs[i], missing));
        if let Some(value) = result {
            prop_assert!(value.is_finite());
            prop_assert!(value.is_of(transform.dtype()));
        }
    }

    #[test]
    fn results_stay_in_their_ranges(x in prop_oneof![any::<f64>(), -1e-15..1e-15]) {
        prop_assume!(x.is_finite());
        let x = Value::Float64(x);
        let apply = |transform: Transform| transform.apply(|_| &x, false).unwrap();
        let within = |value: Value, low: f64, high: f64| (low..=high).contains(&value.as_f64().unwrap());
        prop_assert!(within(apply(Transform::HourOfDay), 0.0, 23.0));
        prop_assert!(within(apply(Transform::DayOfWeek), 0.0, 6.0));
        let clip = Transform::Clip { min: -1.0, max: 2.0 };
        prop_assert!(within(apply(clip), -1.0, 2.0));
        prop_assert!(within(apply(Transform::Log1p), 0.0, 710.0));
    }

    #[test]
    fn buckets_are_in_range(text in ".{0,40}", buckets in 1u32..) {
        let text = Value::String(text.into());
        let bucket = Transform::HashBucket { buckets }.apply(|_| &text, false);
        prop_assert!(matches!(bucket, Some(Value::Int64(bucket)) if bucket >= 0 && bucket < i64::from(buckets)));
    }
}

#[test]
fn only_is_missing_has_a_result_of_what_is_missing() {
    let zero = Value::Float64(0.0);
    assert_eq!(
        Transform::IsMissing.apply(|_| &zero, true),
        Some(Value::Float64(1.0))
    );
    assert!(Transform::IsMissing.sees_missing() && !Transform::Log1p.sees_missing());
}
