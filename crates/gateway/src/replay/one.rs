//! One record: who is asked again, or instead, and what comes of it.

use std::{sync::Arc, time::Duration};

use decision_log::Record;
use tokio::time::Instant;

use super::{
    WhatIf,
    budget::Waited,
    chains::{Asked, Chains, Way},
    compare::{self, Difference},
    rows,
};
use crate::tiers::Scored;

/// A row waits for nobody here but Triton, which has as long as it needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A record and who is to answer it.
pub(super) struct One {
    record: Record,
    waited: Waited,
    plan: Planned,
}

enum Planned {
    /// The tier that answered, once more; or another, with what.
    Ask {
        way: Arc<Way>,
        tier: Option<Arc<str>>,
    },
    /// A what-if changes nothing about it.
    Unchanged,
    /// It cannot be.
    Impossible(Arc<str>),
}

/// What came of a record.
pub(super) struct Done {
    pub(super) record: Record,
    pub(super) waited: Waited,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// Somebody answered it.
    Answered(Answered),
    /// A what-if changes nothing about it.
    Unchanged,
    /// Why it could not be replayed.
    NotReplayed(String),
}

/// An answer to a record.
pub(super) struct Answered {
    pub(super) scores: Vec<f64>,
    pub(super) action: Arc<str>,
    pub(super) differences: Vec<Difference>,
}

impl One {
    pub(super) async fn new(record: Record, what_if: &WhatIf, chains: &mut Chains) -> Self {
        let tier = chains.first_remote(&record.schema.decision);
        let waited = tier.map_or(Waited::NotAsked, |tier| Waited::of(&record, &tier));
        let plan = planned(&record, waited, what_if, chains).await;
        Self {
            record,
            waited,
            plan,
        }
    }

    pub(super) async fn run(self) -> Done {
        let record = self.record;
        let outcome = match self.plan {
            Planned::Unchanged => Outcome::Unchanged,
            Planned::Impossible(why) => Outcome::NotReplayed(why.to_string()),
            Planned::Ask { way, tier } => match answer(&record, &way, tier.as_deref()).await {
                Ok(answered) => Outcome::Answered(answered),
                Err(why) => Outcome::NotReplayed(why),
            },
        };
        Done {
            record,
            waited: self.waited,
            outcome,
        }
    }
}

async fn planned(
    record: &Record,
    waited: Waited,
    what_if: &WhatIf,
    chains: &mut Chains,
) -> Planned {
    let decision = &record.schema.decision;
    let (asked, tier) = match asked(record, waited, what_if) {
        Some(asked) => asked,
        None => return Planned::Unchanged,
    };
    match chains.way(decision, asked).await {
        Ok(way) => Planned::Ask { way, tier },
        Err(why) => Planned::Impossible(why),
    }
}

/// Who is asked; `None` if a what-if leaves the record as it is. Without a tier, whoever answers first
/// in process.
fn asked(record: &Record, waited: Waited, what_if: &WhatIf) -> Option<(Asked, Option<Arc<str>>)> {
    if let Some(budget) = what_if.budget
        && waited.would_be_late(record, budget)
    {
        return Some((Asked::InProcess, None));
    }
    let other = what_if
        .models
        .iter()
        .find(|(model, _)| **model == *record.model);
    // The model of rules is their table; a model's reasons come from the policy alone.
    let is_rules = record.tensors.is_empty();
    let version = match other {
        Some((_, version)) => version.as_str().into(),
        None if what_if.is_none() || (what_if.rules.is_some() && is_rules) => {
            Arc::clone(&record.version)
        }
        None => return None,
    };
    let asked = Asked::Tier {
        tier: Arc::clone(&record.tier),
        model: Arc::clone(&record.model),
        version,
        otherwise: !what_if.is_none(),
    };
    Some((asked, Some(Arc::clone(&record.tier))))
}

async fn answer(record: &Record, way: &Way, tier: Option<&str>) -> Result<Answered, String> {
    let bound = &way.bound;
    let row = rows::restore(record, &way.definition.schema, &bound.plan)?;
    let scored: Scored = match tier {
        Some(tier) => {
            let asked = bound
                .chain
                .ask_one(tier, &row, Instant::now() + PATIENCE)
                .await;
            asked
                .map_err(|reason| format!("the tier `{tier}` did not answer: {}", reason.name()))?
        }
        None => bound
            .chain
            .first_in_process(&row, Instant::now() + PATIENCE),
    };
    let action = Arc::clone(&way.definition.policy.apply(&scored.scores).action);
    Ok(Answered {
        differences: compare::differences(record, &row, &scored, &action),
        scores: scored.scores,
        action,
    })
}
