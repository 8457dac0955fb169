//! Which columns a plan has, and why one cannot be made.

use super::*;
use crate::schema::{EntityField, InputField};

const FEATURES: &str = r#"
entities = { card_id = "string", store_id = "int64" }
[views.card]
entity = "card_id"
features.a = { dtype = "float32", default = 0.0 }
features.b = { dtype = "string", default = "" }
[views.pair]
entity = ["card_id", "store_id"]
features.a = { dtype = "float64", default = 0.0 }
[derived]
twice = { transform = "log1p", inputs = ["once"] }
once = { transform = "difference", inputs = ["request.amount", "card.a"] }
place = { transform = "index", inputs = ["request.currency"], vocabulary = ["EUR"] }
wrong = { transform = "log1p", inputs = ["request.currency"] }
"#;

fn schema(entities: &[(&str, Dtype)]) -> RequestSchema {
    let entities = entities.iter();
    let input = |name: &str, dtype| InputField {
        name: name.to_owned(),
        dtype,
        required: true,
        default: None,
    };
    RequestSchema {
        entities: entities
            .map(|(name, dtype)| EntityField {
                name: (*name).to_owned(),
                dtype: *dtype,
            })
            .collect(),
        inputs: vec![
            input("amount", Dtype::Float64),
            input("currency", Dtype::String),
        ],
    }
}

fn compile(entities: &[(&str, Dtype)], features: &[&str]) -> Result<Plan, Vec<PlanError>> {
    Plan::compile(
        &Catalog::parse(FEATURES).unwrap(),
        &schema(entities),
        features,
    )
}

const CARD: (&str, Dtype) = ("card_id", Dtype::String);

#[test]
fn only_what_is_used_is_assembled_and_inputs_come_first() {
    let plan = compile(&[CARD], &["twice", "twice", "request.amount"]).unwrap();
    let features: Vec<&str> = plan.features().collect();
    assert_eq!(features, ["request.amount", "card.a", "once", "twice"]);
    assert_eq!(plan.layout.views.len(), 1);
    assert_eq!(plan.dtype(plan.column("twice").unwrap()), Dtype::Float64);
    assert_eq!(plan.column("card.b"), None);
}

#[test]
fn what_cannot_be_assembled_is_said_in_sentences_all_at_once() {
    let errors = compile(
        &[CARD],
        &[
            "card.aa",
            "pair.a",
            "wrong",
            "request.amuont",
            "plcae",
            "twice",
        ],
    )
    .unwrap_err();
    let said: Vec<(&str, String, Option<&str>)> = errors
        .iter()
        .map(|error| (error.feature(), error.to_string(), error.hint()))
        .collect();
    let expected = [
        (
            "card.aa",
            "there is no feature `card.aa`",
            Some("did you mean `card.a`?"),
        ),
        (
            "pair.a",
            "view `pair` is keyed by `store_id`, which is not among this decision's entities",
            None,
        ),
        (
            "wrong",
            "derived feature `wrong` cannot be computed: log1p takes a number (bool, int64, float32 or float64), and `request.currency` is string",
            None,
        ),
        (
            "request.amuont",
            "the request has no input `amuont`",
            Some("did you mean `amount`?"),
        ),
        (
            "plcae",
            "there is no feature `plcae`",
            Some("did you mean `place`?"),
        ),
    ];
    assert_eq!(
        said,
        expected.map(|(feature, message, hint)| (feature, message.to_owned(), hint))
    );
}

#[test]
fn an_entity_of_another_type_is_an_error() {
    let errors = compile(&[("card_id", Dtype::Int64)], &["card.a", "card.b"]).unwrap_err();
    assert_eq!(errors.len(), 1, "once for the view: {errors:?}");
    assert_eq!(
        errors[0].to_string(),
        "view `card` is keyed by `card_id` as string, and this decision declares it as int64"
    );
}

#[test]
fn a_request_that_lacks_what_a_derived_feature_needs_is_named_with_it() {
    let mut schema = schema(&[CARD]);
    schema.inputs.clear();
    let catalog = Catalog::parse(FEATURES).unwrap();
    let errors = Plan::compile(&catalog, &schema, &["twice"]).unwrap_err();
    let said: Vec<String> = errors.iter().map(PlanError::to_string).collect();
    assert_eq!(
        said,
        ["the request has no input `amount`, which `twice` needs"]
    );
}

#[test]
fn the_entities_of_a_key_are_in_the_order_of_the_view() {
    let plan = compile(&[("store_id", Dtype::Int64), CARD], &["pair.a"]).unwrap();
    assert_eq!(plan.layout.views[0].entities, [1, 0]);
}

#[test]
fn a_plan_reads_a_view_that_any_of_its_features_needs() {
    let reads = |features: &[&str], view: &str| {
        let entities = [CARD, ("store_id", Dtype::Int64)];
        compile(&entities, features).unwrap().reads_view(view)
    };
    assert!(reads(&["card.b"], "card"));
    assert!(reads(&["twice"], "card"), "through two derived features");
    assert!(!reads(&["twice", "place"], "pair"));
    assert!(!reads(&["request.amount"], "card"));
    assert!(!reads(&["card.a"], "no such view"));
    assert!(reads(&["pair.a", "card.a"], "pair"));
}

#[test]
fn a_long_chain_of_derived_features_is_compiled_without_recursion() {
    let mut text =
        "[derived]\nd0 = { transform = \"log1p\", inputs = [\"request.amount\"] }\n".to_owned();
    for i in 1..5000 {
        text += &format!(
            "d{i} = {{ transform = \"log1p\", inputs = [\"d{}\"] }}\n",
            i - 1
        );
    }
    let plan = Plan::compile(&Catalog::parse(&text).unwrap(), &schema(&[]), &["d4999"]).unwrap();
    assert_eq!(plan.features().count(), 5001);
}

#[test]
fn the_default_of_an_input_is_finite_and_of_its_type() {
    for default in [
        Value::Float64(f64::NAN),
        Value::Float32(1.0),
        Value::String("1".into()),
    ] {
        let mut schema = schema(&[CARD]);
        schema.inputs[0].default = Some(default);
        let catalog = Catalog::parse(FEATURES).unwrap();
        let errors = Plan::compile(&catalog, &schema, &["request.amount"]).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "the default of input `amount` is not a finite float64"
        );
    }
}
