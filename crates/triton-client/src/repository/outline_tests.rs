//! Every field of every real configuration is found, and no text at all makes it panic.

use std::path::Path;

use proptest::prelude::*;

use super::*;

const TEXT: &str = r#"# input: "not this one"
name: "m"  # nor: "this"
input [ { name: "a" dims: [ 1, -1 ] }, < name: 'b' dims: 3; dims: 4, > ]
input { dims: 5 }
output: [ { data_type: TYPE_FP32 } ]
dynamic_batching { default_queue_policy { max_queue_size: 8 } }
parameters { key: "gavel.features.x" value { string_value: "a," "b # no comment"
  "c" } }
parameters { key: "quo\"te" value: { string_value: "}" } }
instance_group [ ]
"#;

#[track_caller]
fn at(path: &str, shown: &str) {
    let span = Outline::of(TEXT).span(path);
    let span = span.unwrap_or_else(|| panic!("{path} is not found"));
    assert_eq!(&TEXT[span], shown, "{path}");
}

#[test]
fn fields_are_found_by_their_paths() {
    at("name", "name: \"m\"");
    at("input", "input");
    at("input[0]", "name: \"a\"");
    at("input[0].dims", "dims: [ 1, -1 ]");
    at("input[0].dims[1]", "-1");
    at("input[1].name", "name: 'b'");
    at("input[1].dims[1]", "dims: 4");
    at("input[2]", "input");
    at("input[2].dims", "dims: 5");
    at("output[0]", "{");
    at(
        "dynamic_batching.default_queue_policy",
        "default_queue_policy",
    );
    at(
        "dynamic_batching.default_queue_policy.max_queue_size",
        "max_queue_size: 8",
    );
    at(
        "parameters[\"gavel.features.x\"]",
        "key: \"gavel.features.x\"",
    );
    at(
        "parameters[\"gavel.features.x\"].value.string_value",
        "string_value: \"a,\" \"b # no comment\"\n  \"c\"",
    );
    at(
        "parameters[\"quo\"te\"].value.string_value",
        "string_value: \"}\"",
    );
    at("instance_group", "instance_group [ ]");
}

#[test]
fn what_is_missing_is_shown_where_it_should_be() {
    at("input[0].data_type", "name: \"a\"");
    at(
        "dynamic_batching.preferred_batch_size[2]",
        "dynamic_batching",
    );
    let outline = Outline::of(TEXT);
    assert_eq!(outline.span("platform"), None);
    assert_eq!(outline.span("input[3].dims"), None);
    assert!(outline.has("input[1].dims") && !outline.has("input[0].data_type"));
}

#[test]
fn the_field_around_a_place_has_a_path_that_finds_it() {
    let outline = Outline::of(TEXT);
    for (word, path) in [
        ("TYPE_FP32", "output[0].data_type"),
        (
            "max_queue_size",
            "dynamic_batching.default_queue_policy.max_queue_size",
        ),
        ("'b'", "input[1].name"),
        ("\"m\"", "name"),
    ] {
        let start = TEXT.find(word).unwrap();
        let (found, whole) = outline.around(&(start..start + 1)).unwrap();
        assert_eq!(found, path);
        assert!(whole.contains(&start) && outline.span(&found).unwrap().end >= start);
    }
    assert_eq!(outline.around(&(0..1)), None);
}

/// Paths of all fields, and the bytes that they should show.
fn walk(fields: &[Field], parent: &str, all: &mut Vec<(String, Range<usize>)>) {
    let mut seen: std::collections::BTreeMap<&str, usize> = Default::default();
    for field in fields {
        for node in field.nodes() {
            let index = seen.entry(&field.name).or_default();
            let path = format!("{parent}{}[{index}]", field.name);
            *index += 1;
            all.push((path.clone(), node.shown()));
            if let Value::Message(inner) = node.value {
                walk(inner, &format!("{path}."), all);
            }
        }
    }
}

#[test]
fn every_field_of_every_real_configuration_is_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../model_repository");
    let mut count = 0;
    for model in std::fs::read_dir(root).unwrap() {
        let model = model.unwrap().path();
        let variants = std::fs::read_dir(model.join("configs"))
            .into_iter()
            .flatten();
        let files = variants.map(|entry| entry.unwrap().path());
        for file in files.chain([model.join("config.pbtxt")]) {
            let text = std::fs::read_to_string(&file).unwrap();
            let outline = Outline::of(&text);
            let mut all = Vec::new();
            walk(&outline.fields, "", &mut all);
            for (path, shown) in &all {
                assert_eq!(outline.span(path).as_ref(), Some(shown), "{path}");
                assert!(text.get(shown.clone()).is_some_and(|text| !text.is_empty()));
            }
            // Every name that a colon follows is a field that was walked past.
            let words = |line: &str| line.split('#').next().unwrap_or("").matches(": ").count();
            assert!(
                all.len() >= text.lines().map(words).sum::<usize>(),
                "{}",
                file.display()
            );
            count += all.len();
        }
    }
    assert!(count > 100, "{count}");
}

proptest! {
    #[test]
    fn never_panics_and_spans_lie_in_the_text(text in "\\PC*", path in "[a-z\\[\\]\"0-9.]{0,20}") {
        let outline = Outline::of(&text);
        if let Some(span) = outline.span(&path) {
            prop_assert!(text.get(span).is_some());
        }
    }

    #[test]
    fn never_panics_on_nearly_right_text(
        text in "([a-z_]{1,4}|[\\[\\]{}<>:,;#\"'\\\\\n -]|[0-9.e+]{1,3}|é){0,60}",
        at in 0_usize..200,
    ) {
        let outline = Outline::of(&text);
        let mut all = Vec::new();
        walk(&outline.fields, "", &mut all);
        for (path, shown) in all {
            prop_assert!(text.get(shown.clone()).is_some());
            prop_assert_eq!(outline.span(&path), Some(shown));
        }
        if let Some((_, whole)) = outline.around(&(at..at + 1)) {
            prop_assert!(text.get(whole).is_some());
        }
    }

    #[test]
    fn deep_nesting_is_passed_over(depth in 1_usize..5_000) {
        let text = format!("{} {}", "a {".repeat(depth), "b: [".repeat(depth));
        let _ = Outline::of(&text).span("a.a.a.b");
    }
}
