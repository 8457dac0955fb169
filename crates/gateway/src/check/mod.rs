//! `gavel check`: everything that can be known to be wrong without running anything.
//!
//! The same readers as `gavel serve` uses, plus the model repository: every `config.pbtxt` against
//! Triton's rules, against its ONNX file, and against the features of the decisions that use it.

mod onnx;
mod widths;

use std::{collections::HashMap, sync::Arc};

use local_model::read_signature;
use tokio::sync::Notify;
use triton_client::repository::Model;

use crate::{
    binding::{ModelState, Remote, TierIssue},
    config::Config,
    decision::{self, Decisions, Definition},
    diagnostic::{Diagnostic, Report, Severity, count},
    repository::Repository,
    watch::Binder,
};

/// Checks everything; problems go to `report`. Returns what was looked at, in words.
pub fn run(config: &Config, report: &mut Report) -> String {
    let repository = Repository::read(&config.models);
    for finding in repository.findings.iter().cloned() {
        report.push(finding.into());
    }
    for model in &repository.models {
        check_onnx(model, report);
    }
    let decisions = decision::read_folder(&config.decisions, report);
    let decision_count = decisions.as_ref().map_or(0, |d| d.definitions.len());
    let feature_count = decisions
        .as_ref()
        .map_or(0, |d| d.catalog.feature_names().count());
    if let Some(decisions) = decisions {
        decision::check_settings(config, &decisions, report);
        let variants = repository.models.iter().flat_map(|model| &model.variants);
        for finding in variants.flat_map(|variant| widths::compare(variant, &decisions.catalog)) {
            report.push(finding.into());
        }
        check_bindings(decisions, &repository, report);
    }
    let counted = [
        (decision_count, "decision"),
        (feature_count, "feature"),
        (repository.models.len(), "model"),
    ];
    counted.map(|(n, thing)| count(n, thing)).join(", ")
}

/// Every variant of a model against the ONNX file that it serves.
fn check_onnx(model: &Model, report: &mut Report) {
    for variant in &model.variants {
        let Some(version) = model.versions_of(variant).last().copied() else {
            continue;
        };
        let Some(file) = model.file_of(variant, version) else {
            continue;
        };
        if file.extension().is_none_or(|extension| extension != "onnx") || !file.exists() {
            continue;
        }
        match read_signature(&file) {
            Ok(signature) => {
                for finding in onnx::compare(model, &variant.file, &variant.config, &signature) {
                    report.push(finding.into());
                }
            }
            Err(error) => report.error(&file, error.to_string(), None),
        }
    }
}

/// Every decision against the models that it names and their features.
fn check_bindings(decisions: Decisions, repository: &Repository, report: &mut Report) {
    let remote = Remote {
        endpoints: None,
        refresh: Arc::new(Notify::new()),
    };
    let states: HashMap<String, ModelState> = decisions
        .definitions
        .values()
        .flat_map(|definition| &definition.tiers)
        .filter_map(|tier| tier.kind.model())
        .map(|model| (model.name.to_string(), repository.state(&model.name)))
        .collect();
    let binder = Binder {
        catalog: decisions.catalog,
        remote,
        local: states.clone(),
    };
    for definition in decisions.definitions.values() {
        let issues = match binder.bind(definition, &states) {
            Ok(bound) => bound.issues,
            Err(unbound) => {
                let problems = unbound.problems.into_iter();
                problems.for_each(|problem| report.push(problem.into()));
                unbound.issues
            }
        };
        for issue in &issues {
            report.push(of_tier(definition, issue));
        }
    }
}

fn of_tier(definition: &Definition, issue: &TierIssue) -> Diagnostic {
    let tier = definition.tiers.iter().find(|tier| tier.name == issue.tier);
    Diagnostic {
        file: definition.file.clone(),
        span: tier.map(|tier| tier.span.clone()),
        key: format!("tiers.{}", issue.tier),
        message: issue.message.clone(),
        hint: issue.hint.clone(),
        severity: Severity::Error,
    }
}
