//! What is accepted, and how every problem is reported.

use proptest::prelude::*;

use super::*;

fn problems(source: &str) -> Vec<String> {
    let problems = Catalog::parse(source).expect_err("a problem");
    for problem in &problems {
        assert!(source.get(problem.span.clone()).is_some(), "{problem:?}");
    }
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn every_problem_is_reported_at_once_with_its_place_and_a_hint() {
    let source = r#"
[entities]
card_id = "strng"

[views.card]
entity = "card_di"
ttl = "90 dayz"
colour = "red"
[views.card.features]
a = { dtype = "float", default = 0.0 }
b = { dtype = "float32", default = "none" }
c = { dtype = "int64" }

[derived]
x = { transform = "log2p", inputs = ["request.amount"] }
y = { transform = "ratio", inputs = ["card.bb"] }
"#;
    let all = Catalog::parse(source).unwrap_err();
    let found: Vec<(&str, &str)> = all
        .iter()
        .map(|problem| (problem.key.as_str(), &source[problem.span.clone()]))
        .collect();
    assert_eq!(
        found,
        [
            ("entities.card_id", r#""strng""#),
            ("views.card.entity", r#""card_di""#),
            ("views.card.ttl", r#""90 dayz""#),
            ("views.card.colour", "colour"),
            ("views.card.features.a.dtype", r#""float""#),
            ("views.card.features.b.default", r#""none""#),
            ("views.card.features.c", r#"{ dtype = "int64" }"#),
            ("derived.x.transform", r#""log2p""#),
            ("derived.y.inputs", r#"["card.bb"]"#),
            ("derived.y.inputs[0]", r#""card.bb""#),
        ]
    );
    let hint = |place: usize| all[place].hint.as_deref().unwrap();
    assert_eq!(hint(0), "did you mean `string`?");
    assert_eq!(hint(1), "did you mean `card_id`?");
    assert_eq!(hint(3), "known here: entity, ttl, features, events, hash");
    assert_eq!(hint(7), "did you mean `log1p`?");
    assert_eq!(hint(9), "did you mean `card.b`?");
    assert_eq!(all[8].message, "ratio takes 2 inputs, not 1");
}

#[test]
fn a_cycle_is_reported_with_its_path() {
    let all = problems(
        r#"
        [derived]
        a = { transform = "log1p", inputs = ["b"] }
        b = { transform = "difference", inputs = ["request.x", "c"] }
        c = { transform = "log1p", inputs = ["a"] }
        d = { transform = "log1p", inputs = ["d"] }
        "#,
    );
    assert_eq!(
        all,
        [
            "derived.a: depends on itself: a -> b -> c -> a",
            "derived.d: depends on itself: d -> d"
        ]
    );
}

#[test]
fn derived_features_may_use_later_ones() {
    let catalog = Catalog::parse(
        r#"
        [derived]
        a = { transform = "log1p", inputs = ["z"] }
        z = { transform = "log1p", inputs = ["request.x"] }
        "#,
    )
    .unwrap();
    let names: Vec<&str> = catalog
        .derived
        .iter()
        .map(|derived| &*derived.name)
        .collect();
    assert_eq!(names, ["z", "a"]);
}

#[test]
fn a_list_has_a_length_and_a_default_for_every_element() {
    let catalog = Catalog::parse(
        r#"
        entities.id = "int64"
        [views.v]
        entity = "id"
        features.a = { dtype = "int64[2]", default = 7 }
        features.b = { dtype = "float32[2]", default = [1, 2.5] }
        features.c = { dtype = "string[4096]", default = "" }
        "#,
    )
    .unwrap();
    let features = &catalog.views[0].features;
    assert_eq!(
        features[0].default,
        Value::List([7, 7].map(Value::Int64).into())
    );
    assert_eq!(
        features[1].default,
        Value::List([1.0, 2.5].map(Value::Float32).into())
    );
    assert_eq!(features[2].dtype.to_string(), "string[4096]");

    let all = problems(
        r#"
        entities.id = "int64"
        [views.v]
        entity = "id"
        features.a = { dtype = "int64[0]", default = 0 }
        features.b = { dtype = "int46[5]", default = 0 }
        features.c = { dtype = "bool[4097]", default = false }
        features.d = { dtype = "bool[]", default = false }
        features.e = { dtype = "int64[3", default = 0 }
        features.f = { dtype = "int64[3]", default = [1, 2] }
        features.g = { dtype = "int64[2]", default = [1, "2"] }
        features.h = { dtype = "float32[2]", default = 1e39 }
        features.i = { dtype = "int64[2]", default = 0 }
        [derived]
        x = { transform = "log1p", inputs = ["v.i"] }
        y = { transform = "equals", inputs = ["v.i"], value = "a" }
        z = { transform = "is_missing", inputs = ["v.i"] }
        "#,
    );
    let length = |dtype: &str, name: &str| {
        format!(
            "{dtype:?} is not a dtype: a list says how many elements a model gets, 1 to 4096, such as \"{name}[5]\""
        )
    };
    assert_eq!(
        all,
        [
            format!("views.v.features.a.dtype: {}", length("int64[0]", "int64")),
            "views.v.features.b.dtype: \"int46[5]\" is not a dtype: bool, int64, float32, float64 or string, or a list of one of these, such as \"int64[5]\" (did you mean `int64`?)".to_owned(),
            format!("views.v.features.c.dtype: {}", length("bool[4097]", "bool")),
            format!("views.v.features.d.dtype: {}", length("bool[]", "bool")),
            format!("views.v.features.e.dtype: {}", length("int64[3", "int64")),
            "views.v.features.f.default: int64[3] takes 3 elements, not 2 (one value stands for all of them)".to_owned(),
            "views.v.features.g.default[1]: expected a whole number, found a string".to_owned(),
            "views.v.features.h.default: does not fit into a float32".to_owned(),
            "derived.x.inputs[0]: log1p takes a number (bool, int64, float32 or float64), and `v.i` is int64[2], a list: lists go into models as they are".to_owned(),
            "derived.y.inputs[0]: equals takes a string, and `v.i` is int64[2], a list: lists go into models as they are".to_owned(),
        ]
    );
}

#[test]
fn a_transform_takes_inputs_of_its_type() {
    let all = problems(
        r#"
        entities.id = "int64"
        [views.v]
        entity = "id"
        features.s = { dtype = "string", default = "" }
        features.n = { dtype = "int64", default = 0 }
        [derived]
        a = { transform = "log1p", inputs = ["v.s"] }
        b = { transform = "index", inputs = ["v.n"], vocabulary = ["x"] }
        c = { transform = "equals", inputs = ["v.n"], value = "x" }
        d = { transform = "hash_bucket", inputs = ["b"], buckets = 4 }
        e = { transform = "is_missing", inputs = ["v.s"] }
        "#,
    );
    assert_eq!(
        all,
        [
            "derived.a.inputs[0]: log1p takes a number (bool, int64, float32 or float64), and `v.s` is string",
            "derived.b.inputs[0]: index takes a string, and `v.n` is int64",
            "derived.c.inputs[0]: equals takes a string, and `v.n` is int64",
            "derived.d.inputs[0]: hash_bucket takes a string, and `b` is int64",
        ]
    );
}

#[test]
fn arguments_are_checked() {
    let derived = |definition: &str| {
        problems(&format!(
            "derived.x = {{ inputs = [\"request.x\"], {definition} }}"
        ))
    };
    for (definition, problem) in [
        (
            r#"transform = "clip", min = 2, max = 1"#,
            "derived.x.min: is above max, 1",
        ),
        (
            r#"transform = "clip", min = nan, max = 1"#,
            "derived.x.min: must be finite: neither nan nor inf",
        ),
        (
            r#"transform = "scale", mean = 0, std = 0.0"#,
            "derived.x.std: must be above 0",
        ),
        (
            r#"transform = "scale", std = 1"#,
            "derived.x: lacks `mean`: what is subtracted",
        ),
        (
            r#"transform = "equals", value = []"#,
            "derived.x.value: expected a number, found an array",
        ),
        (
            r#"transform = "index", vocabulary = []"#,
            "derived.x.vocabulary: is empty",
        ),
        (
            r#"transform = "index", vocabulary = ["a", "a"]"#,
            "derived.x.vocabulary[1]: \"a\" is listed twice",
        ),
        (
            r#"transform = "hash_bucket", buckets = 0"#,
            "derived.x.buckets: must be between 1 and 4294967295",
        ),
        (
            r#"transform = "hash_bucket", buckets = 1.5"#,
            "derived.x.buckets: expected a whole number, found a float",
        ),
        (
            r#"transform = "bucketize", boundaries = [1, 1]"#,
            "derived.x.boundaries[1]: boundaries must ascend",
        ),
        (
            r#"transform = "bucketize", boundaries = [1], default = 0.5"#,
            "derived.x.default: expected a whole number, found a float",
        ),
        (
            r#"transform = "is_missing", default = 1"#,
            "derived.x.default: unknown key (known here: transform, inputs)",
        ),
        (
            r#"transform = "log1p", base = 2"#,
            "derived.x.base: unknown key (known here: transform, inputs, default)",
        ),
    ] {
        assert_eq!(derived(definition), [problem], "{definition}");
    }
}

#[test]
fn names_and_keys_of_views_are_checked() {
    let all = problems(
        r#"
        entities.id = "int64"
        entities."card id" = "string"
        [views.request]
        entity = []
        features = {}
        [views."a.b"]
        entity = ["id", "id"]
        features.1x = { dtype = "bool", default = true }
        [derived]
        "é" = { transform = "log1p", inputs = ["request.x"] }
        [veiws]
        "#,
    );
    let name = "a name consists of letters, digits and `_`, and starts with no digit";
    let expected = [
        format!("entities.card id: {name}"),
        "views.request: no view may be called `request`: that is what the caller sends".to_owned(),
        "views.request.entity: names no entity".to_owned(),
        "views.request.features: holds no feature".to_owned(),
        format!("views.a.b: {name}"),
        "views.a.b.entity[1]: `id` is named twice".to_owned(),
        format!("views.a.b.features.1x: {name}"),
        format!("derived.é: {name}"),
        "veiws: unknown key (did you mean `views`?)".to_owned(),
    ];
    assert_eq!(all, expected);
}

#[test]
fn text_that_is_not_toml_is_reported_as_such_and_nothing_else() {
    let all = problems("[entities\ncard_id = 'x\n= 3\n");
    assert!(
        all.len() > 1
            && all
                .iter()
                .all(|problem| problem.starts_with("not valid TOML")),
        "{all:?}"
    );
}

#[test]
fn the_fingerprint_is_of_names_and_types_only() {
    let of = |key: &str, key_type: &str, name: &str, dtype: &str, default: &str, ttl: &str| {
        let text = format!(
            "entities.{key} = '{key_type}'\nviews.v = {{ entity = '{key}', ttl = '{ttl}', \
             features = {{ a = {{ dtype = '{dtype}', default = {default} }}, {name} = {{ dtype = 'bool', default = true }} }} }}"
        );
        Catalog::parse(&text).unwrap().views[0].fingerprint
    };
    let source = |name: &str, dtype: &str, default: &str, ttl: &str| {
        of("id", "int64", name, dtype, default, ttl)
    };
    let one = source("b", "int64", "1", "1d");
    assert_eq!(one, source("b", "int64", "2", "2d"));
    assert_ne!(one, source("c", "int64", "1", "1d"));
    assert_ne!(one, source("b", "float64", "1", "1d"));
    assert_ne!(one, of("other", "int64", "b", "int64", "1", "1d"));
    assert_ne!(one, of("id", "string", "b", "int64", "1", "1d"));
    // Stored rows depend on it: a new value would make every one of them missing.
    assert_eq!(one, 0xb5dc_6be7_da4a_0f15);
}

#[test]
fn an_empty_file_defines_nothing() {
    assert_eq!(Catalog::parse("").unwrap().feature_names().count(), 0);
}

/// Text made of what definitions are made of, so that it gets past the first error now and then.
fn text() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "[entities]\n",
        "[views.v]\n",
        "[views.v.features]\n",
        "[derived]\n",
        "entity",
        "ttl",
        "features",
        "dtype",
        "default",
        "transform",
        "inputs",
        "a",
        "v.a",
        "=",
        "=",
        "\"string\"",
        "\"int64\"",
        "\"log1p\"",
        "\"ratio\"",
        "\"request.x\"",
        "\"a\"",
        "\"v.a\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "\n",
        "1",
        "-1.5",
        "nan",
        "true",
        "1979-05-27",
        "'",
        "\"\"\"",
        "é",
        "#",
        ".",
    ]);
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn parsing_never_panics(source in prop_oneof![text(), ".*"]) {
        if let Err(all) = Catalog::parse(&source) {
            prop_assert!(!all.is_empty());
            for problem in all {
                prop_assert!(source.get(problem.span).is_some());
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_view_of_hashes_is_said_at_its_place() {
    let source = r#"
entities = { card_id = "string", store_id = "int64" }

[views.profile]
entity = ["card_id", "store_id"]
hash = "profile:{card_id}:{store_d}"
ttl = "1h"
[views.profile.features]
a = { dtype = "float32", default = 0.0, field = 3 }
b = { dtype = "float32", default = 0.0, field = "" }

[views.open]
entity = "card_id"
hash = "profile:{card_id"
event_time_field = ""
[views.open.features]
a = { dtype = "float32", default = 0.0, feild = "x" }

[views.packed]
entity = "card_id"
event_time_field = "at"
[views.packed.features]
a = { dtype = "float32", default = 0.0, field = "x" }
"#;
    let all = Catalog::parse(source).unwrap_err();
    let found: Vec<(&str, &str)> = all
        .iter()
        .map(|problem| (problem.key.as_str(), &source[problem.span.clone()]))
        .collect();
    assert_eq!(
        found,
        [
            ("views.profile.hash", r#""profile:{card_id}:{store_d}""#),
            ("views.profile.ttl", r#""1h""#),
            ("views.profile.features.a.field", "3"),
            ("views.profile.features.b.field", r#""""#),
            ("views.open.hash", r#""profile:{card_id""#),
            ("views.open.event_time_field", r#""""#),
            ("views.open.features.a.feild", "feild"),
            ("views.packed.event_time_field", "event_time_field"),
            ("views.packed.features.a.field", "field"),
        ]
    );
    assert_eq!(all[0].hint.as_deref(), Some("did you mean `store_id`?"));
}
