//! The life of a request, from a question that has been read to an answer that can be written.
//!
//! ```text
//!  Arrival --find--> Decision --type--> RequestRow --assemble--> FeatureRow --serve--> Served --policy--> Answer
//!    |                  |                  |
//!    403, 429           404                400            nothing after this point can fail
//! ```

use std::{sync::Arc, time::SystemTime};

use features::Store;
use tokio::time::Instant;

use crate::{
    admission::{Admission, Permit},
    answer::{Answer, FeatureHealth, Scores, Timings},
    binding::{Decision, Decisions},
    deadline::Deadline,
    decision_log::{Basis, DecisionLog},
    ingest::Live,
    ingress::{Arrival, Received, clients::Clients},
    pressure::Pressure,
    rejection::Rejection,
    telemetry::{DecisionMetrics, Telemetry},
    tiers::{self, Served},
    watch::FeastReadings,
};

/// What deciding needs, shared by all requests.
#[derive(Debug)]
pub struct Gateway {
    /// What can be asked.
    pub decisions: Decisions,
    /// Where features are.
    pub store: Store,
    /// How many at once.
    pub admission: Admission,
    /// Whether the process keeps up.
    pub pressure: Arc<Pressure>,
    /// Who may ask.
    pub clients: Clients,
    /// What is counted.
    pub telemetry: Telemetry,
    /// What is kept of each decision.
    pub log: DecisionLog,
    /// Whether Feast's files are followed, where there are any.
    pub feast: Option<FeastReadings>,
    /// Takes events.
    pub live: Live,
    /// The largest body read.
    pub max_body_bytes: usize,
}

/// A decision that has been made, and what counts and keeps it.
#[derive(Debug)]
pub struct Made<'g> {
    /// What the caller gets.
    pub answer: Answer,
    /// What counts it.
    pub metrics: &'g DecisionMetrics,
    /// When it must have left.
    pub deadline: Deadline,
    /// What it was made from.
    pub(crate) basis: Basis,
}

/// Makes one decision. Fails only for what is wrong with the request itself.
pub async fn decide(
    gateway: &Gateway,
    arrival: Arrival,
    _permit: Permit,
) -> Result<Made<'_>, Rejection> {
    let question = &arrival.question;
    arrival.client.may_ask(&question.decision)?;
    let decision = gateway.decisions.find(&question.decision)?;
    let (row, asked) = question.typed(&decision.definition.schema)?;
    let asked = asked.into_iter().chain(arrival.header_budget).min();
    let Received { at, run_queue } = arrival.received;
    let deadline = Deadline::new(at, decision.definition.budget, asked, run_queue);
    let bound = decision.bound.load_full();

    let assembling = Instant::now();
    let keep = bound.chain.in_process_cost();
    let until = deadline.slice(assembling, Some(decision.definition.feature_slice), keep);
    let moment = decision.definition.moment(&row, SystemTime::now());
    let features = bound
        .plan
        .assemble(&gateway.store, &row, moment, until)
        .await;
    let assembled = assembling.elapsed();
    decision.metrics.assembled(&features);

    let mut served = tiers::serve(&bound.chain, &features, deadline).await;

    let judging = Instant::now();
    let verdict = decision.definition.policy.apply(&served.scored.scores);
    let reasons = served
        .scored
        .reason
        .iter()
        .chain(&verdict.reason)
        .cloned()
        .collect();
    let timings = Timings {
        decode: arrival.decode,
        features: assembled,
        policy: judging.elapsed(),
        ..Timings::default()
    };
    let health = FeatureHealth {
        missing: features.missing().map(str::to_owned).collect(),
        null: features.null().map(str::to_owned).collect(),
        stale: features.stale().map(str::to_owned).collect(),
    };
    let action = Arc::clone(&verdict.action);
    let basis = Basis {
        schema: Arc::clone(&bound.schema),
        request: row,
        features,
        tensors: std::mem::take(&mut served.scored.seen),
        as_of: moment,
        budget: deadline.budget(),
    };
    let answer = answer(
        decision,
        arrival.question.id,
        action,
        reasons,
        health,
        served,
        timings,
    );
    Ok(Made {
        answer,
        metrics: &decision.metrics,
        deadline,
        basis,
    })
}

fn answer(
    decision: &Decision,
    id: String,
    action: Arc<str>,
    reasons: Vec<Arc<str>>,
    features: FeatureHealth,
    served: Served,
    timings: Timings,
) -> Answer {
    Answer {
        id,
        decision: Arc::clone(&decision.definition.name),
        action,
        scores: Scores {
            names: Arc::clone(&decision.definition.scores),
            values: served.scored.scores,
        },
        degraded: !served.skipped.is_empty(),
        tier: served.tier,
        model: served.scored.model,
        model_version: served.scored.version,
        arm: "default",
        skipped: served.skipped,
        features,
        timings_us: Timings {
            tiers: served.timings,
            ..timings
        },
        reasons,
    }
}
