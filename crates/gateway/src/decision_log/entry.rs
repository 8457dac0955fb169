//! From what the path hands over to a record of the log. Runs on the writer's thread.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use decision_log::{Cell, Field, Record, Schema, Skip, Status, Tensor, Value, ViewRow};
use features::Plan;

use super::Basis;
use crate::{answer::Answer, decision::Definition, tiers::Skipped};

/// What every decision's timings name beside its tiers.
static STAGES: LazyLock<[Arc<str>; 4]> =
    LazyLock::new(|| ["total", "decode", "features", "policy"].map(Arc::from));

/// A decision on its way into the log.
#[derive(Debug)]
pub(super) struct Entry {
    basis: Basis,
    received: SystemTime,
    id: String,
    tier: Arc<str>,
    model: Arc<str>,
    version: Arc<str>,
    arm: &'static str,
    scores: Vec<f64>,
    action: Arc<str>,
    reasons: Vec<Arc<str>>,
    skipped: Vec<Skipped>,
    /// What the answer says of each stage.
    total: Duration,
    decode: Duration,
    features: Duration,
    tiers: Vec<(Arc<str>, Duration)>,
    policy: Duration,
    late: bool,
    in_sample: bool,
}

impl Entry {
    /// Takes what the path no longer needs, and copies what the answer still does.
    pub(super) fn new(answer: &Answer, basis: Basis, late: bool, in_sample: bool) -> Self {
        let timings = &answer.timings_us;
        let now = SystemTime::now();
        Self {
            basis,
            received: now.checked_sub(timings.total).unwrap_or(now),
            id: answer.id.clone(),
            tier: Arc::clone(&answer.tier),
            model: Arc::clone(&answer.model),
            version: Arc::clone(&answer.model_version),
            arm: answer.arm,
            scores: answer.scores.values.clone(),
            action: Arc::clone(&answer.action),
            reasons: answer.reasons.clone(),
            skipped: answer.skipped.clone(),
            total: timings.total,
            decode: timings.decode,
            features: timings.features,
            tiers: timings.tiers.clone(),
            policy: timings.policy,
            late,
            in_sample,
        }
    }

    /// The record, as it is written.
    pub(super) fn into_record(self) -> Record {
        let Basis {
            schema,
            request,
            features,
            tensors,
            as_of,
            budget,
        } = self.basis;
        let columns = features.columns().map(|column| Cell {
            value: value(column.value),
            status: status(column.status),
        });
        let views = schema.views.iter().map(|view| ViewRow {
            found: !features.view_missing(view),
            event_time_us: features.event_time_us(view),
        });
        let [total, decode, features_stage, policy] = STAGES.clone();
        let stages = [
            (total, self.total),
            (decode, self.decode),
            (features_stage, self.features),
        ];
        let stages = stages.into_iter().chain(self.tiers);
        let stages = stages.chain([(policy, self.policy)]);
        Record {
            received_us: micros_since_epoch(self.received),
            as_of_us: micros_since_epoch(as_of),
            id: self.id.into(),
            entities: request.entities.iter().map(value).collect(),
            inputs: request
                .inputs
                .iter()
                .map(|i| i.as_ref().map(value))
                .collect(),
            budget_us: micros(budget),
            columns: columns.collect(),
            views: views.collect(),
            tensors: tensors
                .into_iter()
                .map(|seen| Tensor {
                    name: seen.name,
                    dtype: seen.dtype.name().into(),
                    data: (&*seen.data).into(),
                })
                .collect(),
            tier: self.tier,
            model: self.model,
            version: self.version,
            arm: self.arm.into(),
            scores: self.scores,
            action: self.action,
            reasons: self.reasons,
            skipped: self
                .skipped
                .into_iter()
                .map(|skipped| Skip {
                    tier: skipped.tier,
                    reason: skipped.reason.name().into(),
                })
                .collect(),
            timings_us: stages.map(|(stage, took)| (stage, micros(took))).collect(),
            late: self.late,
            in_sample: self.in_sample,
            schema,
        }
    }
}

/// What the values of a decision's records are called, as it is bound now.
pub(crate) fn schema(definition: &Definition, plan: &Plan) -> Arc<Schema> {
    let field = |name: &str, dtype: features::Dtype| Field {
        name: name.into(),
        dtype: dtype.to_string().into(),
    };
    let asked = &definition.schema;
    let columns = plan
        .features()
        .filter_map(|name| Some((name, plan.column(name)?)));
    Arc::new(Schema {
        decision: Arc::clone(&definition.name),
        entities: asked
            .entities
            .iter()
            .map(|e| field(&e.name, e.dtype))
            .collect(),
        inputs: asked
            .inputs
            .iter()
            .map(|i| field(&i.name, i.dtype))
            .collect(),
        columns: columns
            .map(|(name, column)| field(name, plan.dtype(column)))
            .collect(),
        views: plan.views().map(Arc::from).collect(),
        scores: definition.scores.to_vec(),
    })
}

/// A feature's value, as the log has it.
pub(crate) fn value(value: &features::Value) -> Value {
    match value {
        features::Value::Bool(flag) => Value::Bool(*flag),
        features::Value::Int64(number) => Value::Int64(*number),
        features::Value::Float32(number) => Value::Float32(*number),
        features::Value::Float64(number) => Value::Float64(*number),
        features::Value::String(text) => Value::Text(Arc::clone(text)),
        features::Value::List(values) => Value::List(values.iter().map(self::value).collect()),
    }
}

/// What is known of a feature, as the log has it.
pub(crate) fn status(status: features::Status) -> Status {
    match status {
        features::Status::Present => Status::Present,
        features::Status::Null => Status::Null,
        features::Status::Missing => Status::Missing,
        features::Status::Stale => Status::Stale,
    }
}

/// Microseconds since the Unix epoch; before it, negative.
pub(super) fn micros_since_epoch(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
