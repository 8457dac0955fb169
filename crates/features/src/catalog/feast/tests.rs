//! What features.toml says of a Feast repository, which is made here, field by field.

use std::time::Duration;

use prost::Message;

use crate::catalog::Catalog;
use crate::feast::testing;
use crate::plan::Plan;
use crate::schema::{EntityField, RequestSchema};
use crate::value::{Dtype, Scalar, Value};

fn folder() -> tempfile::TempDir {
    let registry = testing::registry(&[
        (
            "user",
            &[("user_id", 2)],
            &[
                ("age", 3, 0),
                ("embedding", 16, 0),
                ("last5", 14, 5),
                ("tags", 23, 0),
                ("at", 8, 0),
            ],
        ),
        (
            "drivers",
            &[("driver_id", 4)],
            &[("rate", 6, 0), ("with blank", 6, 0)],
        ),
        ("dotted.name", &[("driver_id", 4)], &[("rate", 6, 0)]),
        ("request", &[("driver_id", 4)], &[("rate", 6, 0)]),
    ]);
    testing::repository(&registry.encode_to_vec())
}

fn parse(toml: &str) -> Result<Catalog, Vec<String>> {
    let folder = folder();
    Catalog::parse_in(folder.path(), toml)
        .map_err(|all| all.iter().map(ToString::to_string).collect())
}

const FEAST: &str = "[feast]\nfeature_store = \"feature_store.yaml\"\n";

