//! Version folders, the policy that picks among them, and the files that they must hold.

use std::path::PathBuf;

use super::{Finding, Lint, Model, Severity};
use crate::VersionPolicy;

pub(super) fn check(model: &Model, lint: &mut Lint<'_>) {
    let variant = lint.variant;
    if model.folders.is_empty() {
        let mut finding = Finding::of_file(
            &model.dir,
            "there is no version folder, so Triton has nothing to load",
        );
        finding.hint(if variant.config.is_ensemble() {
            "make an empty folder `1`: an ensemble needs one too".to_owned()
        } else {
            "put the model's file into a folder `1`".to_owned()
        });
        lint.findings.push(finding);
        return;
    }
    policy(model, lint);
    for version in model.versions_of(variant) {
        for file in files(model, lint, version) {
            if !file.exists() {
                missing(lint, version, file);
            }
        }
    }
}

fn policy(model: &Model, lint: &mut Lint<'_>) {
    let none = "the version policy picks no version, so Triton has nothing to load";
    match &lint.variant.config.version_policy {
        Some(VersionPolicy::Specific(wanted)) => {
            if wanted.is_empty() {
                lint.error("version_policy.specific", none);
            }
            for (index, version) in wanted.iter().enumerate() {
                let there = u64::try_from(*version).is_ok_and(|v| model.folders.contains(&v));
                if !there {
                    lint.error(
                        &format!("version_policy.specific.versions[{index}]"),
                        format!(
                            "version {version} has no folder; there is {}",
                            list(&model.folders)
                        ),
                    );
                }
            }
        }
        Some(VersionPolicy::Latest(0)) => lint.error("version_policy.latest", none),
        Some(VersionPolicy::Latest(_) | VersionPolicy::All) | None => {}
    }
}

/// The files that a version needs under this variant.
fn files(model: &Model, lint: &Lint<'_>, version: u64) -> Vec<PathBuf> {
    let folder = model.dir.join(version.to_string());
    let config = &lint.variant.config;
    let by_capability = config.compute_capability_filenames.values();
    by_capability
        .map(|name| folder.join(name))
        .chain(model.file_of(lint.variant, version))
        .collect()
}

fn missing(lint: &mut Lint<'_>, version: u64, file: PathBuf) {
    let config = &lint.variant.config;
    let key = if !config.default_model_filename.is_empty() {
        "default_model_filename"
    } else if config.backend.is_empty() && !config.platform.is_empty() {
        "platform"
    } else {
        "backend"
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let message =
        format!("version {version} lacks the file '{name}' that this configuration serves");
    // A variant that nobody chose may wait for a file that is built on another machine.
    let severity = if lint.variant.chosen {
        Severity::Error
    } else {
        Severity::Warning
    };
    let hint = format!("expected at {}", file.display());
    lint.say(severity, key, message, Some(hint));
}

fn list(versions: &[u64]) -> String {
    let versions: Vec<String> = versions.iter().map(u64::to_string).collect();
    versions.join(", ")
}
