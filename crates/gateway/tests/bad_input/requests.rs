//! Questions in JSON that are wrong: text that is none, and fields that do not fit the decision.

use serde_json::{Value, json};

use crate::{
    problem::assert_problem,
    support::{files, gateway::Setup},
};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// The example payment with one place replaced; a `Null` takes it away.
fn with(pointer: &str, value: Value) -> String {
    let mut payment = files::payment();
    let (place, name) = pointer.rsplit_once('/').unwrap();
    let object = payment.pointer_mut(place).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => object.remove(name),
        value => object.insert(name.to_owned(), value),
    };
    payment.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_no_question_says_where() {
    let mut gateway = Setup::new().start().await;
    let deep = format!("{{\"decision\":\"fraud\",\"inputs\":{}", "[".repeat(60_000));
    let objects = format!(
        "{{\"decision\":\"fraud\",\"inputs\":{{\"amount\":{}",
        "{\"a\":".repeat(10_000)
    );
    let nested = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let many: String = (0..1000).map(|i| format!("\"k{i}\":1,")).collect();
    let many = format!("{{\"decision\":\"fraud\",\"inputs\":{{{many}\"k\":1}}}}");
    let payment = files::payment().to_string();
    let cases: &[(&str, Vec<u8>, &[&str])] = &[
        ("empty", "".into(), &["the body is empty"]),
        ("blank", " \n ".into(), &["line 2 column 1"]),
        (
            "cut short",
            payment[..payment.len() - 1].into(),
            &["EOF", "line 1 column"],
        ),
        (
            "a comma too many",
            "{\"decision\":\"fraud\",\n}".into(),
            &["line 2 column 1"],
        ),
        (
            "no value",
            "{\"decision\":\"fraud\",\n \"inputs\":{\"amount\":}}".into(),
            &["line 2 column"],
        ),
        (
            "single quotes",
            "{'decision':'fraud'}".into(),
            &["line 1 column 2"],
        ),
        (
            "more after the end",
            format!("{payment} x").into(),
            &["trailing characters"],
        ),
        (
            "two questions",
            format!("{payment}{payment}").into(),
            &["trailing characters"],
        ),
        (
            "an array",
            "[]".into(),
            &["a JSON array", "expected one object"],
        ),
        ("null", "null".into(), &["line 1"]),
        ("a string", "\"fraud\"".into(), &["line 1"]),
        ("100,000 deep, arrays", deep.into(), &["line 1 column"]),
        ("100,000 deep, objects", objects.into(), &["line 1 column"]),
        ("deep from the start", nested.into(), &["a JSON array"]),
        ("1,001 inputs", many.into(), &["more than 512 names"]),
        (
            "a name twice",
            "{\"decision\":\"fraud\",\"inputs\":{\"amount\":1,\"amount\":2}}".into(),
            &["`amount` is given twice"],
        ),
        (
            "a field twice",
            "{\"decision\":\"fraud\",\"decision\":\"credit\"}".into(),
            &["duplicate field `decision`"],
        ),
        (
            "invalid UTF-8",
            b"{\"decision\":\"\xff\xfe\"}".into(),
            &["line 1 column"],
        ),
        (
            "half a surrogate",
            "{\"decision\":\"\\ud800\"}".into(),
            &["line 1 column"],
        ),
        (
            "a control character",
            b"{\"decision\":\"a\x01\"}".into(),
            &["line 1 column"],
        ),
        (
            "a byte order mark",
            b"\xef\xbb\xbf{}".into(),
            &["byte order mark", "EF BB BF"],
        ),
        ("UTF-16", b"\xff\xfe{\x00}\x00".into(), &["line 1 column 1"]),
        (
            "NaN",
            with("/inputs/amount", json!("X"))
                .replace("\"X\"", "NaN")
                .into(),
            &["line 1 column"],
        ),
        (
            "infinity",
            with("/inputs/amount", json!("X"))
                .replace("\"X\"", "Infinity")
                .into(),
            &["line 1 column"],
        ),
        (
            "1e999",
            with("/inputs/amount", json!("X"))
                .replace("\"X\"", "1e999")
                .into(),
            &["number out of range"],
        ),
        (
            "hexadecimal",
            with("/inputs/amount", json!("X"))
                .replace("\"X\"", "0x10")
                .into(),
            &["line 1 column"],
        ),
        ("bytes of zero", vec![0; 100], &["line 1 column 1"]),
        (
            "an unknown field",
            with("/budgetms", json!(5)).into(),
            &["unknown field `budgetms`", "line 1 column"],
        ),
        (
            "no decision",
            with("/decision", Value::Null).into(),
            &["missing field `decision`"],
        ),
        (
            "a decision of the wrong type",
            with("/decision", json!(5)).into(),
            &["line 1 column"],
        ),
        (
            "entities of the wrong type",
            with("/entities", json!([])).into(),
            &["an object of names and values"],
        ),
        (
            "inputs of the wrong type",
            with("/inputs", json!("x")).into(),
            &["an object of names and values"],
        ),
        (
            "a budget of the wrong type",
            with("/budget_ms", json!("50")).into(),
            &["line 1 column"],
        ),
        (
            "an id of the wrong type",
            with("/id", json!(7)).into(),
            &["line 1 column"],
        ),
        (
            "an input that is an object",
            with("/inputs/amount", json!({})).into(),
            &["text, a number, true or false"],
        ),
    ];
    for (case, body, words) in cases {
        let answer = gateway.post(&JSON, body.clone()).await;
        assert_problem(case, &answer, 400, "invalid_request", words);
    }
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_does_not_fit_its_decision_names_every_field() {
    let mut gateway = Setup::new().start().await;
    let long = |n: usize| json!("x".repeat(n));
    let cases: &[(&str, String, &[&str])] = &[
        (
            "amount is text",
            with("/inputs/amount", json!("129.9")),
            &["inputs.amount", "is text, expected a number"],
        ),
        (
            "amount is a flag",
            with("/inputs/amount", json!(true)),
            &["inputs.amount", "expected a number"],
        ),
        (
            "no amount",
            with("/inputs/amount", Value::Null),
            &["inputs.amount", "is missing, expected a number"],
        ),
        (
            "amount too large",
            with("/inputs/amount", json!(1e39)),
            &["inputs.amount", "at most 3.4"],
        ),
        (
            "amount hugely negative",
            with("/inputs/amount", json!(-1e300)),
            &["inputs.amount", "at most 3.4"],
        ),
        (
            "currency is a number",
            with("/inputs/currency", json!(978)),
            &["inputs.currency", "expected text"],
        ),
        (
            "currency is endless",
            with("/inputs/currency", long(5000)),
            &["inputs.currency", "5000 characters", "at most 4096"],
        ),
        (
            "present is text",
            with("/inputs/customer_present", json!("yes")),
            &["inputs.customer_present", "true or false"],
        ),
        (
            "timestamp has a fraction",
            with("/inputs/timestamp", json!(1.5)),
            &["inputs.timestamp", "a whole number"],
        ),
        (
            "timestamp is huge",
            with("/inputs/timestamp", json!(1e19)),
            &["inputs.timestamp", "a whole number"],
        ),
        (
            "an unknown input",
            with("/inputs/amuont", json!(1)),
            &["inputs.amuont", "did you mean `amount`?"],
        ),
        (
            "an empty name",
            with("/inputs/", json!(1)),
            &["is not known to this decision"],
        ),
        (
            "an endless name",
            with(&format!("/inputs/{}", "n".repeat(20_000)), json!(1)),
            &["is not known to this decision"],
        ),
        (
            "no card",
            with("/entities/card_id", Value::Null),
            &["entities.card_id", "is missing"],
        ),
        (
            "no entities",
            with("/entities", Value::Null),
            &["entities.card_id", "entities.store_id"],
        ),
        (
            "no inputs",
            with("/inputs", Value::Null),
            &["inputs.amount", "inputs.currency"],
        ),
        (
            "an unknown entity",
            with("/entities/card", json!("1")),
            &["entities.card", "is not known"],
        ),
        (
            "an empty key",
            with("/entities/card_id", json!("")),
            &["entities.card_id", "is empty, expected a key"],
        ),
        (
            "a key of 257 characters",
            with("/entities/card_id", long(257)),
            &["entities.card_id", "257 characters", "at most 256"],
        ),
        (
            "a key that is a number",
            with("/entities/card_id", json!(4022)),
            &["entities.card_id", "expected text"],
        ),
        (
            "an id of 129 characters",
            with("/id", long(129)),
            &["id", "129 characters", "at most 128"],
        ),
        (
            "a budget of zero",
            with("/budget_ms", json!(0)),
            &["budget_ms", "0 is not a budget"],
        ),
        (
            "a negative budget",
            with("/budget_ms", json!(-50)),
            &["budget_ms", "-50 is not a budget"],
        ),
        (
            "an absurd budget",
            with("/budget_ms", json!(1e12)),
            &["budget_ms", "at most 600000"],
        ),
        (
            "a budget a little too large",
            with("/budget_ms", json!(600_001)),
            &["budget_ms", "at most 600000"],
        ),
    ];
    for (case, body, words) in cases {
        let answer = gateway.post(&JSON, body.clone()).await;
        assert_problem(case, &answer, 400, "invalid_request", words);
    }
    // What is unusual and right is answered.
    for (case, body) in [
        ("an empty id", with("/id", json!(""))),
        ("no id", with("/id", Value::Null)),
        (
            "a key with everything in it",
            with("/entities/card_id", json!("ü\u{0}\n:{}*?🂡")),
        ),
        ("a key of 256 bytes", with("/entities/card_id", long(256))),
        ("a whole amount", with("/inputs/amount", json!(130))),
        (
            "a timestamp written as 1.0",
            with("/inputs/timestamp", json!(1_565_176_761.0)),
        ),
        ("no timestamp", with("/inputs/timestamp", Value::Null)),
        (
            "a timestamp before 1970",
            with("/inputs/timestamp", json!(-1)),
        ),
        (
            "the least timestamp",
            with("/inputs/timestamp", json!(i64::MIN)),
        ),
        (
            "the greatest timestamp",
            with("/inputs/timestamp", json!(i64::MAX)),
        ),
        ("the greatest amount", with("/inputs/amount", json!(3.4e38))),
        ("the least amount", with("/inputs/amount", json!(-3.4e38))),
        ("an unknown currency", with("/inputs/currency", json!("🂡"))),
        ("no budget", with("/budget_ms", Value::Null)),
        ("the least budget", with("/budget_ms", json!(5e-324))),
        ("the greatest budget", with("/budget_ms", json!(600_000))),
    ] {
        let answer = gateway.post(&JSON, body).await;
        assert_eq!(answer.status, 200, "{case}: {answer:?}");
        let score = answer.json()["scores"]["fraud"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score), "{case}: {score}");
    }
    gateway.assert_well().await;
}
