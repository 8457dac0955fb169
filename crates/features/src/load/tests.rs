//! Lines that are rows, and lines that are not.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

fn catalog() -> Catalog {
    Catalog::parse(
        r#"
        entities = { card_id = "string", store_id = "int64" }
        [views.card]
        entity = "card_id"
        features.count = { dtype = "int64", default = 0 }
        features.mean = { dtype = "float32", default = 0.0 }
        features.sum = { dtype = "float64", default = 0.0 }
        features.flag = { dtype = "bool", default = false }
        features.name = { dtype = "string", default = "" }
        [views.pair]
        entity = ["store_id", "card_id"]
        features.a = { dtype = "float64", default = 0.0 }
        "#,
    )
    .unwrap()
}

fn error(line: &str) -> String {
    parse_line(&catalog(), line).expect_err(line).to_string()
}

#[test]
fn a_key_that_no_request_can_name_is_refused() {
    let line =
        |key: &str| format!(r#"{{"view":"card","entity":{{"card_id":"{key}"}},"values":{{}}}}"#);
    assert!(parse_line(&catalog(), &line(&"é".repeat(256))).is_ok());
    for key in [String::new(), "k".repeat(257), "k".repeat(100_000)] {
        assert!(error(&line(&key)).contains("a request can name 1 to 256"));
    }
}

#[test]
fn a_line_is_a_typed_row() {
    let line = r#"{"view":"card","entity":{"card_id":"4022"},"event_time":"2019-08-31T10:00:00.5Z",
        "values":{"count":-3,"mean":1.5,"sum":0.1,"flag":true,"name":null}}"#;
    let row = parse_line(&catalog(), line).unwrap();
    assert_eq!(row.view(), "card");
    assert_eq!(
        row.event_time(),
        UNIX_EPOCH + Duration::from_millis(1_567_245_600_500)
    );
    assert_eq!(row.entity, [Value::String("4022".into())]);
    // In the order of the features' names: count, flag, mean, name, sum.
    assert_eq!(
        row.values,
        [
            Some(Value::Int64(-3)),
            Some(Value::Bool(true)),
            Some(Value::Float32(1.5)),
            None,
            Some(Value::Float64(0.1)),
        ]
    );
}

#[test]
fn without_a_time_it_is_now_and_without_a_value_null() {
    let before = SystemTime::now();
    let line = r#"{"view":"pair","entity":{"card_id":"a","store_id":7},"values":{}}"#;
    let row = parse_line(&catalog(), line).unwrap();
    assert!(row.event_time() >= before && row.event_time() <= SystemTime::now());
    assert_eq!(row.entity, [Value::Int64(7), Value::String("a".into())]);
    assert_eq!(row.values, [None]);
}

