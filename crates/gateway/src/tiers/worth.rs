//! What an answer of the best tier is worth: when Triton cannot answer all, the rows that are worth
//! most are sent, and the others are answered by the next tier.

use features::{ColumnId, FeatureRow, Plan};

use super::BindError;
use crate::decision::Priority;

/// What a request without a value is worth: less than any other.
const LOWEST: f64 = f64::MIN;

/// A decision's priority, bound to a column. Without one, all requests are worth the same.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Worth {
    column: Option<ColumnId>,
}

impl Worth {
    /// Binds a priority whose feature compiled; one that did not was reported then.
    pub(crate) fn bind(priority: Option<&Priority>, plan: &Plan) -> Result<Self, BindError> {
        let Some(priority) = priority else {
            return Ok(Self::default());
        };
        let column = plan.column(&priority.feature);
        let dtype = column.map(|column| plan.dtype(column));
        if let Some(dtype) = dtype.filter(|dtype| !dtype.is_numeric()) {
            let feature = &priority.feature;
            return Err(BindError {
                message: format!("`priority` is the feature `{feature}`, which is {dtype}, expected a number"),
                hint: Some("a number that the caller sends, that a view holds or that is derived, such as priority = \"request.amount\"".into()),
            });
        }
        Ok(Self { column })
    }

    /// Finite; more is worth more. What is missing has its default, as everywhere; without one, the
    /// request is worth less than any other.
    pub(crate) fn of(self, row: &FeatureRow) -> f64 {
        let Some(column) = self.column else {
            return 0.0;
        };
        let number = row.value(column).as_f64().filter(|n| n.is_finite());
        match number {
            Some(number) if !row.is_void(column) => number,
            _ => LOWEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use features::{
        Catalog, Dtype, EntityField, InputField, RequestRow, RequestSchema, Store, Value,
    };
    use tokio::time::Instant;

    use super::*;

    const FEATURES: &str = r#"
[entities]
user_id = "string"
[views.user]
entity = "user_id"
[views.user.features]
factor = { dtype = "float64", default = 2.0 }
[derived]
amount_log = { transform = "log1p", inputs = ["request.amount"], default = -3.0 }
"#;

    fn plan() -> Plan {
        let input = |name: &str, dtype, default| InputField {
            name: name.into(),
            dtype,
            required: false,
            default,
        };
        let schema = RequestSchema {
            entities: vec![EntityField {
                name: "user_id".into(),
                dtype: Dtype::String,
            }],
            inputs: vec![
                input("amount", Dtype::Float64, None),
                input("count", Dtype::Int64, Some(Value::Int64(5))),
                input("currency", Dtype::String, None),
            ],
        };
        let names = [
            "request.amount",
            "request.count",
            "request.currency",
            "user.factor",
            "amount_log",
        ];
        Plan::compile(&Catalog::parse(FEATURES).unwrap(), &schema, &names).unwrap()
    }

    fn bind(feature: &str, plan: &Plan) -> Result<Worth, BindError> {
        let priority = Priority {
            feature: feature.into(),
            span: 0..0,
        };
        Worth::bind(Some(&priority), plan)
    }

    async fn worth(feature: &str, amount: Option<f64>) -> f64 {
        let plan = plan();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
        let request = RequestRow {
            entities: vec![Value::String("nobody".into())],
            inputs: vec![amount.map(Value::Float64), None, None],
        };
        let assembling = plan.assemble(&store, &request, SystemTime::now(), Instant::now());
        bind(feature, &plan).unwrap().of(&assembling.await)
    }

    #[tokio::test]
    async fn a_request_is_worth_its_value_or_its_default_or_least() {
        assert_eq!(worth("request.amount", Some(129.9)).await, 129.9);
        assert_eq!(worth("request.amount", Some(-5.0)).await, -5.0);
        assert_eq!(worth("request.amount", None).await, f64::MIN);
        assert_eq!(worth("request.amount", Some(f64::NAN)).await, f64::MIN);
        assert_eq!(worth("amount_log", Some(0.0)).await, 0.0);
        assert_eq!(worth("amount_log", None).await, -3.0, "the derived default");
        assert_eq!(
            worth("request.count", None).await,
            5.0,
            "the input's default"
        );
        assert_eq!(worth("user.factor", None).await, 2.0, "the view's default");
    }

    #[tokio::test]
    async fn without_a_priority_all_are_worth_the_same() {
        let plan = plan();
        assert!(Worth::bind(None, &plan).unwrap().column.is_none());
        assert!(
            bind("request.currency", &plan)
                .unwrap_err()
                .message
                .contains("string")
        );
    }
}
