//! A model repository read offline, and everything in it that Triton would refuse or that somebody
//! would regret: what `gavel check` says of it.
//!
//! ```text
//!  <repository>/<model>/config.pbtxt, configs/*.pbtxt ──> Variant (config, places of its fields)
//!                       1/, 2/, …                     ──> versions, model files
//!                                                            |
//!    checks: every variant by itself; ensembles with the variants of the models they run
//!                                                            v
//!                                                    [Model], [Finding]
//! ```
//!
//! The errors are those of a real Triton 2.51, and a few that Triton lets pass and Gavel cannot
//! use. Not here: what the models' files hold, which needs an ONNX reader and belongs to whoever
//! has one.

mod checks;
mod finding;
mod lex;
mod model;
mod nearest;
mod outline;
mod path;
mod scan;
mod variant;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use finding::{Finding, Severity};
pub use model::Model;
pub use variant::Variant;

/// Reads and checks every model of `repository`, in all variants of its configuration, as a
/// server started with `--model-config-name CONFIG_NAME` would choose among them.
///
/// Every model with a readable configuration is returned, also if there are findings about it.
/// Findings are in the order of their files and places.
pub fn inspect(repository: &Path, config_name: Option<&str>) -> (Vec<Model>, Vec<Finding>) {
    let mut findings = Vec::new();
    let models = scan::models(repository, config_name, &mut findings);
    for model in &models {
        checks::model(model, &mut findings);
    }
    checks::ensembles(&models, &mut findings);
    findings.sort_by(|a, b| order(a).cmp(&order(b)));
    findings.dedup();
    (models, findings)
}

fn order(finding: &Finding) -> impl Ord {
    let start = finding.span.as_ref().map(|span| span.start);
    let Finding {
        file, key, message, ..
    } = finding;
    (file.clone(), start, key.clone(), message.clone())
}
