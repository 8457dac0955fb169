//! What a decision is: a file that says what is asked, of which tiers, and what the scores mean.
//!
//! This is the written form, checked on its own. Binding it to models and features (`binding`) and
//! running it (`pipeline`) happen elsewhere.

mod as_of;
mod policy;
mod request;
pub(crate) mod rules;
mod settings;
mod tier;

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use features::{Catalog, RequestRow, RequestSchema};

use self::as_of::AsOf;
pub use self::settings::check_settings;
pub use self::{
    policy::{Policy, Verdict},
    tier::{ScoreSource, TierDefinition, TierKind, TierModel},
};
use crate::{
    diagnostic::{Diagnostic, Report, Severity},
    reader::{self, Problems},
};

/// The longest budget a decision may have.
const MAX_BUDGET: Duration = Duration::from_secs(10);

/// One decision, as its file says.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The file.
    pub file: PathBuf,
    /// What callers ask for.
    pub name: Arc<str>,
    /// The budget when the caller names none, and the most a caller gets.
    pub budget: Duration,
    /// Entities and inputs that a request carries.
    pub schema: RequestSchema,
    /// The most time that reading features may take.
    pub feature_slice: Duration,
    /// Which input says at what moment the features are measured.
    pub(crate) as_of: Option<AsOf>,
    /// Score names, in the order every tier reports them.
    pub scores: Arc<[Arc<str>]>,
    /// Tiers, best first; the last is rules.
    pub tiers: Vec<TierDefinition>,
    /// What the scores mean.
    pub policy: Policy,
    /// What an answer of the best tier is worth, where requests are not all worth the same.
    pub priority: Option<Priority>,
}

/// `priority = "request.amount"`: which requests get the best tier when it cannot answer all.
#[derive(Clone, Debug)]
pub struct Priority {
    /// A numeric feature; more is worth more.
    pub feature: String,
    /// Where it is written, for messages.
    pub(crate) span: Range<usize>,
}

impl Definition {
    /// The moment at which this request's features are measured: what it says itself, where the
    /// decision lets it, or else `now`.
    pub(crate) fn moment(&self, request: &RequestRow, now: SystemTime) -> SystemTime {
        let said = self.as_of.and_then(|as_of| as_of.of(request));
        said.unwrap_or(now)
    }
}

/// All decisions of a folder and the features they share.
#[derive(Debug)]
pub struct Decisions {
    /// Entities, views and derived features.
    pub catalog: Catalog,
    /// By name.
    pub definitions: BTreeMap<Arc<str>, Definition>,
}

/// Reads `features.toml` and every decision of `folder`. Problems go to `report`; without features
/// there is nothing to bind decisions to.
pub fn read_folder(folder: &Path, report: &mut Report) -> Option<Decisions> {
    let catalog = read_catalog(&folder.join("features.toml"), report);
    let mut definitions: BTreeMap<Arc<str>, Definition> = BTreeMap::new();
    for file in decision_files(folder, report) {
        let Some(definition) = read_file(&file, report) else {
            continue;
        };
        if let Some(earlier) = definitions.get(&definition.name) {
            let message = format!(
                "the decision `{}` is already defined in {}",
                definition.name,
                earlier.file.display()
            );
            report.error(
                &file,
                message,
                Some("give one of them another `name`".to_owned()),
            );
            continue;
        }
        definitions.insert(definition.name.clone(), definition);
    }
    if definitions.is_empty() && report.errors() == 0 {
        let hint = "a decision is a file such as fraud.toml; docs/ml-engineers.md shows one";
        report.error(
            folder,
            "no decision found in this folder",
            Some(hint.to_owned()),
        );
    }
    Some(Decisions {
        catalog: catalog?,
        definitions,
    })
}

/// Reads a table of rules by itself.
pub(crate) fn read_rules(file: &Path, report: &mut Report) -> Option<rules::RuleTable> {
    rules::read(file, 0..0, &mut Problems::new(file, report))
}

