//! The last tier: a decision table over the features. A total function.

use std::sync::Arc;

use features::{ColumnId, Dtype, FeatureRow, Plan, Value};

use super::{BindError, Scored};
use crate::{
    decision::rules::{Comparison, Condition, RuleTable, Test},
    reader::Literal,
};

/// A table whose conditions are bound to the columns of a plan.
#[derive(Debug)]
pub(crate) struct RulesTier {
    pub(crate) name: Arc<str>,
    table: Arc<str>,
    version: Arc<str>,
    rows: Vec<BoundRow>,
    /// What answers when no row before it does.
    last: Outcome,
}

#[derive(Debug)]
struct BoundRow {
    conditions: Vec<BoundCondition>,
    outcome: Outcome,
}

#[derive(Debug)]
struct Outcome {
    reason: Arc<str>,
    scores: Vec<f64>,
}

#[derive(Debug)]
struct BoundCondition {
    column: ColumnId,
    test: Check,
}

/// A test whose values have the feature's type.
#[derive(Debug)]
enum Check {
    Missing(bool),
    Compare(Comparison, f64),
    NumberIn { values: Vec<f64>, negated: bool },
    TextIn { values: Vec<String>, negated: bool },
}

impl RulesTier {
    /// Binds every condition, or says which do not fit.
    pub(crate) fn bind(
        name: Arc<str>,
        table: &RuleTable,
        plan: &Plan,
    ) -> Result<Self, Vec<(Condition, BindError)>> {
        let mut wrong = Vec::new();
        let mut rows: Vec<BoundRow> = table
            .rows
            .iter()
            .map(|row| {
                let bound = row.conditions.iter().filter_map(|condition| {
                    bind(condition, plan)
                        .map_err(|error| wrong.push((condition.clone(), error)))
                        .ok()
                });
                BoundRow {
                    conditions: bound.collect(),
                    outcome: Outcome {
                        reason: row.reason.clone(),
                        scores: row.scores.clone(),
                    },
                }
            })
            .collect();
        match rows.pop() {
            Some(last) if wrong.is_empty() => Ok(Self {
                name,
                table: table.name.clone(),
                version: table.version.clone(),
                rows,
                last: last.outcome,
            }),
            // The table's reader refuses one without a last row, so there is always a row.
            _ => Err(wrong),
        }
    }

    /// The first row that holds.
    pub(crate) fn run(&self, row: &FeatureRow) -> Scored {
        let outcome = self
            .rows
            .iter()
            .find(|bound| {
                bound
                    .conditions
                    .iter()
                    .all(|condition| condition.holds(row))
            })
            .map_or(&self.last, |bound| &bound.outcome);
        Scored {
            scores: outcome.scores.clone(),
            model: self.table.clone(),
            version: self.version.clone(),
            reason: Some(outcome.reason.clone()),
            seen: Vec::new(),
        }
    }
}

fn bind(condition: &Condition, plan: &Plan) -> Result<BoundCondition, BindError> {
    let feature = &condition.feature;
    let column = plan.column(feature).ok_or_else(|| BindError {
        message: format!("`{feature}` is not a feature of this decision"),
        hint: Some("features: request.FIELD, VIEW.FEATURE, or the name of a derived one".into()),
    })?;
    let dtype = plan.dtype(column);
    let test = match &condition.test {
        Test::Missing(missing) => Check::Missing(*missing),
        Test::Compare(comparison, number) if dtype.is_numeric() => {
            Check::Compare(*comparison, *number)
        }
        Test::Compare(..) => return Err(mismatch(feature, dtype, "a number")),
        Test::In { values, .. } if dtype.is_list() => {
            return Err(mismatch(feature, dtype, kinds(values)));
        }
        Test::In { values, negated } if dtype == Dtype::String => {
            let texts = values
                .iter()
                .cloned()
                .map(Literal::into_text)
                .collect::<Option<Vec<_>>>();
            let values = texts.ok_or_else(|| mismatch(feature, dtype, kinds(values)))?;
            Check::TextIn {
                values,
                negated: *negated,
            }
        }
        Test::In { values, negated } => {
            let numbers = values
                .iter()
                .map(|literal| number(literal, dtype))
                .collect::<Option<Vec<_>>>();
            let values = numbers.ok_or_else(|| mismatch(feature, dtype, kinds(values)))?;
            Check::NumberIn {
                values,
                negated: *negated,
            }
        }
    };
    Ok(BoundCondition { column, test })
}

fn number(literal: &Literal, dtype: Dtype) -> Option<f64> {
    match literal {
        Literal::Flag(flag) if dtype == Dtype::Bool => Some(f64::from(u8::from(*flag))),
        Literal::Integer(_) | Literal::Number(_) if dtype != Dtype::Bool => literal.as_f64(),
        _ => None,
    }
}

/// What a list holds, for a message.
fn kinds(values: &[Literal]) -> &'static str {
    match values {
        [Literal::Text(_)] => "text",
        [Literal::Integer(_) | Literal::Number(_)] => "a number",
        [Literal::Flag(_)] => "true or false",
        _ => "values of another type",
    }
}

fn mismatch(feature: &str, dtype: Dtype, tested: &str) -> BindError {
    let list = || "a rule may only ask whether a list is missing".to_owned();
    BindError {
        message: format!("`{feature}` is {dtype}, but it is compared with {tested}"),
        hint: dtype.is_list().then(list),
    }
}

impl BoundCondition {
    /// What nobody gave, and has no default, compares with nothing.
    fn holds(&self, row: &FeatureRow) -> bool {
        let value = row.value(self.column);
        if row.is_void(self.column) && !matches!(self.test, Check::Missing(_)) {
            return false;
        }
        match &self.test {
            Check::Missing(missing) => row.is_missing(self.column) == *missing,
            Check::Compare(comparison, limit) => value
                .as_f64()
                .is_some_and(|number| compare(*comparison, number, *limit)),
            Check::NumberIn { values, negated } => {
                value
                    .as_f64()
                    .is_some_and(|number| values.contains(&number))
                    != *negated
            }
            Check::TextIn { values, negated } => {
                matches!(value, Value::String(text) if values.iter().any(|v| **v == **text))
                    != *negated
            }
        }
    }
}

fn compare(comparison: Comparison, number: f64, limit: f64) -> bool {
    match comparison {
        Comparison::Less => number < limit,
        Comparison::LessOrEqual => number <= limit,
        Comparison::Greater => number > limit,
        Comparison::GreaterOrEqual => number >= limit,
    }
}
