//! A row of features as it was, from what a log kept of it.
//!
//! Inputs and stored values are taken as they were kept. What is derived is computed anew from them,
//! so that a change of a transform shows, and a feature that nobody derived then can be derived now.

use std::sync::Arc;

use crate::feature_row::{Cell, FeatureRow, Status};
use crate::plan::Plan;
use crate::schema::RequestRow;
use crate::value::Value;

/// What was kept of a row's stored features, by name.
pub trait Kept {
    /// A stored feature: its value and what was known of it.
    fn column(&self, feature: &str) -> Option<(Value, Status)>;

    /// The event time of a view's row, in microseconds since the Unix epoch, where the row had one;
    /// `None` if there was no usable row.
    fn view(&self, view: &str) -> Option<Option<i64>>;
}

/// Why a row cannot be made again. `Display` is a full sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("the stored features {0} were not kept: they were not read then")]
    NotKept(String),
    #[error("the feature `{feature}` was kept with another type than {expected}")]
    OtherType { feature: String, expected: String },
}

impl Plan {
    /// The row that this plan would have assembled from `request` and what was `kept`.
    ///
    /// # Errors
    /// The plan reads a stored feature that was not kept, or was kept with another type.
    pub fn restore(
        &self,
        request: &RequestRow,
        kept: &impl Kept,
    ) -> Result<FeatureRow, RestoreError> {
        let layout = &self.layout;
        let mut row = FeatureRow::blank(Arc::clone(layout));
        row.take_inputs(request);
        let mut absent = Vec::new();
        for (place, view) in layout.views.iter().enumerate() {
            if let Some(event_time_us) = kept.view(&view.view.name) {
                row.cells[layout.view_cell(place)] = Cell::found(event_time_us);
            }
            for column in view.columns.iter().flatten() {
                let name = &layout.names[column.index()];
                let Some((value, status)) = kept.column(name) else {
                    absent.push(format!("`{name}`"));
                    continue;
                };
                let dtype = self.dtype(*column);
                if !value.is_of(dtype) {
                    return Err(RestoreError::OtherType {
                        feature: name.to_string(),
                        expected: dtype.to_string(),
                    });
                }
                row.cells[column.index()] = Cell::with_status(value, status);
            }
        }
        if !absent.is_empty() {
            return Err(RestoreError::NotKept(absent.join(", ")));
        }
        row.derive();
        Ok(row)
    }