fn read_catalog(file: &Path, report: &mut Report) -> Option<Catalog> {
    let source = match std::fs::read_to_string(file) {
        Ok(source) => source,
        Err(error) => {
            report.error(file, format!("cannot read the features: {error}"), None);
            return None;
        }
    };
    report.add_source(file, source.as_str());
    let folder = file.parent().unwrap_or(Path::new(""));
    let problems = match Catalog::parse_in(folder, &source) {
        Ok(catalog) => return Some(catalog),
        Err(problems) => problems,
    };
    for problem in problems {
        report.push(Diagnostic {
            file: file.to_owned(),
            span: Some(problem.span),
            key: problem.key,
            message: problem.message,
            hint: problem.hint,
            severity: Severity::Error,
        });
    }
    None
}

/// `*.toml`, but for the features and the rule tables, in order of name.
fn decision_files(folder: &Path, report: &mut Report) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            report.error(
                folder,
                format!("cannot read the folder of decisions: {error}"),
                None,
            );
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // Editors' and file systems' own files begin with a dot.
            !name.starts_with('.')
                && name.ends_with(".toml")
                && !name.ends_with(".rules.toml")
                && name != "features.toml"
        })
        .collect();
    files.sort();
    files
}

fn read_file(file: &Path, report: &mut Report) -> Option<Definition> {
    let source = match std::fs::read_to_string(file) {
        Ok(source) => source,
        Err(error) => {
            report.error(file, format!("cannot read the decision: {error}"), None);
            return None;
        }
    };
    report.add_source(file, source.as_str());
    let errors_before = report.errors();
    let mut problems = Problems::new(file, report);
    let mut root = reader::parse(&source, &mut problems);
    let name = root.required_name("name", &mut problems);
    if !root.has("budget") {
        let hint = Some("for example budget = \"95ms\"".to_owned());
        problems.error(
            root.span(),
            "budget",
            "`budget` is missing, expected a duration",
            hint,
        );
    }
    let budget = root.duration("budget", &mut problems);
    if let Some(budget) = &budget
        && budget.value > MAX_BUDGET
    {
        let message = format!(
            "`budget` is {:?}, expected at most {MAX_BUDGET:?}",
            budget.value
        );
        problems.error(budget.span.clone(), "budget", message, None);
    }
    let schema = request::read(&mut root, &mut problems);
    let mut features = root.table("features", &mut problems);
    let feature_slice = features.duration("slice", &mut problems);
    let as_of = AsOf::read(&mut features, &schema, &mut problems);
    features.finish(&mut problems);
    let default_score = name.as_ref().map_or_else(String::new, |n| n.value.clone());
    let tiers = root.tables("tiers", &mut problems);
    let tiers = tier::read(tiers, root.span(), &default_score, file, &mut problems);
    if let Some(budget) = &budget {
        tier::check_slices(&tiers, budget.value, &mut problems);
        if let Some(slice) = feature_slice
            .as_ref()
            .filter(|slice| slice.value > budget.value)
        {
            let message = format!(
                "`features.slice` is {:?}, more than the budget of {:?}",
                slice.value, budget.value
            );
            problems.error(slice.span.clone(), "features.slice", message, None);
        }
    }
    let scores: Arc<[Arc<str>]> = tiers
        .first()
        .map(TierDefinition::score_names)
        .unwrap_or_default();
    let policy_table = root.table("policy", &mut problems);
    let policy = policy::read(policy_table, &scores, &mut problems);
    let priority = root
        .string("priority", &mut problems)
        .map(|written| Priority {
            feature: written.value,
            span: written.span,
        });
    root.finish(&mut problems);
    if report.errors() > errors_before {
        return None;
    }
    Some(Definition {
        file: file.to_owned(),
        name: name?.value.into(),
        budget: budget?.value,
        schema,
        feature_slice: feature_slice.map_or(Duration::from_millis(10), |slice| slice.value),
        as_of,
        scores,
        tiers,
        policy: policy?,
        priority,
    })
}
