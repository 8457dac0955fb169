//! What is counted and logged. Nothing here decides anything.
//!
//! Handles are made once, when a decision is loaded; a request only adds to them.

mod decision;
pub mod logs;
pub mod store;
pub mod triton;

use std::time::Duration;

use metrics::{Counter, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;

pub use self::decision::DecisionMetrics;
use crate::rejection::Kind;

/// Upper bounds of the latency histograms, in seconds: they resolve 1 to 100 ms, where budgets lie.
const LATENCY_BUCKETS: [f64; 24] = [
    0.000_25, 0.000_5, 0.001, 0.001_5, 0.002, 0.003, 0.004, 0.005, 0.007_5, 0.01, 0.015, 0.02,
    0.025, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.15, 0.25, 1.0,
];
/// The same for stages, some of which take microseconds.
const STAGE_BUCKETS: [f64; 18] = [
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.005,
    0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25,
];

/// A gauge that nobody has set for so long is forgotten.
const GAUGE_MAX_AGE: Duration = Duration::from_secs(30);

/// Why a request was refused as `overloaded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// As many decisions as may be are being made.
    InFlight,
    /// Requests wait for too long before they begin.
    RunQueue,
    /// As many requests as may be have come and are not answered.
    Requests,
    /// The bodies that are being read are too large together.
    Bodies,
}

impl Overload {
    /// How often it was the reason.
    pub(crate) fn counter(self) -> Counter {
        let reason = match self {
            Self::InFlight => "in_flight",
            Self::RunQueue => "run_queue",
            Self::Requests => "requests",
            Self::Bodies => "bodies",
        };
        counter!("gavel_overload_rejections_total", "reason" => reason)
    }
}

/// Counters that belong to no decision.
#[derive(Debug)]
pub struct Telemetry {
    rejected: [Counter; Kind::ALL.len()],
}

impl Telemetry {
    /// Registers the counters.
    pub fn new() -> Self {
        describe();
        triton::describe();
        store::describe();
        let telemetry = Self {
            rejected: Kind::ALL
                .map(|kind| counter!("gavel_rejections_total", "kind" => kind.name())),
        };
        telemetry.refresh();
        telemetry
    }

    /// Sets what does not change: a gauge that is not set for a while is forgotten.
    pub fn refresh(&self) {
        gauge!("gavel_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    }

    /// Counts a refused request.
    pub fn rejected(&self, kind: Kind) {
        if let Some(counter) = Kind::ALL
            .iter()
            .position(|k| *k == kind)
            .and_then(|i| self.rejected.get(i))
        {
            counter.increment(1);
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

/// Installs the process's recorder. Fails if there is one already.
pub fn install_recorder() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Full("gavel_decision_duration_seconds".into()),
            &LATENCY_BUCKETS,
        )?
        .set_buckets_for_metric(
            Matcher::Full("gavel_stage_duration_seconds".into()),
            &STAGE_BUCKETS,
        )?
        .set_buckets_for_metric(
            Matcher::Full("gavel_run_queue_wait_seconds".into()),
            &STAGE_BUCKETS,
        )?
        .set_buckets_for_metric(
            Matcher::Full("gavel_ingest_write_seconds".into()),
            &STAGE_BUCKETS,
        )?
        // What is gone (an endpoint, a model's version) is not shown as it last was.
        .idle_timeout(MetricKindMask::GAUGE, Some(GAUGE_MAX_AGE))
        .install_recorder()
}

fn describe() {
    describe_counter!(
        "gavel_decisions_total",
        "Answers, by decision, tier, action and outcome (on_time, late)."
    );
    describe_histogram!(
        "gavel_decision_duration_seconds",
        "From a request's head being read to its answer being known."
    );
    describe_histogram!(
        "gavel_stage_duration_seconds",
        "Time in one stage of a decision."
    );
    describe_counter!(
        "gavel_tier_skips_total",
        "Tiers that did not answer, by reason."
    );
    describe_counter!(
        "gavel_features_missing_total",
        "Features that were not found; their defaults were used."
    );
    describe_counter!(
        "gavel_features_null_total",
        "Features of which null is stored; their defaults were used."
    );
    describe_counter!(
        "gavel_features_stale_total",
        "Features older than their view's ttl."
    );
    describe_counter!(
        "gavel_store_reads_total",
        "Reads of the online store, by outcome; one a decision."
    );
    describe_counter!(
        "gavel_store_rows_discarded_total",
        "Rows of another schema, or corrupt: they counted as missing."
    );
    describe_counter!(
        "gavel_rejections_total",
        "Refused requests, by kind of problem."
    );
    describe_counter!(
        "gavel_overload_rejections_total",
        "Requests refused as overloaded, by reason (in_flight, run_queue, requests, bodies)."
    );
    describe_histogram!(
        "gavel_run_queue_wait_seconds",
        "How long a request waits before its first line runs, measured by a probe."
    );
    describe_gauge!(
        "gavel_shed_share",
        "The share of decisions that is refused because requests wait for too long."
    );
    describe_counter!(
        "gavel_feast_reloads_total",
        "Readings of Feast's files, by outcome (changed, unchanged, failed)."
    );
    describe_gauge!("gavel_in_flight", "Decisions being made now.");
    describe_gauge!(
        "gavel_tier_ready",
        "1 when the tier's model is loaded and fits."
    );
    describe_gauge!("gavel_build_info", "1, with the version.");
}
