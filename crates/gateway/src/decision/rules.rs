//! `NAME.rules.toml`: a decision table. The first row whose every condition holds answers; the last row
//! has no condition, so the table always answers.
//!
//! Conditions name features; their types are checked when the table is bound to a plan (`tiers::rules`).

use std::{ops::Range, path::Path, sync::Arc};

use sha2::{Digest, Sha256};

use crate::reader::{self, Free, Literal, Problems, Table};

/// A decision table.
#[derive(Clone, Debug)]
pub struct RuleTable {
    /// The file's name without `.toml`.
    pub name: Arc<str>,
    /// The first 12 hexadecimal digits of the file's SHA-256.
    pub version: Arc<str>,
    /// Score names, in the order of every row's scores.
    pub scores: Arc<[Arc<str>]>,
    /// First match answers; the last row has no condition.
    pub rows: Vec<Row>,
    pub(crate) file: Arc<Path>,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Said in the answer's `reasons`.
    pub reason: Arc<str>,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// In the order of the table's score names.
    pub scores: Vec<f64>,
}

/// One test of one feature.
#[derive(Clone, Debug)]
pub struct Condition {
    /// `request.amount`, `card.txn_count_24h`, `amount_log`, …
    pub feature: String,
    /// What must hold.
    pub(crate) test: Test,
    /// Where it is written in the table's file.
    pub(crate) span: Range<usize>,
}

/// What must hold of a feature.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Missing(bool),
    Compare(Comparison, f64),
    In { values: Vec<Literal>, negated: bool },
}

/// An order of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Reads a table; a missing file is reported at `written`, where the decision names it.
pub(super) fn read(file: &Path, written: Range<usize>, p: &mut Problems<'_>) -> Option<RuleTable> {
    let source = match std::fs::read_to_string(file) {
        Ok(source) => source,
        Err(error) => {
            p.error(
                written,
                "table",
                format!("cannot read {}: {error}", file.display()),
                None,
            );
            return None;
        }
    };
    parse(file, &source, &mut p.in_file(file, &source))
}

/// Reads a table from text.
#[cfg(test)]
pub(crate) fn parse_text(
    file: &Path,
    source: &str,
    report: &mut crate::diagnostic::Report,
) -> Option<RuleTable> {
    parse(file, source, &mut Problems::new(file, report))
}

fn parse(file: &Path, source: &str, p: &mut Problems<'_>) -> Option<RuleTable> {
    let errors_before = p.errors();
    let mut root = reader::parse(source, p);
    let tables = root.tables("rules", p);
    root.finish(p);
    let spans: Vec<Range<usize>> = tables.iter().map(Table::span).collect();
    let mut rows = Vec::new();
    for table in tables {
        rows.extend(row(table, p));
    }
    let mut scores: Vec<Arc<str>> = rows
        .first()
        .map(|(_, s): &(Row, Vec<Arc<str>>)| s.clone())
        .unwrap_or_default();
    scores.sort();
    for (i, (row, names)) in rows.iter_mut().enumerate() {
        let mut sorted: Vec<(Arc<str>, f64)> = names.drain(..).zip(row.scores.drain(..)).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        if !sorted.iter().map(|(name, _)| name).eq(scores.iter()) && p.errors() == errors_before {
            let message = format!("`rules[{i}].scores` differs in its names from the first row's");
            p.error(
                spans[i].clone(),
                "scores",
                message,
                Some("every row gives the same scores".into()),
            );
        }
        row.scores = sorted.into_iter().map(|(_, value)| value).collect();
    }
    let rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
    if p.errors() == errors_before {
        check_totality(&rows, &spans, p);
    }
    (p.errors() == errors_before).then(|| RuleTable {
        name: file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into(),
        version: version(source),
        scores: scores.into(),
        rows,
        file: file.into(),
    })
}

/// The last row, and only the last, has no condition.
fn check_totality(rows: &[Row], spans: &[Range<usize>], p: &mut Problems<'_>) {
    let last = rows.len().saturating_sub(1);
    if rows.last().is_none_or(|row| !row.conditions.is_empty()) {
        let span = spans.last().cloned().unwrap_or(0..0);
        let hint = "end the table with a [[rules]] that has a reason and scores, but no `when`";
        p.error(
            span,
            "rules",
            "the table must end with a row without conditions, so that it always answers",
            Some(hint.into()),
        );
    }
    for (i, row) in rows.iter().enumerate() {
        if row.conditions.is_empty() && i < last {
            let message =
                format!("`rules[{i}]` has no condition, so the rows after it can never answer");
            p.error(spans[i].clone(), "rules", message, None);
        }
    }
}

fn version(source: &str) -> Arc<str> {
    let digest = Sha256::digest(source.as_bytes());
    digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}

