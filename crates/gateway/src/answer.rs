//! What a caller gets: the decision and its explanation.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::tiers::Skipped;

/// One answer, as JSON spells it; protobuf carries the same.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The caller's own identifier.
    pub id: String,
    /// The decision asked for.
    pub decision: Arc<str>,
    /// What to do.
    pub action: Arc<str>,
    /// Scores by name.
    pub scores: Scores,
    /// Who answered.
    pub tier: Arc<str>,
    /// With what.
    pub model: Arc<str>,
    /// Which version of it.
    pub model_version: Arc<str>,
    /// The experiment's arm.
    pub arm: &'static str,
    /// Whether a better tier was skipped.
    pub degraded: bool,
    /// Which, and why.
    pub skipped: Vec<Skipped>,
    /// The state of the features used.
    pub features: FeatureHealth,
    /// Where the time went.
    pub timings_us: Timings,
    /// Why this action.
    pub reasons: Vec<Arc<str>>,
}

/// Scores by name, in the decision's order.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Names.
    pub names: Arc<[Arc<str>]>,
    /// Values, finite, one a name.
    pub values: Vec<f64>,
}

/// Features that were not as they should be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FeatureHealth {
    /// Not found: their defaults were used.
    pub missing: Vec<String>,
    /// Stored as null: their defaults were used.
    pub null: Vec<String>,
    /// Older than their view's ttl: their values were used.
    pub stale: Vec<String>,
}

/// How long each stage took.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    /// From the request's head being read to the answer being known.
    pub total: Duration,
    /// Reading the body's bytes into a question.
    pub decode: Duration,
    /// The online store and the transforms.
    pub features: Duration,
    /// Every tier that was asked, in order.
    pub tiers: Vec<(Arc<str>, Duration)>,
    /// Scores to action.
    pub policy: Duration,
}

impl Timings {
    /// Stage names and durations, in the order in which they ran, `total` first.
    pub fn stages(&self) -> impl Iterator<Item = (&str, Duration)> {
        [
            ("total", self.total),
            ("decode", self.decode),
            ("features", self.features),
        ]
        .into_iter()
        .chain(self.tiers.iter().map(|(tier, took)| (&**tier, *took)))
        .chain([("policy", self.policy)])
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (name, value) in self.names.iter().zip(&self.values) {
            map.serialize_entry(&**name, value)?;
        }
        map.end()
    }
}

impl Serialize for Timings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (stage, took) in self.stages() {
            map.serialize_entry(stage, &(took.as_micros() as u64))?;
        }
        map.end()
    }
}
