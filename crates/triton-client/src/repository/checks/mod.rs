//! The checks, one concern a file. Each says what it finds through a [`Lint`].

mod batching;
mod device;
mod ensemble;
mod feature_lists;
mod identity;
mod tensors;
mod versions;
mod warmups;

use super::{Finding, Model, Severity, variant::Variant};

pub(super) use ensemble::ensembles;

/// What each variant of a model says by itself.
pub(super) fn model(model: &Model, findings: &mut Vec<Finding>) {
    for variant in &model.variants {
        let mut lint = Lint { variant, findings };
        identity::check(model, &mut lint);
        versions::check(model, &mut lint);
        tensors::check(&mut lint);
        feature_lists::check(&mut lint);
        batching::check(&mut lint);
        device::check(&mut lint);
        warmups::check(model, &mut lint);
    }
}

/// Where the findings about one variant go.
struct Lint<'a> {
    variant: &'a Variant,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Lint<'a> {
    fn error(&mut self, key: &str, message: impl Into<String>) {
        self.say(Severity::Error, key, message, None);
    }

    fn error_with_hint(&mut self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.say(Severity::Error, key, message, Some(hint.into()));
    }

    fn warning(&mut self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.say(Severity::Warning, key, message, Some(hint.into()));
    }

    fn say(
        &mut self,
        severity: Severity,
        key: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.variant.was_read(key) {
            let mut finding = self.variant.finding(severity, key, message);
            finding.hint = hint;
            self.findings.push(finding);
        }
    }
}
