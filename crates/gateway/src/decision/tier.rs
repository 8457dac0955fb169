//! `[[tiers]]`: who is asked, best first, and which output is which score.
//!
//! Tiers over the network come first, then in-process models, then rules, which always answer: this
//! order is what lets a cheaper answer be ready before it is needed.

use std::{ops::Range, path::Path, sync::Arc, time::Duration};

use super::rules::{self, RuleTable};
use crate::reader::{Problems, Table};

/// What timings name beside the tiers.
const STAGES: [&str; 4] = ["total", "decode", "features", "policy"];

/// One tier of a decision.
#[derive(Clone, Debug)]
pub struct TierDefinition {
    /// `primary`, `secondary`, `rules`, …
    pub name: Arc<str>,
    /// Who answers.
    pub kind: TierKind,
    /// Views without which this tier is not asked.
    pub requires: Vec<String>,
    /// Where this tier is written, for messages.
    pub(crate) span: Range<usize>,
}

/// Who answers for a tier.
#[derive(Clone, Debug)]
pub enum TierKind {
    /// A model that Triton serves.
    Triton {
        /// Which.
        model: TierModel,
        /// The most time it gets; `None` is all that is left.
        slice: Option<Duration>,
    },
    /// A model run in process.
    Onnx {
        /// Which.
        model: TierModel,
    },
    /// A decision table.
    Rules(RuleTable),
}

/// The model of a tier.
#[derive(Clone, Debug)]
pub struct TierModel {
    /// Its name in the model repository.
    pub name: Arc<str>,
    /// Which output is which score.
    pub scores: Vec<ScoreSource>,
    /// Input tensors and their features, for a model that does not describe itself.
    pub inputs: Vec<(String, Vec<String>)>,
}

impl TierKind {
    /// The tier's model; rules have none.
    pub fn model(&self) -> Option<&TierModel> {
        match self {
            Self::Triton { model, .. } | Self::Onnx { model } => Some(model),
            Self::Rules(_) => None,
        }
    }
}

/// Where a score is found in a model's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreSource {
    /// The score's name.
    pub score: Arc<str>,
    /// The output tensor.
    pub output: Arc<str>,
    /// The element of a row.
    pub index: usize,
}

impl TierDefinition {
    /// The names of the scores that this tier reports, in order.
    pub fn score_names(&self) -> Arc<[Arc<str>]> {
        match &self.kind {
            TierKind::Triton { model, .. } | TierKind::Onnx { model } => {
                model.scores.iter().map(|s| s.score.clone()).collect()
            }
            TierKind::Rules(table) => table.scores.clone(),
        }
    }

    /// The most time that a tier over the network gets.
    pub fn slice(&self) -> Option<Duration> {
        match self.kind {
            TierKind::Triton { slice, .. } => slice,
            TierKind::Onnx { .. } | TierKind::Rules(_) => None,
        }
    }

    /// 0 for a network tier, 1 for an in-process model, 2 for rules.
    fn rank(&self) -> u8 {
        match self.kind {
            TierKind::Triton { .. } => 0,
            TierKind::Onnx { .. } => 1,
            TierKind::Rules(_) => 2,
        }
    }
}

/// Reads `[[tiers]]` and checks their order and their scores against each other.
pub(super) fn read(
    tables: Vec<Table<'_>>,
    file_span: Range<usize>,
    default_score: &str,
    file: &Path,
    p: &mut Problems<'_>,
) -> Vec<TierDefinition> {
    let written = tables.len();
    let tiers: Vec<TierDefinition> = tables
        .into_iter()
        .filter_map(|table| read_one(table, default_score, file, p))
        .collect();
    if tiers.len() < written {
        return tiers;
    }
    let rules = tiers.iter().filter(|tier| tier.rank() == 2).count();
    if rules != 1 || tiers.last().is_none_or(|tier| tier.rank() != 2) {
        let span = tiers.last().map_or(file_span, |tier| tier.span.clone());
        let hint = Some(
            "end with [[tiers]] name = \"rules\", kind = \"rules\", table = \"NAME.rules.toml\""
                .into(),
        );
        p.error(
            span,
            "tiers",
            "the last tier, and only the last, must be of kind \"rules\": it always answers",
            hint,
        );
    }
    for pair in tiers.windows(2) {
        if pair[0].rank() > pair[1].rank() {
            let message = format!("tier `{}` is slower than the tier before it", pair[1].name);
            p.error(
                pair[1].span.clone(),
                "tiers",
                message,
                Some("order: triton, onnx, rules".into()),
            );
        }
    }
    for (i, tier) in tiers.iter().enumerate() {
        if tiers[..i].iter().any(|earlier| earlier.name == tier.name) {
            p.error(
                tier.span.clone(),
                "tiers",
                format!("there are two tiers named `{}`", tier.name),
                None,
            );
        }
        if tier.score_names() != tiers[0].score_names() {
            let message = format!(
                "tier `{}` reports the scores {}, but tier `{}` reports {}",
                tier.name,
                tier.score_names().join(", "),
                tiers[0].name,
                tiers[0].score_names().join(", ")
            );
            p.error(
                tier.span.clone(),
                "tiers",
                message,
                Some("every tier reports the same scores".into()),
            );
        }
    }
    tiers
}

