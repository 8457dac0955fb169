//! The log through the same models: the same bits, or which row differs; and what would have changed.
//!
//! ```text
//!  log ─► Record ─► the tier that answered, with the version that it had ─► FeatureRow ─► tensors, scores
//!                   │ a what-if names another: a version, rules, a budget        │
//!                   └────────────────────────────────────────────────────────────┴─► compared with the log
//! ```
//! A tier that answered is asked again, alone: why better ones did not is a matter of time, and time does
//! not come back. Features are restored from what was logged; what is derived is computed anew.

mod budget;
mod chains;
mod compare;
mod one;
mod report;
mod rows;
mod what_if;

use std::{ops::ControlFlow, path::PathBuf, time::Duration};

use ::decision_log::Record;
use futures::{StreamExt, stream::FuturesOrdered};
use tokio::sync::mpsc;

pub use self::{
    budget::{Budgets, ServiceTimes},
    compare::Difference,
    report::Findings,
    what_if::{Changes, Drift},
};
use self::{chains::Chains, one::One};
use crate::{
    config::Config,
    decision,
    decision_log::{self, Filter, Reading},
    diagnostic::Report,
    serve::Failure,
};

/// Records that are replayed side by side, so that Triton gets batches.
const IN_FLIGHT: usize = 64;

/// What is to be replayed, and what is to be otherwise.
#[derive(Clone, Debug)]
pub struct Question {
    /// The folder, or one segment.
    pub log: PathBuf,
    /// Which records.
    pub filter: Filter,
    /// What would be otherwise.
    pub what_if: WhatIf,
}

/// What would be otherwise than it was.
#[derive(Clone, Debug, Default)]
pub struct WhatIf {
    /// Models, and the version that would answer in place of the one that did.
    pub models: Vec<(String, String)>,
    /// The file of the rules that would answer.
    pub rules: Option<PathBuf>,
    /// The most time that a decision would have.
    pub budget: Option<Duration>,
}

impl WhatIf {
    /// Whether all is to be as it was.
    pub fn is_none(&self) -> bool {
        self.models.is_empty() && self.rules.is_none() && self.budget.is_none()
    }
}

/// Replays what is asked for.
///
/// # Errors
/// The log or the decisions cannot be read, the rules of a what-if do not fit, or no tier asks for its
/// model. A record that cannot be
/// replayed is none: it is among the findings.
pub async fn run(
    config: &Config,
    question: &Question,
    report: &mut Report,
) -> Result<Findings, Failure> {
    let written = decision::read_folder(&config.decisions, report);
    let Some(mut decisions) = written.filter(|_| report.errors() == 0) else {
        return Err(Failure("the decisions cannot be read".into()));
    };
    if let Some(file) = &question.what_if.rules {
        what_if::replace_rules(
            &mut decisions,
            file,
            question.filter.decision.as_deref(),
            report,
        )?;
    }
    let mut chains = Chains::new(config, decisions)?;
    if question.what_if.rules.is_some() {
        chains.check_rules(question.filter.decision.as_deref())?;
    }
    chains.check_models(
        &question.what_if.models,
        question.filter.decision.as_deref(),
    )?;
    let (sender, mut records) = mpsc::channel(2 * IN_FLIGHT);
    let (log, filter) = (question.log.clone(), question.filter.clone());
    let reading = tokio::task::spawn_blocking(move || send(&log, &filter, &sender));
    let mut findings = Findings::new(&question.what_if);
    let mut running = FuturesOrdered::new();
    while let Some(record) = records.recv().await {
        let one = One::new(record, &question.what_if, &mut chains).await;
        running.push_back(one.run());
        if running.len() == IN_FLIGHT
            && let Some(done) = running.next().await
        {
            findings.add(done);
        }
    }
    while let Some(done) = running.next().await {
        findings.add(done);
    }
    let reading = reading.await;
    let reading = reading.map_err(|error| Failure(format!("the log was not read: {error}")))??;
    findings.damaged = reading.damaged;
    Ok(findings)
}

fn send(
    log: &std::path::Path,
    filter: &Filter,
    sender: &mpsc::Sender<Record>,
) -> Result<Reading, Failure> {
    decision_log::read(log, filter, |record| {
        Ok(match sender.blocking_send(record) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        })
    })
}
