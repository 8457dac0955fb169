//! Counters of one decision, made when it is loaded.

use std::{collections::HashMap, sync::Arc};

use features::{FeatureRow, StoreOutcome};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use parking_lot::RwLock;

use crate::{
    answer::Answer,
    decision::{Definition, TierKind},
    tiers::SkipReason,
};

/// Counters of one decision.
#[derive(Debug)]
pub struct DecisionMetrics {
    decision: Arc<str>,
    tiers: Vec<TierMetrics>,
    decode: Histogram,
    features: Histogram,
    policy: Histogram,
    missing: PerFeature,
    null: PerFeature,
    stale: PerFeature,
    /// In the order of [`STORE_OUTCOMES`].
    store: [Counter; STORE_OUTCOMES.len()],
    discarded: Counter,
}

/// What may become of the one call to the online store.
const STORE_OUTCOMES: [StoreOutcome; 4] = [
    StoreOutcome::NotAsked,
    StoreOutcome::Answered,
    StoreOutcome::TimedOut,
    StoreOutcome::Unavailable,
];

#[derive(Debug)]
struct TierMetrics {
    name: Arc<str>,
    /// By action, on time and late.
    answered: Vec<(Arc<str>, [Counter; 2])>,
    total: Histogram,
    stage: Histogram,
    /// By reason, in the order of [`SkipReason::ALL`]; rules are never skipped.
    skips: Vec<Counter>,
    ready: Gauge,
}

impl DecisionMetrics {
    /// Registers the counters of a decision.
    pub fn new(definition: &Definition) -> Self {
        let decision = &definition.name;
        let stage = |stage: &str| histogram!("gavel_stage_duration_seconds", "decision" => decision.to_string(), "stage" => stage.to_owned());
        let tiers = definition.tiers.iter().map(|tier| {
            let label = || {
                [
                    ("decision", decision.to_string()),
                    ("tier", tier.name.to_string()),
                ]
            };
            let ready = gauge!("gavel_tier_ready", &label());
            ready.set(if matches!(tier.kind, TierKind::Rules(_)) {
                1.0
            } else {
                0.0
            });
            TierMetrics {
                name: tier.name.clone(),
                answered: definition
                    .policy
                    .actions()
                    .map(|action| {
                        let counter = |outcome: &'static str| {
                            counter!(
                                "gavel_decisions_total",
                                "decision" => decision.to_string(), "tier" => tier.name.to_string(),
                                "action" => action.to_string(), "outcome" => outcome
                            )
                        };
                        (action.clone(), [counter("on_time"), counter("late")])
                    })
                    .collect(),
                total: histogram!("gavel_decision_duration_seconds", &label()),
                stage: stage(&tier.name),
                skips: tier
                    .kind
                    .model()
                    .map(|_| {
                        SkipReason::ALL.map(|reason| {
                            counter!(
                                "gavel_tier_skips_total",
                                "decision" => decision.to_string(), "tier" => tier.name.to_string(),
                                "reason" => reason.name()
                            )
                        })
                    })
                    .into_iter()
                    .flatten()
                    .collect(),
                ready,
            }
        });
        Self {
            tiers: tiers.collect(),
            decode: stage("decode"),
            features: stage("features"),
            policy: stage("policy"),
            missing: PerFeature::new("gavel_features_missing_total"),
            null: PerFeature::new("gavel_features_null_total"),
            stale: PerFeature::new("gavel_features_stale_total"),
            store: STORE_OUTCOMES.map(|outcome| {
                counter!(
                    "gavel_store_reads_total",
                    "decision" => decision.to_string(), "outcome" => outcome.name()
                )
            }),
            discarded: counter!(
                "gavel_store_rows_discarded_total",
                "decision" => decision.to_string()
            ),
            decision: decision.clone(),
        }
    }

    /// Counts what the online store gave.
    pub fn assembled(&self, row: &FeatureRow) {
        let outcomes = STORE_OUTCOMES.iter().zip(&self.store);
        for (_, counter) in outcomes.filter(|(outcome, _)| **outcome == row.store()) {
            counter.increment(1);
        }
        self.discarded.increment(u64::from(row.discarded_rows()));
    }

    /// Counts an answer.
    pub fn answered(&self, answer: &Answer, late: bool) {
        for tier in &self.tiers {
            if let Some((_, took)) = answer
                .timings_us
                .tiers
                .iter()
                .find(|(name, _)| *name == tier.name)
            {
                tier.stage.record(*took);
            }
            if tier.name == answer.tier {
                tier.total.record(answer.timings_us.total);
                if let Some((_, counters)) = tier
                    .answered
                    .iter()
                    .find(|(action, _)| *action == answer.action)
                {
                    counters[usize::from(late)].increment(1);
                }
            }
            let skipped = answer
                .skipped
                .iter()
                .find(|skipped| skipped.tier == tier.name);
            if let Some(counter) =
                skipped.and_then(|skipped| tier.skips.get(skipped.reason as usize))
            {
                counter.increment(1);
            }
        }
        self.decode.record(answer.timings_us.decode);
        self.features.record(answer.timings_us.features);
        self.policy.record(answer.timings_us.policy);
        self.missing.count(&self.decision, &answer.features.missing);
        self.null.count(&self.decision, &answer.features.null);
        self.stale.count(&self.decision, &answer.features.stale);
    }

    /// Says whether a tier's model is loaded and fits.
    pub fn tier_ready(&self, tier: &str, ready: bool) {
        if let Some(tier) = self.tiers.iter().find(|t| *t.name == *tier) {
            tier.ready.set(if ready { 1.0 } else { 0.0 });
        }
    }
}

/// A counter a feature, made when the feature is first missed.
#[derive(Debug)]
struct PerFeature {
    metric: &'static str,
    counters: RwLock<HashMap<String, Counter>>,
}

impl PerFeature {
    fn new(metric: &'static str) -> Self {
        Self {
            metric,
            counters: RwLock::default(),
        }
    }

    fn count(&self, decision: &str, features: &[String]) {
        for feature in features {
            if let Some(counter) = self.counters.read().get(feature) {
                counter.increment(1);
                continue;
            }
            let counter = counter!(self.metric, "decision" => decision.to_owned(), "feature" => feature.clone());
            counter.increment(1);
            self.counters.write().insert(feature.clone(), counter);
        }
    }
}