    /// The views of which the plan reads a row, in order.
    pub fn views(&self) -> impl Iterator<Item = &str> {
        self.layout.views.iter().map(|columns| &*columns.view.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, SystemTime};

    use tokio::time::Instant;

    use super::*;
    use crate::load::parse_line;
    use crate::schema::{EntityField, InputField, RequestSchema};
    use crate::{Catalog, Dtype, Store};

    const FEATURES: &str = r#"
[entities]
card_id = "string"
[views.card]
entity = "card_id"
ttl = "1d"
[views.card.features]
count = { dtype = "float32", default = 0.5 }
last = { dtype = "int64", default = 7 }
[views.other]
entity = "card_id"
[views.other.features]
x = { dtype = "float64", default = 0.0 }
[derived]
amount_log = { transform = "log1p", inputs = ["request.amount"] }
gap = { transform = "difference", inputs = ["request.at", "card.last"] }
fresh = { transform = "is_missing", inputs = ["other.x"] }
"#;
    const NAMES: [&str; 7] = [
        "request.amount",
        "request.at",
        "card.count",
        "card.last",
        "amount_log",
        "gap",
        "fresh",
    ];

    /// What was kept of a row of another plan.
    struct Memory {
        columns: HashMap<String, (Value, Status)>,
        views: HashMap<String, Option<i64>>,
    }

    impl Kept for Memory {
        fn column(&self, feature: &str) -> Option<(Value, Status)> {
            self.columns.get(feature).cloned()
        }

        fn view(&self, view: &str) -> Option<Option<i64>> {
            self.views.get(view).copied()
        }
    }

    fn keep(plan: &Plan, row: &FeatureRow) -> Memory {
        let columns = row.columns();
        let columns = columns.map(|c| (c.name.to_owned(), (c.value.clone(), c.status)));
        let found = plan.views().filter(|view| !row.view_missing(view));
        Memory {
            columns: columns.collect(),
            views: found
                .map(|view| (view.to_owned(), row.event_time_us(view)))
                .collect(),
        }
    }

    fn plan(names: &[&str]) -> Plan {
        let input = |name: &str, dtype| InputField {
            name: name.into(),
            dtype,
            required: false,
            default: None,
        };
        let schema = RequestSchema {
            entities: vec![EntityField {
                name: "card_id".into(),
                dtype: Dtype::String,
            }],
            inputs: vec![input("amount", Dtype::Float64), input("at", Dtype::Int64)],
        };
        Plan::compile(&Catalog::parse(FEATURES).unwrap(), &schema, names).unwrap()
    }

    async fn assembled(plan: &Plan, request: &RequestRow, now: SystemTime) -> FeatureRow {
        let catalog = Catalog::parse(FEATURES).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
        let line = r#"{"view":"card","entity":{"card_id":"1"},"values":{"count":3.25,"last":null},"event_time":"2019-08-31T10:00:00Z"}"#;
        store
            .put(&catalog, &[parse_line(&catalog, line).unwrap()])
            .await
            .unwrap();
        plan.assemble(&store, request, now, Instant::now()).await
    }

    fn request(amount: Option<f64>) -> RequestRow {
        RequestRow {
            entities: vec![Value::String("1".into())],
            inputs: vec![amount.map(Value::Float64), Some(Value::Int64(100))],
        }
    }

    fn assert_same(plan: &Plan, a: &FeatureRow, b: &FeatureRow) {
        for (a, b) in a.columns().zip(b.columns()) {
            assert_eq!((a.name, a.status), (b.name, b.status));
            assert_eq!(a.value, b.value, "{}", a.name);
            assert_eq!(a.event_time_us, b.event_time_us, "{}", a.name);
            let column = plan.column(a.name).unwrap();
            assert_eq!(a.status, b.status);
            assert!(plan.column(b.name) == Some(column));
        }
        for view in plan.views() {
            assert_eq!(a.view_missing(view), b.view_missing(view), "{view}");
        }
        let void = |row: &FeatureRow| -> Vec<bool> {
            let columns = plan.features().map(|name| plan.column(name).unwrap());
            columns.map(|column| row.is_void(column)).collect()
        };
        assert_eq!(void(a), void(b));
    }

    #[tokio::test]
    async fn a_row_comes_back_as_it_was_stale_null_and_missing() {
        let plan = plan(&NAMES);
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_567_245_600);
        for (amount, age) in [(Some(12.5), 0), (None, 2 * 86_400)] {
            let request = request(amount);
            let row = assembled(&plan, &request, written + Duration::from_secs(age)).await;
            let restored = plan.restore(&request, &keep(&plan, &row)).unwrap();
            assert_same(&plan, &row, &restored);
            let stale = restored.stale().any(|name| name == "card.count");
            assert_eq!(stale, age > 0);
            assert!(restored.null().any(|name| name == "card.last"));
            assert!(restored.missing().any(|name| name == "gap"));
        }
    }

    #[tokio::test]
    async fn a_plan_that_reads_less_or_derives_more_is_restored_and_one_that_reads_more_is_not() {
        let before = plan(&["card.count", "card.last"]);
        let request = request(Some(1.0));
        let row = assembled(&before, &request, SystemTime::UNIX_EPOCH).await;
        let kept = keep(&before, &row);
        let after = plan(&["amount_log", "card.count", "gap"]);
        let restored = after.restore(&request, &kept).unwrap();
        let log = after.column("amount_log").unwrap();
        assert_eq!(restored.value(log).as_f64(), Some(1f64.ln_1p()));
        let said = plan(&NAMES).restore(&request, &kept).unwrap_err();
        assert_eq!(said, RestoreError::NotKept("`other.x`".into()));

        let mut changed = kept;
        let text = (Value::String("3".into()), Status::Present);
        changed.columns.insert("card.count".into(), text);
        let said = after.restore(&request, &changed).unwrap_err().to_string();
        assert_eq!(
            said,
            "the feature `card.count` was kept with another type than float32"
        );
    }
}
