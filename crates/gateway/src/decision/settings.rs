//! Where `gavel.toml` and the decisions contradict each other.

use features::Store;

use super::{Decisions, TierKind};
use crate::{
    config::Config,
    diagnostic::{Diagnostic, Report, Severity, did_you_mean},
};

/// What the configuration says that the decisions contradict.
pub fn check_settings(config: &Config, decisions: &Decisions, report: &mut Report) {
    for client in &config.clients {
        for name in client.decisions.iter().flatten() {
            if !decisions.definitions.contains_key(&**name) {
                let message = format!(
                    "the client `{}` may ask for `{name}`, which is no decision",
                    client.name
                );
                let known = decisions.definitions.keys().map(|known| &**known);
                report.push(Diagnostic {
                    file: config.file.clone(),
                    span: None,
                    key: String::new(),
                    message,
                    hint: did_you_mean(name, known),
                    severity: Severity::Warning,
                });
            }
        }
    }
    if let Err(error) = Store::serves(&config.store_url, &decisions.catalog) {
        report.error(&config.file, error.to_string(), None);
    }
    if let Some(by) = &config.decision_log.sample_by {
        let of_all = decisions
            .definitions
            .values()
            .flat_map(|d| &d.schema.entities);
        let mut entities = of_all.map(|entity| &*entity.name);
        if entities.clone().all(|entity| entity != by) {
            report.push(Diagnostic {
                file: config.file.clone(),
                span: None,
                key: "decision_log.sample_by".into(),
                message: format!(
                    "`decision_log.sample_by` is `{by}`, which is no decision's entity"
                ),
                hint: did_you_mean(by, &mut entities),
                severity: Severity::Warning,
            });
        }
    }
    for definition in decisions.definitions.values() {
        for tier in &definition.tiers {
            let TierKind::Triton { slice, .. } = &tier.kind else {
                continue;
            };
            let patience = slice.unwrap_or(definition.budget);
            if patience > config.triton.slow_call {
                report.push(Diagnostic {
                    file: definition.file.clone(),
                    span: Some(tier.span.clone()),
                    key: format!("tiers.{}", tier.name),
                    message: format!(
                        "tier `{}` may take {patience:?}, but a call that takes longer than {:?} counts as failed and opens the breaker",
                        tier.name, config.triton.slow_call
                    ),
                    hint: Some("give the tier a shorter `slice`, or raise `triton.slow_call` in gavel.toml".into()),
                    severity: Severity::Warning,
                });
            }
        }
    }
}
