//! Which models, variants and versions a repository's folders hold.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Finding, Model, Severity, Variant};

/// Every model of the repository that has a readable configuration, in the order of their names.
pub(super) fn models(
    repository: &Path,
    config_name: Option<&str>,
    findings: &mut Vec<Finding>,
) -> Vec<Model> {
    let entries = match entries(repository) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("the model repository could not be read: {error}");
            findings.push(Finding::of_file(repository, message));
            return Vec::new();
        }
    };
    // A hidden folder is a tool's, such as `.git` or `.ipynb_checkpoints`.
    let folders = entries
        .into_iter()
        .filter(|(name, path)| path.is_dir() && !name.starts_with('.'));
    folders
        .filter_map(|(name, dir)| model(name, dir, config_name, findings))
        .collect()
}

fn model(
    name: String,
    dir: PathBuf,
    config_name: Option<&str>,
    findings: &mut Vec<Finding>,
) -> Option<Model> {
    let mut variants = Vec::new();
    let files = config_files(&dir);
    if files.is_empty() {
        let mut finding = Finding::of_file(
            &dir,
            "there is no config.pbtxt: Triton would guess what the model takes, and Gavel cannot",
        );
        finding.hint("write config.pbtxt, or move what is no model out of the repository");
        findings.push(finding);
        return None;
    }
    for (variant, file) in files {
        variants.extend(Variant::read(variant, file, findings));
    }
    let mut model = Model {
        folders: versions(&dir, findings),
        name,
        dir,
        config: Default::default(),
        config_file: PathBuf::new(),
        versions: Vec::new(),
        variants,
    };
    let chosen = model.variant(config_name)?.file.clone();
    for variant in &mut model.variants {
        variant.chosen = variant.file == chosen;
        if variant.chosen {
            variant.served_as = config_name.map(str::to_owned);
        }
    }
    let variant = model.chosen()?.clone();
    model.versions = model.versions_of(&variant);
    model.config = variant.config;
    model.config_file = chosen;
    Some(model)
}

/// `config.pbtxt` and `configs/*.pbtxt`, those that exist.
fn config_files(dir: &Path) -> Vec<(Option<String>, PathBuf)> {
    let mut files = Vec::new();
    let default = dir.join("config.pbtxt");
    if default.exists() {
        files.push((None, default));
    }
    for (name, path) in entries(&dir.join("configs")).unwrap_or_default() {
        if let Some(variant) = name.strip_suffix(".pbtxt") {
            files.push((Some(variant.to_owned()), path));
        }
    }
    files
}

/// The folders that Triton takes for versions: numbers that do not start with zero.
fn versions(dir: &Path, findings: &mut Vec<Finding>) -> Vec<u64> {
    let mut versions = Vec::new();
    for (name, path) in entries(dir).unwrap_or_default() {
        if !path.is_dir() || !name.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        match name.parse::<u64>() {
            Ok(version) if !name.starts_with('0') => versions.push(version),
            _ => {
                let mut finding = Finding::of_file(
                    path,
                    "Triton ignores this folder: a version is a number that does not start with 0",
                );
                finding.severity = Severity::Warning;
                findings.push(finding);
            }
        }
    }
    versions.sort_unstable();
    versions
}

/// Names and paths in a folder, in the order of their names.
fn entries(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(name) = path.file_name() {
            entries.push((name.to_string_lossy().into_owned(), path));
        }
    }
    entries.sort();
    Ok(entries)
}
