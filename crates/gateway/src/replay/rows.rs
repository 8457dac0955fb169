//! From a record back to what a plan takes: the request, and the stored features by name.

use std::{collections::HashMap, sync::Arc};

use decision_log::{Record, Status, Value};
use features::{FeatureRow, Kept, Plan, RequestRow, RequestSchema};

/// The row that `plan` would have made of what was logged.
pub(super) fn restore(
    record: &Record,
    schema: &RequestSchema,
    plan: &Plan,
) -> Result<FeatureRow, String> {
    let request = request(record, schema)?;
    plan.restore(&request, &Logged::of(record))
        .map_err(|error| error.to_string())
}

/// The request, in the order of the decision as it is written now.
fn request(record: &Record, schema: &RequestSchema) -> Result<RequestRow, String> {
    let logged = &*record.schema;
    let typed = |name: &str, dtype: features::Dtype, value: &Value| {
        let value = value_of(value);
        match value.is_of(dtype) {
            true => Ok(value),
            false => Err(format!(
                "`{name}` was logged with another type than {dtype}"
            )),
        }
    };
    let entities = schema.entities.iter().map(|entity| {
        let mut fields = logged.entities.iter();
        let place = fields.position(|field| *field.name == *entity.name);
        let value = place.and_then(|place| record.entities.get(place));
        let value = value.ok_or_else(|| format!("the entity `{}` was not logged", entity.name))?;
        typed(&entity.name, entity.dtype, value)
    });
    let inputs = schema.inputs.iter().map(|input| {
        let mut fields = logged.inputs.iter();
        let place = fields.position(|field| *field.name == *input.name);
        match place.and_then(|place| record.inputs.get(place)) {
            Some(Some(value)) => typed(&input.name, input.dtype, value).map(Some),
            Some(None) | None if input.required => {
                Err(format!("the input `{}` was not logged", input.name))
            }
            Some(None) | None => Ok(None),
        }
    });
    Ok(RequestRow {
        entities: entities.collect::<Result<_, _>>()?,
        inputs: inputs.collect::<Result<_, _>>()?,
    })
}

/// Stored features and views of a record, by name.
struct Logged<'r> {
    columns: HashMap<&'r str, &'r decision_log::Cell>,
    views: HashMap<&'r str, Option<i64>>,
}

impl<'r> Logged<'r> {
    fn of(record: &'r Record) -> Self {
        let schema = &*record.schema;
        let columns = schema.columns.iter().zip(&record.columns);
        let views = schema.views.iter().zip(&record.views);
        Self {
            columns: columns.map(|(field, cell)| (&*field.name, cell)).collect(),
            views: views
                .filter(|(_, row)| row.found)
                .map(|(view, row)| (&**view, row.event_time_us))
                .collect(),
        }
    }
}

impl Kept for Logged<'_> {
    fn column(&self, feature: &str) -> Option<(features::Value, features::Status)> {
        let cell = self.columns.get(feature)?;
        let status = match cell.status {
            Status::Present => features::Status::Present,
            Status::Null => features::Status::Null,
            Status::Missing => features::Status::Missing,
            Status::Stale => features::Status::Stale,
        };
        Some((value_of(&cell.value), status))
    }

    fn view(&self, view: &str) -> Option<Option<i64>> {
        self.views.get(view).copied()
    }
}

fn value_of(value: &Value) -> features::Value {
    match value {
        Value::Bool(flag) => features::Value::Bool(*flag),
        Value::Int64(number) => features::Value::Int64(*number),
        Value::Float32(number) => features::Value::Float32(*number),
        Value::Float64(number) => features::Value::Float64(*number),
        Value::Text(text) => features::Value::String(Arc::clone(text)),
        Value::List(values) => features::Value::List(values.iter().map(value_of).collect()),
    }
}
