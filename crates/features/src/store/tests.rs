//! What the stores have in common, and the embedded one on a real disk.

use std::time::{Duration, UNIX_EPOCH};

use futures::FutureExt;

use super::*;
use crate::catalog::Catalog;
use crate::key::StateKey;
use crate::load::parse_line;
use crate::plan::Plan;
use crate::schema::{EntityField, RequestSchema};
use crate::value::{Dtype, Value};

/// A catalog of one view, `card`, of one feature, `n`, and a plan that reads it from a store.
pub(super) struct Bench {
    catalog: Catalog,
    plan: Plan,
    pub(super) store: Store,
}

impl Bench {
    pub(super) fn new(store: Store) -> Self {
        let catalog = Catalog::parse(
            r#"
            entities.card_id = "string"
            [views.card]
            entity = "card_id"
            features.n = { dtype = "float64", default = -1.0 }
            "#,
        )
        .unwrap();
        let card_id = EntityField {
            name: "card_id".to_owned(),
            dtype: Dtype::String,
        };
        let schema = RequestSchema {
            entities: vec![card_id],
            inputs: Vec::new(),
        };
        let plan = Plan::compile(&catalog, &schema, &["card.n"]).unwrap();
        Bench {
            catalog,
            plan,
            store,
        }
    }

    pub(super) async fn put(&self, card: &str, n: f64) {
        let line =
            format!(r#"{{"view":"card","entity":{{"card_id":{card:?}}},"values":{{"n":{n}}}}}"#);
        let row = parse_line(&self.catalog, &line).unwrap();
        self.store.put(&self.catalog, &[row]).await.unwrap();
    }

    pub(super) async fn assemble(&self, card: &str, until: Instant) -> FeatureRow {
        let card = Value::String(card.into());
        let request = RequestRow {
            entities: vec![card],
            inputs: Vec::new(),
        };
        self.plan
            .assemble(&self.store, &request, UNIX_EPOCH, until)
            .await
    }

    async fn n(&self, card: &str) -> f64 {
        let until = Instant::now() + Duration::from_millis(10);
        let row = self.assemble(card, until).await;
        self.seen(&row)
    }

    pub(super) fn seen(&self, row: &FeatureRow) -> f64 {
        row.value(self.plan.column("card.n").unwrap())
            .as_f64()
            .unwrap()
    }
}

fn open(folder: &tempfile::TempDir) -> Result<Store, StoreError> {
    Store::open(&format!("embedded:{}", folder.path().display()))
}

#[tokio::test]
async fn the_embedded_store_keeps_its_rows_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(open(&folder).unwrap());
    assert_eq!(bench.store.kind(), "embedded");
    bench.store.ping().await.unwrap();
    bench.put("a", 1.0).await;
    bench.put("a", 2.0).await;
    bench.put("b", 3.0).await;
    drop(bench);
    let bench = Bench::new(open(&folder).unwrap());
    assert_eq!(
        (bench.n("a").await, bench.n("b").await, bench.n("c").await),
        (2.0, 3.0, -1.0)
    );
}

#[tokio::test]
async fn many_states_are_read_off_the_threads_that_serve_requests() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(open(&folder).unwrap());
    let key = |n: usize| StateKey::new("card", &[Value::String(n.to_string().into())]);
    let keys: Vec<_> = (0..10_000).map(key).collect();
    let mut read = std::pin::pin!(bench.store.read_states(&keys));
    assert!(
        (&mut read).now_or_never().is_none(),
        "others have their turn"
    );
    assert_eq!(read.await.unwrap().len(), keys.len());
}

#[test]
fn a_second_opening_says_who_may_have_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }));
    let sentence = error.to_string();
    assert!(
        sentence.contains("another process has the feature store at"),
        "{sentence}"
    );
    drop(first);
    open(&folder).unwrap();
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_in_words() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(&format!("embedded:{}", file.path().display())).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}

#[test]
fn a_url_that_names_no_store_is_an_error_without_its_password() {
    for url in [
        "",
        "embedded:",
        "postgres://u:secret@h",
        "redis-cluster://u:secret@h:1/2",
        "cards",
    ] {
        let sentence = Store::open(url).unwrap_err().to_string();
        assert!(
            sentence.contains("is not a store") && !sentence.contains("secret"),
            "{sentence}"
        );
    }
}

#[test]
fn a_redis_that_is_down_opens_and_needs_no_runtime_to() {
    let store = Store::open("redis://127.0.0.1:1").unwrap();
    assert_eq!(store.kind(), "redis");
    assert_eq!(
        Store::open("rediss-cluster://a:1,b:2").unwrap().kind(),
        "redis-cluster"
    );
}
