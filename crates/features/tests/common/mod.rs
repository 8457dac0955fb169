//! A catalog of two views, a plan that reads both, and a store under test.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub(crate) mod raw;
pub(crate) mod states;

use std::time::{Duration, SystemTime};

use features::{
    Catalog, Dtype, EntityField, FeatureRow, Plan, RequestRow, RequestSchema, Store, StoreOutcome,
    Value,
};
use tokio::time::{Instant, sleep};

#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) catalog: Catalog,
    pub(crate) plan: Plan,
    pub(crate) store: Store,
}

impl Bench {
    pub(crate) fn new(url: &str) -> Self {
        let catalog = Catalog::parse(
            r#"
            entities = { card_id = "string", store_id = "int64" }
            [views.card]
            entity = "card_id"
            features.n = { dtype = "float64", default = -1.0 }
            features.owner = { dtype = "string", default = "" }
            [views.store]
            entity = ["store_id"]
            features.n = { dtype = "int64", default = -1 }
            "#,
        )
        .unwrap();
        let entity = |name: &str, dtype| EntityField {
            name: name.to_owned(),
            dtype,
        };
        let schema = RequestSchema {
            entities: vec![
                entity("card_id", Dtype::String),
                entity("store_id", Dtype::Int64),
            ],
            inputs: Vec::new(),
        };
        let plan = Plan::compile(&catalog, &schema, &["card.n", "card.owner", "store.n"]).unwrap();
        Bench {
            catalog,
            plan,
            store: Store::open(url).unwrap(),
        }
    }

    /// Stores rows of cards and stores 0 to `count`: each holds its own number.
    pub(crate) async fn fill(&self, count: i64) {
        let rows: Vec<_> = (0..count)
            .flat_map(|i| {
                [
                    format!(r#"{{"view":"card","entity":{{"card_id":"{i}"}},"values":{{"n":{i},"owner":"owner {i}"}}}}"#),
                    format!(r#"{{"view":"store","entity":{{"store_id":{i}}},"values":{{"n":{i}}}}}"#),
                ]
            })
            .map(|line| features::load::parse_line(&self.catalog, &line).unwrap())
            .collect();
        self.store.put(&self.catalog, &rows).await.unwrap();
    }

    pub(crate) async fn read(&self, card: i64, store: i64, slice: Duration) -> FeatureRow {
        let entities = vec![Value::String(card.to_string().into()), Value::Int64(store)];
        let request = RequestRow {
            entities,
            inputs: Vec::new(),
        };
        self.plan
            .assemble(
                &self.store,
                &request,
                SystemTime::now(),
                Instant::now() + slice,
            )
            .await
    }

    /// Reads, and checks that what came is of the entities asked for.
    pub(crate) async fn check(&self, card: i64, store: i64, slice: Duration) -> StoreOutcome {
        let row = self.read(card, store, slice).await;
        let value = |feature: &str| row.value(self.plan.column(feature).unwrap()).clone();
        if !row.view_missing("card") {
            assert_eq!(value("card.n"), Value::Float64(card as f64));
            assert_eq!(
                value("card.owner"),
                Value::String(format!("owner {card}").into())
            );
        }
        if !row.view_missing("store") {
            assert_eq!(value("store.n"), Value::Int64(store));
        }
        if row.store() != StoreOutcome::Answered {
            assert_eq!(row.missing().count(), 3);
        }
        row.store()
    }

    /// Reads until the store answers again; fails after 20 seconds.
    pub(crate) async fn recovers(&self) {
        for _ in 0..1000 {
            if self.check(1, 2, Duration::from_millis(100)).await == StoreOutcome::Answered {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "the store did not answer again: {:?}",
            self.store.ping().await
        );
    }
}
