//! What a decision table answers.

use std::{path::Path, time::SystemTime};

use features::{
    Catalog, Dtype, EntityField, FeatureRow, InputField, Plan, RequestRow, RequestSchema, Store,
    Value,
};
use tokio::time::Instant;

use super::rules::RulesTier;
use crate::{decision::rules::RuleTable, diagnostic::Report};

const FEATURES: &str = r#"
[entities]
user_id = "string"
[views.user]
entity = "user_id"
ttl = "1d"
[views.user.features]
visits = { dtype = "int64", default = 3 }
last = { dtype = "int64[2]", default = 0 }
"#;

fn plan() -> Plan {
    let input = |name: &str, dtype| InputField {
        name: name.into(),
        dtype,
        required: false,
        default: None,
    };
    let schema = RequestSchema {
        entities: vec![EntityField {
            name: "user_id".into(),
            dtype: Dtype::String,
        }],
        inputs: vec![
            input("amount", Dtype::Float64),
            input("currency", Dtype::String),
            input("present", Dtype::Bool),
        ],
    };
    let names = [
        "request.amount",
        "request.currency",
        "request.present",
        "user.visits",
        "user.last",
    ];
    Plan::compile(&Catalog::parse(FEATURES).unwrap(), &schema, &names).unwrap()
}

async fn row(plan: &Plan, amount: f64, currency: &str, present: Option<bool>) -> FeatureRow {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
    let request = RequestRow {
        entities: vec![Value::String("nobody".into())],
        inputs: vec![
            Some(Value::Float64(amount)),
            Some(Value::String(currency.into())),
            present.map(Value::Bool),
        ],
    };
    plan.assemble(&store, &request, SystemTime::now(), Instant::now())
        .await
}

fn table(when: &str) -> RuleTable {
    let source = format!(
        "[[rules]]\nreason = 'hit'\nwhen = {{ {when} }}\nscores = {{ risk = 1 }}\n\
         [[rules]]\nreason = 'otherwise'\nscores = {{ risk = 0 }}\n"
    );
    let mut report = Report::default();
    let table = crate::decision::rules::parse_text(Path::new("t.rules.toml"), &source, &mut report);
    table.unwrap_or_else(|| panic!("{when}: {}", report.render(false)))
}

#[tokio::test]
async fn the_first_row_that_holds_answers() {
    let plan = plan();
    let row = row(&plan, 100.0, "EUR", Some(false)).await;
    for (when, hit) in [
        ("'request.amount' = { gt = 99.9 }", true),
        ("'request.amount' = { gt = 100.0 }", false),
        ("'request.amount' = { gte = 100 }", true),
        ("'request.amount' = { lt = 100 }", false),
        ("'request.amount' = { lte = 100 }", true),
        ("'request.amount' = { gt = 50, lt = 150 }", true),
        ("'request.amount' = { eq = 100 }", true),
        ("'request.amount' = { ne = 100 }", false),
        ("'request.amount' = { in = [1, 100] }", true),
        ("'request.currency' = { eq = 'EUR' }", true),
        ("'request.currency' = { ne = 'EUR' }", false),
        ("'request.currency' = { in = ['USD', 'eur'] }", false),
        ("'request.present' = { eq = false }", true),
        ("'request.present' = { missing = false }", true),
        ("'user.visits' = { missing = true }", true),
        ("'user.visits' = { missing = false }", false),
        ("'user.visits' = { eq = 3 }", true), // its default
        ("'user.last' = { missing = true }", true),
        (
            "'request.amount' = { gt = 1 }, 'request.currency' = { eq = 'USD' }",
            false,
        ),
    ] {
        let tier = RulesTier::bind("rules".into(), &table(when), &plan).unwrap();
        let scored = tier.run(&row);
        assert_eq!(scored.scores, [f64::from(u8::from(hit))], "{when}");
        assert_eq!(
            scored.reason.as_deref(),
            Some(if hit { "hit" } else { "otherwise" })
        );
    }
}

#[test]
fn a_test_of_another_type_is_refused() {
    let plan = plan();
    for (when, expected) in [
        (
            "'request.currency' = { gt = 1 }",
            "is string, but it is compared with a number",
        ),
        (
            "'request.amount' = { eq = 'much' }",
            "is float64, but it is compared with text",
        ),
        (
            "'request.present' = { eq = 1 }",
            "is bool, but it is compared with a number",
        ),
        (
            "'user.last' = { lt = 1 }",
            "is int64[2], but it is compared with a number",
        ),
        (
            "'user.last' = { in = [0, 1] }",
            "is int64[2], but it is compared with values of another type",
        ),
        ("'nothing' = { missing = true }", "is not a feature"),
    ] {
        let wrong = RulesTier::bind("rules".into(), &table(when), &plan).unwrap_err();
        assert_eq!(wrong.len(), 1, "{when}");
        assert!(
            wrong[0].1.message.contains(expected),
            "{when}: {}",
            wrong[0].1.message
        );
    }
}

#[tokio::test]
async fn an_input_that_nobody_gave_compares_with_nothing() {
    let plan = plan();
    let row = row(&plan, 100.0, "EUR", None).await;
    for (when, hit) in [
        ("'request.present' = { eq = false }", false),
        ("'request.present' = { ne = true }", false),
        ("'request.present' = { missing = true }", true),
    ] {
        let tier = RulesTier::bind("rules".into(), &table(when), &plan).unwrap();
        assert_eq!(tier.run(&row).scores, [f64::from(u8::from(hit))], "{when}");
    }
}