fn row(mut table: Table<'_>, p: &mut Problems<'_>) -> Option<(Row, Vec<Arc<str>>)> {
    let reason = table.required_string("reason", p);
    let mut conditions = Vec::new();
    for (name, value) in table.table("when", p).rest() {
        read_conditions(&name.value, value, &mut conditions, p);
    }
    let mut names = Vec::new();
    let mut values = Vec::new();
    let scores_span = table.span_of("scores");
    for (name, value) in table.table("scores", p).rest() {
        match value
            .as_literal()
            .and_then(|l| l.as_f64())
            .filter(|n| n.is_finite())
        {
            Some(number) => {
                names.push(name.value.into());
                values.push(number);
            }
            None => {
                let message = format!(
                    "`{}` is {}, expected a finite number",
                    value.key(),
                    value.describe()
                );
                p.error(value.span(), value.key(), message, None);
            }
        }
    }
    if names.is_empty() {
        let hint = Some("for example scores = { fraud = 0.2 }".into());
        p.error(
            scores_span,
            table.key("scores"),
            format!("`{}` gives no score", table.key("scores")),
            hint,
        );
    }
    table.finish(p);
    Some((
        Row {
            reason: reason?.value.into(),
            conditions,
            scores: values,
        },
        names,
    ))
}

/// `"request.amount" = { gt = 500.0, lte = 900.0 }`: one condition a test.
fn read_conditions(feature: &str, value: Free<'_>, out: &mut Vec<Condition>, p: &mut Problems<'_>) {
    let span = value.span();
    let key = value.key().to_owned();
    let Some(mut table) = value.into_table(p) else {
        return;
    };
    let mut tests = Vec::new();
    tests.extend(table.boolean("missing", p).map(Test::Missing));
    for (name, comparison) in [
        ("lt", Comparison::Less),
        ("lte", Comparison::LessOrEqual),
        ("gt", Comparison::Greater),
        ("gte", Comparison::GreaterOrEqual),
    ] {
        tests.extend(
            table
                .number(name, p)
                .map(|n| Test::Compare(comparison, n.value)),
        );
    }
    for (name, negated) in [("eq", false), ("ne", true)] {
        tests.extend(table.scalar(name, p).map(|l| Test::In {
            values: vec![l.value],
            negated,
        }));
    }
    tests.extend(table.scalars("in", p).map(|values| Test::In {
        values,
        negated: false,
    }));
    if tests.is_empty() && table.is_read() {
        let hint = Some("tests: eq, ne, lt, lte, gt, gte, in, missing".into());
        p.error(span.clone(), &key, format!("`{key}` tests nothing"), hint);
    }
    table.finish(p);
    out.extend(tests.into_iter().map(|test| Condition {
        feature: feature.to_owned(),
        test,
        span: span.clone(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Report;

    fn parsed(source: &str) -> (Option<RuleTable>, Vec<String>) {
        let mut report = Report::default();
        let table = parse_text(Path::new("fraud.rules.toml"), source, &mut report);
        let messages = report.diagnostics().iter().map(|d| d.message.clone());
        (table, messages.collect())
    }

    const GOOD: &str = r#"
        [[rules]]
        reason = "large"
        when = { "request.amount" = { gt = 500, lte = 900 }, "request.currency" = { in = ["EUR", "USD"] } }
        scores = { fraud = 0.9 }
        [[rules]]
        reason = "otherwise"
        scores = { fraud = 0.1 }
    "#;

    #[test]
    fn a_table_reads_rows_in_order() {
        let (table, problems) = parsed(GOOD);
        assert!(problems.is_empty(), "{problems:?}");
        let table = table.unwrap();
        assert_eq!(table.rows.len(), 2);
        assert_eq!(table.rows[0].conditions.len(), 3);
        assert_eq!(&*table.name, "fraud.rules");
    }

    #[test]
    fn a_table_that_may_not_answer_is_refused() {
        let source =
            "[[rules]]\nreason='a'\nwhen={ 'request.amount' = { gt = 1 } }\nscores={fraud=1}";
        let (table, problems) = parsed(source);
        assert!(table.is_none());
        assert!(problems[0].contains("always answers"), "{problems:?}");
        assert!(parsed("").0.is_none());
    }

    #[test]
    fn an_early_row_without_conditions_hides_the_rest() {
        let source =
            "[[rules]]\nreason='a'\nscores={fraud=1}\n[[rules]]\nreason='b'\nscores={fraud=0}";
        assert!(parsed(source).1[0].contains("never answer"));
    }

    #[test]
    fn unknown_tests_and_empty_conditions_are_problems() {
        let bad = GOOD.replace("gt = 500, lte = 900", "above = 500");
        assert!(
            parsed(&bad).1[0].contains("unknown key"),
            "{:?}",
            parsed(&bad).1
        );
        let empty = GOOD.replace("{ gt = 500, lte = 900 }", "{}");
        assert!(parsed(&empty).1[0].contains("tests nothing"));
    }

    #[test]
    fn rows_with_other_scores_are_refused() {
        let bad = GOOD.replace("scores = { fraud = 0.1 }", "scores = { risk = 0.1 }");
        assert!(parsed(&bad).1[0].contains("differs in its names"));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(source in ".{0,300}") {
            parsed(&source);
        }
    }
}