/// Slices leave time for the tiers after them, and for each other.
pub(super) fn check_slices(tiers: &[TierDefinition], budget: Duration, p: &mut Problems<'_>) {
    let remote: Vec<&TierDefinition> = tiers.iter().filter(|tier| tier.rank() == 0).collect();
    let mut sum = Duration::ZERO;
    for (i, tier) in remote.iter().enumerate() {
        let Some(slice) = tier.slice() else {
            if i + 1 < remote.len() {
                let message = format!(
                    "tier `{}` has no `slice`, so it may use all the time and tier `{}` is never asked",
                    tier.name,
                    remote[i + 1].name
                );
                p.error(
                    tier.span.clone(),
                    "tiers.slice",
                    message,
                    Some("for example slice = \"30ms\"".into()),
                );
            }
            continue;
        };
        sum += slice;
        if sum > budget {
            let message = format!(
                "the slices up to tier `{}` are {sum:?}, more than the budget of {budget:?}",
                tier.name
            );
            p.error(tier.span.clone(), "tiers.slice", message, None);
        }
    }
}

fn read_one(
    mut table: Table<'_>,
    default_score: &str,
    file: &Path,
    p: &mut Problems<'_>,
) -> Option<TierDefinition> {
    let span = table.span();
    let name = table.required_name("name", p);
    if let Some(name) = name.as_ref().filter(|name| STAGES.contains(&&*name.value)) {
        let message = format!("a tier cannot be named `{}`", name.value);
        let hint = format!("stages of every decision: {}", STAGES.join(", "));
        p.error(name.span.clone(), table.key("name"), message, Some(hint));
    }
    let kind = table.required_string("kind", p)?;
    let requires = if kind.value == "rules" {
        Vec::new()
    } else {
        table.strings("requires", p).unwrap_or_default()
    };
    let kind = match kind.value.as_str() {
        "triton" => {
            let slice = table.duration("slice", p).map(|slice| slice.value);
            model(&mut table, default_score, p).map(|model| TierKind::Triton { model, slice })
        }
        "onnx" => model(&mut table, default_score, p).map(|model| TierKind::Onnx { model }),
        "rules" => {
            let written = table.required_string("table", p);
            written
                .and_then(|written| {
                    let path = file.with_file_name(&written.value);
                    rules::read(&path, written.span, p)
                })
                .map(TierKind::Rules)
        }
        other => {
            let hint = Some("kinds: triton, onnx, rules".into());
            p.error(
                kind.span,
                table.key("kind"),
                format!("`{}` is \"{other}\"", table.key("kind")),
                hint,
            );
            return None;
        }
    };
    table.finish(p);
    Some(TierDefinition {
        name: name?.value.into(),
        kind: kind?,
        requires: requires.into_iter().map(|view| view.value).collect(),
        span,
    })
}

fn model(table: &mut Table<'_>, default_score: &str, p: &mut Problems<'_>) -> Option<TierModel> {
    let name = table.required_string("model", p);
    let scores = scores(table, default_score, p);
    let inputs = inputs(table, p);
    Some(TierModel {
        name: name?.value.into(),
        scores,
        inputs,
    })
}

/// `scores = { fraud = "score", other = { output = "probabilities", index = 1 } }`.
fn scores(table: &mut Table<'_>, default_score: &str, p: &mut Problems<'_>) -> Vec<ScoreSource> {
    let mut sources = Vec::new();
    for (name, value) in table.table("scores", p).rest() {
        let score: Arc<str> = name.value.into();
        if let Some(output) = value.as_str() {
            sources.push(ScoreSource {
                score,
                output: output.into(),
                index: 0,
            });
        } else if let Some(mut place) = value.into_table(p) {
            let output = place.required_string("output", p);
            let index = place.integer("index", 0..=1_000_000, p).unwrap_or(0) as usize;
            place.finish(p);
            if let Some(output) = output {
                sources.push(ScoreSource {
                    score,
                    output: output.value.into(),
                    index,
                });
            }
        }
    }
    if sources.is_empty() {
        sources.push(ScoreSource {
            score: default_score.into(),
            output: "score".into(),
            index: 0,
        });
    }
    sources
}

/// `inputs = { features = ["amount_log", "card.txn_count_24h"] }`.
fn inputs(table: &mut Table<'_>, p: &mut Problems<'_>) -> Vec<(String, Vec<String>)> {
    let mut tensors = Vec::new();
    for (tensor, value) in table.table("inputs", p).rest() {
        let names = value.as_literals().and_then(|literals| {
            literals
                .into_iter()
                .map(|literal| literal.into_text())
                .collect::<Option<Vec<String>>>()
        });
        match names {
            Some(names) if !names.is_empty() => tensors.push((tensor.value, names)),
            _ => {
                let message = format!(
                    "`{}` is {}, expected a list of features",
                    value.key(),
                    value.describe()
                );
                p.error(value.span(), value.key(), message, None);
            }
        }
    }
    tensors
}