#[test]
fn whole_numbers_are_floats_too_but_not_the_reverse() {
    let line =
        |values: &str| format!(r#"{{"view":"card","entity":{{"card_id":"a"}},"values":{values}}}"#);
    let row = parse_line(&catalog(), &line(r#"{"mean":3,"sum":3}"#)).unwrap();
    assert_eq!(row.values[2], Some(Value::Float32(3.0)));
    assert_eq!(
        error(&line(r#"{"count":3.0}"#)),
        "`count` is int64, and 3.0 is not one"
    );
    assert_eq!(
        error(&line(r#"{"mean":1e39}"#)),
        "`mean` is float32, and 1e39 is not one"
    );
    assert_eq!(
        error(&line(r#"{"count":9223372036854775808}"#)),
        "`count` is int64, and 9.223372036854776e18 is not one"
    );
    assert_eq!(
        error(&line(r#"{"flag":1}"#)),
        "`flag` is bool, and 1 is not one"
    );
    assert!(error(&line(r#"{"sum":1e999}"#)).contains("out of range"));
}

#[test]
fn what_does_not_fit_is_said_in_a_sentence() {
    for (line, said) in [
        (
            r#"{"view":"crad","entity":{},"values":{}}"#,
            "there is no view `crad` (did you mean `card`?)",
        ),
        (
            r#"{"view":"card","entity":{},"values":{}}"#,
            "a row of view `card` needs the entity `card_id`",
        ),
        (
            r#"{"view":"card","entity":{"card_id":"a","store":1},"values":{}}"#,
            "there is no entity of view `card` `store`",
        ),
        (
            r#"{"view":"card","entity":{"card_id":4022},"values":{}}"#,
            "`card_id` is string, and 4022 is not one",
        ),
        (
            r#"{"view":"card","entity":{"card_id":"a"},"values":{"cuont":1}}"#,
            "there is no feature of view `card` `cuont` (did you mean `count`?)",
        ),
    ] {
        assert_eq!(error(line), said);
    }
    assert!(
        error(r#"{"view":"card","entity":{"card_id":"a"},"values":{},"event_time":"yesterday"}"#)
            .starts_with("event_time \"yesterday\" is not a time such as")
    );
    assert!(error(r#"{"view":"card","entiy":{}}"#).contains("unknown field `entiy`"));
    assert!(error("").contains("EOF"));
    let deep = format!(
        r#"{{"view":"card","entity":{{}},"values":{{"a":{}"#,
        "[".repeat(100_000)
    );
    assert!(error(&deep).contains("recursion limit"));
}

#[test]
fn a_list_is_an_array_of_its_type_however_long() {
    let catalog = Catalog::parse(
        r#"
        entities.id = "int64"
        [views.v]
        entity = "id"
        features.ids = { dtype = "int64[3]", default = 0 }
        features.words = { dtype = "string[1]", default = "" }
        "#,
    )
    .unwrap();
    let parse = |values: &str| {
        let line = format!(r#"{{"view":"v","entity":{{"id":1}},"values":{values}}}"#);
        parse_line(&catalog, &line).map_err(|error| error.to_string())
    };
    let row = parse(r#"{"ids":[5,-6],"words":["a","b"]}"#).unwrap();
    let ids = Value::List([5, -6].map(Value::Int64).into());
    let words = Value::List(["a", "b"].map(|text| Value::String(text.into())).into());
    assert_eq!(row.values, [Some(ids), Some(words)]);
    let row = parse(r#"{"ids":[],"words":null}"#).unwrap();
    assert_eq!(row.values, [Some(Value::List([].into())), None]);

    let error = |values: &str| parse(values).unwrap_err();
    assert_eq!(
        error(r#"{"ids":[1,null]}"#),
        "`ids[1]` is int64, and null is not one"
    );
    assert_eq!(error(r#"{"ids":7}"#), "`ids` is int64[3], and 7 is not one");
    assert_eq!(
        error(r#"{"words":[["a"]]}"#),
        "`words[0]` is string, and a list of 1 is not one"
    );
    let long = vec!["1"; 4097].join(",");
    assert_eq!(
        error(&format!(r#"{{"ids":[{long}]}}"#)),
        "`ids` has 4097 elements, and a list holds at most 4096"
    );
}

fn flat(fields: &[(&str, Given<'static>)]) -> Result<Row, String> {
    let view = FlatView::of(&catalog(), "card").unwrap();
    let fields = fields.iter().map(|(name, given)| (*name, given.clone()));
    view.row(fields).map_err(|error| error.to_string())
}

#[test]
fn a_flat_row_is_the_same_as_a_nested_one() {
    let untyped = |text: &'static str| Given::Untyped(text.into());
    let line = r#"{"view":"card","entity":{"card_id":"4022"},"event_time":"2019-08-31T10:00:00.5Z",
        "values":{"count":-3,"mean":1.5,"sum":0.1,"flag":true}}"#;
    let nested = parse_line(&catalog(), line).unwrap();
    for (id, time) in [
        (
            Given::Text("4022".into()),
            Given::Time(1_567_245_600_500_000),
        ),
        (
            untyped("4022"),
            Given::Text("2019-08-31T10:00:00.5Z".into()),
        ),
        (untyped("4022"), untyped("1567245600.5")),
        (untyped("4022"), Given::Float(1_567_245_600.5)),
    ] {
        let row = flat(&[
            ("mean", untyped("1.5")),
            (EVENT_TIME, time),
            ("count", Given::Int(-3)),
            ("name", Given::Null),
            ("sum", Given::Float(0.1)),
            ("flag", untyped("true")),
            ("card_id", id),
        ]);
        assert_eq!(row.unwrap(), nested);
    }
}

#[test]
fn a_flat_row_that_does_not_fit_is_refused() {
    let id = || ("card_id", Given::Text("a".into()));
    for (fields, said) in [
        (
            vec![id(), ("cuont", Given::Int(1))],
            "there is no entity or feature of view `card` `cuont` (did you mean `count`?)",
        ),
        (vec![], "a row of view `card` needs the entity `card_id`"),
        (
            vec![("card_id", Given::Null)],
            "a row of view `card` needs the entity `card_id`",
        ),
        (
            vec![("card_id", Given::Int(7))],
            "`card_id` is string, and 7 is not one",
        ),
        (
            vec![id(), (EVENT_TIME, Given::Int(1_567_245_600_000))],
            "event_time is a time, or a number of Unix seconds before 2100, and 1567245600000 is neither",
        ),
        (
            vec![id(), (EVENT_TIME, Given::Float(f64::NAN))],
            "event_time is a time, or a number of Unix seconds before 2100, and NaN is neither",
        ),
        (
            vec![id(), ("name", Given::Other("an object"))],
            "`name` is string, and an object is not one",
        ),
    ] {
        assert_eq!(flat(&fields).unwrap_err(), said);
    }
    let view = FlatView::of(&catalog(), "card").unwrap();
    let check = |names: &[&str]| view.check(names.iter().copied()).map_err(|e| e.to_string());
    assert_eq!(check(&["card_id", "count", EVENT_TIME]), Ok(()));
    assert!(
        check(&["card_id", "cuont"])
            .unwrap_err()
            .contains("did you mean `count`?")
    );
    assert!(
        check(&["count"])
            .unwrap_err()
            .contains("needs the entity `card_id`")
    );
    let error = FlatView::of(&catalog(), "crad").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no view `crad` (did you mean `card`?)"
    );
}

proptest! {
    #[test]
    fn no_line_panics(line in prop_oneof![
        ".*",
        r#"\{"view":"(card|pair)","entity":\{"(card_id|store_id)":("a"|1|null)\},"event_time":"[0-9TZ:.+-]{0,24}","values":\{"(count|mean|name)":(1|-2.5|1e400|"x"|null|\[\])\}\}"#,
    ]) {
        let _ = parse_line(&catalog(), &line);
    }
}
