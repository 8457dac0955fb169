//! `[policy]`: scores → action, pure.

use std::sync::Arc;

use crate::reader::{Problems, Table};

/// Thresholds over one score, lowest first.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which score, by its place in the decision's scores.
    score: usize,
    bands: Vec<Band>,
    last: Verdict,
}

/// What to do, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `approve`, `review`, `decline`, …
    pub action: Arc<str>,
    /// The policy's word for it, if it has one.
    pub reason: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
struct Band {
    below: f64,
    verdict: Verdict,
}

impl Policy {
    /// The verdict for finite `scores`, given in the order of the decision's score names.
    pub fn apply(&self, scores: &[f64]) -> &Verdict {
        let score = scores.get(self.score).copied().unwrap_or(f64::INFINITY);
        self.bands
            .iter()
            .find(|band| score < band.below)
            .map_or(&self.last, |band| &band.verdict)
    }

    /// Every action that this policy can take, in order of score.
    pub fn actions(&self) -> impl Iterator<Item = &Arc<str>> {
        self.bands
            .iter()
            .map(|band| &band.verdict.action)
            .chain([&self.last.action])
    }
}

/// Reads the table. Thresholds rise, and the last has no `below`, so every score has an action.
pub(super) fn read(
    mut table: Table<'_>,
    scores: &[Arc<str>],
    p: &mut Problems<'_>,
) -> Option<Policy> {
    let errors_before = p.errors();
    let named = table.string("score", p);
    let score = match named {
        None => 0,
        Some(named) => scores
            .iter()
            .position(|name| **name == *named.value)
            .unwrap_or_else(|| {
                let known: Vec<&str> = scores.iter().map(|name| &**name).collect();
                let message = format!(
                    "`policy.score` is \"{}\", which no tier reports",
                    named.value
                );
                p.error(
                    named.span,
                    "policy.score",
                    message,
                    Some(format!("scores here: {}", known.join(", "))),
                );
                0
            }),
    };
    let thresholds = table.tables("thresholds", p);
    let span = table.span();
    let count = thresholds.len();
    let mut bands: Vec<Band> = Vec::new();
    let mut last = None;
    for (i, mut threshold) in thresholds.into_iter().enumerate() {
        let below = threshold.number("below", p);
        let action = threshold.required_string("action", p);
        let reason = threshold
            .string("reason", p)
            .map(|reason| reason.value.into());
        let span = threshold.span();
        threshold.finish(p);
        let Some(action) = action else { continue };
        let verdict = Verdict {
            action: action.value.into(),
            reason,
        };
        match below {
            Some(below)
                if below.value.is_nan() || bands.last().is_some_and(|b| b.below >= below.value) =>
            {
                let message = "thresholds must rise from row to row".to_owned();
                p.error(
                    below.span,
                    format!("policy.thresholds[{i}].below"),
                    message,
                    None,
                );
            }
            Some(below) => bands.push(Band {
                below: below.value,
                verdict,
            }),
            None if i + 1 < count => {
                let message =
                    "only the last threshold has no `below`: rows after it could never apply";
                p.error(span, format!("policy.thresholds[{i}]"), message, None);
            }
            None => last = Some(verdict),
        }
    }
    if last.is_none() && p.errors() == errors_before {
        let hint = Some("end with { action = \"decline\" }".into());
        p.error(
            span,
            "policy.thresholds",
            "the last threshold must have no `below`, so every score has an action",
            hint,
        );
    }
    table.finish(p);
    last.map(|last| Policy { score, bands, last })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{diagnostic::Report, reader};

    fn parsed(source: &str) -> (Option<Policy>, Vec<String>) {
        let mut report = Report::default();
        let mut problems = Problems::new(Path::new("x.toml"), &mut report);
        let table = reader::parse(source, &mut problems);
        let policy = read(table, &["fraud".into()], &mut problems);
        (
            policy,
            report
                .diagnostics()
                .iter()
                .map(|d| d.message.clone())
                .collect(),
        )
    }

    #[test]
    fn a_score_on_a_threshold_belongs_to_the_band_above() {
        let (policy, problems) = parsed(
            "thresholds = [{ below = 0.3, action = 'approve' }, { below = 0.8, action = 'review' }, { action = 'decline' }]",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let policy = policy.unwrap();
        let action = |score: f64| policy.apply(&[score]).action.to_string();
        assert_eq!(
            [0.0, 0.29, 0.3, 0.79, 0.8, 1.0].map(action),
            [
                "approve", "approve", "review", "review", "decline", "decline"
            ]
        );
    }

    #[test]
    fn a_policy_with_a_gap_is_refused() {
        for (source, expected) in [
            (
                "thresholds = [{ below = 0.3, action = 'approve' }]",
                "every score has an action",
            ),
            ("", "every score has an action"),
            (
                "thresholds = [{ action = 'a' }, { below = 1, action = 'b' }]",
                "could never apply",
            ),
            (
                "thresholds = [{ below = 0.5, action = 'a' }, { below = 0.2, action = 'b' }, { action = 'c' }]",
                "rise",
            ),
            (
                "score = 'risk'\nthresholds = [{ action = 'a' }]",
                "no tier reports",
            ),
        ] {
            let (_, problems) = parsed(source);
            assert!(
                problems.iter().any(|m| m.contains(expected)),
                "{source}: {problems:?}"
            );
        }
    }
}
