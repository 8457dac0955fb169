//! One record: who is asked again, or instead, and what comes of it.

use std::{sync::Arc, time::Duration};

use decision_log::Record;
use tokio::time::Instant;

use super::{
    WhatIf,
    budget::{self, Waited},
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
    Ask { way: Arc<Way>, who: Who },
    /// A what-if changes nothing about it.
    Unchanged,
    /// It cannot be.
    Impossible(Arc<str>),
}

/// Who answers on a way.
enum Who {
    /// This tier, which has as long as it needs.
    Tier(Arc<str>),
    /// Whoever in process answers first, and how long it has.
    InProcess(Duration),
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
    pub(super) tier: Arc<str>,
    pub(super) scores: Vec<f64>,
    pub(super) action: Arc<str>,
    pub(super) differences: Vec<Difference>,
}

impl One {
    pub(super) async fn new(record: Record, what_if: &WhatIf, chains: &mut Chains) -> Self {
        let tier = chains.first_remote(&record.schema.decision);
        let waited = tier.map_or(Waited::NotAsked, |tier| Waited::of(&record, &tier));
        let plan = planned(&record, what_if, chains).await;
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
            Planned::Ask { way, who } => match answer(&record, &way, &who).await {
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

async fn planned(record: &Record, what_if: &WhatIf, chains: &mut Chains) -> Planned {
    let decision = &record.schema.decision;
    if let Some(budget) = what_if.budget
        && let Some(planned) = with_less_time(record, budget, chains).await
    {
        return planned;
    }
    let Some(asked) = asked(record, what_if) else {
        return Planned::Unchanged;
    };
    match chains.way(decision, asked).await {
        Ok(way) => Planned::Ask {
            way,
            who: Who::Tier(Arc::clone(&record.tier)),
        },
        Err(why) => Planned::Impossible(why),
    }
}

/// Whoever answers in process, where who answered would not have been in time; `None` if it would. No
/// other tier over the network is asked: how long it would have taken is not in the log.
async fn with_less_time(record: &Record, budget: Duration, chains: &mut Chains) -> Option<Planned> {
    let decision = &record.schema.decision;
    let is_shorter = budget < Duration::from_micros(record.budget_us);
    let is_rules = record.tensors.is_empty();
    let is_remote = chains.is_remote(decision, &record.tier);
    if !is_shorter || is_rules || (is_remote && !budget::would_be_late(record, budget)) {
        return None;
    }
    let way = match chains.way(decision, Asked::InProcess).await {
        Ok(way) => way,
        Err(why) => return Some(Planned::Impossible(why)),
    };
    let left = budget::left_to_compute(record, budget);
    let cost = way.bound.chain.cost_of(&record.tier);
    if !is_remote && cost.is_some_and(|cost| cost <= left) {
        return None;
    }
    let who = Who::InProcess(left);
    Some(Planned::Ask { way, who })
}

/// Who is asked; `None` if a what-if leaves the record as it is.
fn asked(record: &Record, what_if: &WhatIf) -> Option<Asked> {
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
    Some(Asked::Tier {
        tier: Arc::clone(&record.tier),
        model: Arc::clone(&record.model),
        version,
        otherwise: !what_if.is_none(),
    })
}

async fn answer(record: &Record, way: &Way, who: &Who) -> Result<Answered, String> {
    let bound = &way.bound;
    let row = rows::restore(record, &way.definition.schema, &bound.plan)?;
    let (tier, scored): (Arc<str>, Scored) = match who {
        Who::Tier(tier) => {
            let until = Instant::now() + PATIENCE;
            let asked = bound.chain.ask_one(tier, &row, until).await;
            let scored = asked
                .map_err(|reason| format!("the tier `{tier}` did not answer: {}", reason.name()))?;
            (Arc::clone(tier), scored)
        }
        Who::InProcess(left) => bound.chain.first_in_process(&row, Instant::now() + *left),
    };
    let action = Arc::clone(&way.definition.policy.apply(&scored.scores).action);
    Ok(Answered {
        tier,
        differences: compare::differences(record, &row, &scored, &action),
        scores: scored.scores,
        action,
    })
}