#[test]
fn feasts_views_are_views_with_gavels_types_and_defaults() {
    let catalog = parse(&format!(
        "{FEAST}
        [feast.defaults]
        \"drivers.rate\" = 0.5
        \"user.last5\" = -1
        [feast.lengths]
        \"user.embedding\" = 2
        [derived]
        age_log = {{ transform = \"log1p\", inputs = [\"user.age\"] }}
        "
    ))
    .unwrap();
    let named = |view: &str, feature: &str| {
        let view = catalog.view(view).unwrap();
        let feature = &view.features[view.feature(feature).unwrap()];
        (feature.dtype, feature.default.clone())
    };
    assert_eq!(named("user", "age"), (Dtype::Int64, Value::Int64(0)));
    assert_eq!(named("user", "at"), (Dtype::Int64, Value::Int64(0)));
    assert_eq!(
        named("drivers", "rate"),
        (Dtype::Float32, Value::Float32(0.5))
    );
    let list = |of, length| Dtype::List { of, length };
    let filled = vec![Value::Int64(-1); 5];
    assert_eq!(
        named("user", "last5"),
        (list(Scalar::Int64, 5), Value::List(filled.into()))
    );
    let zeros = vec![Value::Float32(0.0); 2];
    assert_eq!(
        named("user", "embedding"),
        (list(Scalar::Float32, 2), Value::List(zeros.into()))
    );
    assert_eq!(
        catalog.view("user").unwrap().entities,
        [("user_id".into(), Dtype::String)]
    );
    assert_eq!(catalog.feast_store_url(), Some("redis://localhost:6379"));
}

#[test]
fn what_models_cannot_use_is_refused_where_it_is_named() {
    let catalog = parse(FEAST).unwrap();
    let entity = |name: &str, dtype| EntityField {
        name: name.to_owned(),
        dtype,
    };
    let schema = RequestSchema {
        entities: vec![
            entity("user_id", Dtype::String),
            entity("driver_id", Dtype::Int64),
        ],
        inputs: Vec::new(),
    };
    for (feature, why) in [
        (
            "user.tags",
            "`user.tags` is STRING_SET in Feast, and models take",
        ),
        (
            "user.embedding",
            "`user.embedding` is a list in Feast, of no length",
        ),
        (
            "drivers.with blank",
            "`drivers.with blank` has a dot, a comma or a blank",
        ),
        ("computed.ratio", "`computed` is an on-demand view"),
        ("user.aeg", "there is no feature `user.aeg`"),
    ] {
        let errors = Plan::compile(&catalog, &schema, &[feature]).unwrap_err();
        let found = errors[0].to_string();
        assert!(found.contains(why), "{found}");
    }
    let derived = "[derived]\nx = { transform = \"log1p\", inputs = [\"computed.ratio\"] }\n";
    let found = parse(&format!("{FEAST}{derived}")).unwrap_err();
    assert!(
        found[0].starts_with("derived.x.inputs[0]: `computed` is an on-demand view"),
        "{found:?}"
    );
}

#[test]
fn every_problem_of_the_table_is_said_at_once() {
    let found = parse(
        "entities.driver_id = \"int64\"
        [views.drivers]
        entity = \"driver_id\"
        features.rate = { dtype = \"float32\", default = 0.0 }
        [feast]
        feature_store = \"feature_store.yaml\"
        refresh = \"10ms\"
        reload = true
        [feast.defaults]
        \"user.age\" = \"old\"
        \"user.aeg\" = 1
        \"user.tags\" = \"x\"
        [feast.lengths]
        \"user.age\" = 3
        \"user.embedding\" = 5000
        ",
    )
    .unwrap_err();
    for why in [
        "feast.reload: unknown key",
        "feast.refresh: is \"1s\" at least",
        "feast.feature_store: view `drivers` is in [views] and in Feast",
        "feast.defaults.user.age: expected a whole number, found a string",
        "feast.defaults.user.aeg: Feast has no feature `user.aeg` online (did you mean `user.age`?)",
        "feast.defaults.user.tags: `user.tags` is STRING_SET",
        "feast.lengths.user.age: is no list in Feast",
        "feast.lengths.user.embedding: a list has 1 to 4096 elements",
    ] {
        assert!(
            found.iter().any(|line| line.starts_with(why)),
            "{why}: {found:#?}"
        );
    }
    assert_eq!(found.len(), 8, "{found:#?}");
}

#[test]
fn feasts_files_are_read_again_and_the_rest_stays_as_it_is() {
    let folder = folder();
    let toml = format!(
        "{FEAST}refresh = \"5s\"
        defaults.\"drivers.rate\" = 0.5
        [entities]
        card_id = \"string\"
        [views.card]
        entity = \"card_id\"
        features.x = {{ dtype = \"float32\", default = 0.0 }}
        "
    );
    let catalog = Catalog::parse_in(folder.path(), &toml).unwrap();
    assert_eq!(catalog.feast_refresh(), Some(Duration::from_secs(5)));
    assert!(catalog.reread_feast().unwrap().is_none());
    let write = |feature: &str, kind: i32| {
        let views: [testing::ViewOf<'_>; 1] =
            [("drivers", &[("driver_id", 4)], &[(feature, kind, 0)])];
        let registry = testing::registry(&views).encode_to_vec();
        std::fs::write(folder.path().join("registry.db"), registry).unwrap();
    };
    write("rate", 5);
    let now = catalog.reread_feast().unwrap().unwrap();
    let rate = &now.view("drivers").unwrap().features[0];
    assert_eq!(
        (rate.dtype, &rate.default),
        (Dtype::Float64, &Value::Float64(0.5))
    );
    assert!(now.view("user").is_none());
    assert_eq!(now.view("card"), catalog.view("card"));
    assert_eq!(now.feast_refresh(), Some(Duration::from_secs(5)));
    assert!(now.reread_feast().unwrap().is_none());

    write("rating", 6);
    let why = now.reread_feast().unwrap_err();
    assert!(
        why.starts_with("features.toml does not fit what Feast has now: feast.defaults.drivers.rate: Feast has no feature `drivers.rate` online"),
        "{why}"
    );
}

#[test]
fn a_repository_that_cannot_be_read_is_a_problem_of_the_key() {
    // What is derived from its views is not reported as well.
    let derived = "[derived]\nx = { transform = \"log1p\", inputs = [\"user.age\"] }\n";
    let found = parse(&format!(
        "{derived}[feast]\nfeature_store = \"nowhere.yaml\""
    ))
    .unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("nowhere.yaml cannot be read"),
        "{found:?}"
    );
    let found = parse("[feast]").unwrap_err();
    assert!(found[0].contains("lacks `feature_store`"), "{found:?}");
    let found = Catalog::parse(FEAST).unwrap_err();
    assert!(
        found[0]
            .message
            .contains("needs the folder of features.toml")
    );
}
