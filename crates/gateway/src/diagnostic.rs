//! A problem in a file that a person wrote: which file, line and key, what was expected, what to do.
//!
//! Every loader collects diagnostics instead of stopping at the first; `gavel check` and `gavel serve`
//! print them all. Nothing here knows what the files mean.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Whether a problem stops the gateway from serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It would serve, but somebody will regret it.
    Warning,
    /// It cannot serve.
    Error,
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The file, as the person named it.
    pub file: PathBuf,
    /// Bytes of the file that are wrong; `None` when the whole file is meant (a missing one, say).
    pub span: Option<Range<usize>>,
    /// The key that is wrong, dotted; empty when there is none.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

/// All problems found, with the text of the files they are in.
#[derive(Debug, Default)]
pub struct Report {
    sources: BTreeMap<PathBuf, Arc<str>>,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Remembers a file's text, so that problems in it can be drawn.
    pub fn add_source(&mut self, file: &Path, text: impl Into<Arc<str>>) {
        self.sources.insert(file.to_owned(), text.into());
    }

    /// Adds a problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.span.is_some()
            && !self.sources.contains_key(&diagnostic.file)
            && let Ok(text) = std::fs::read_to_string(&diagnostic.file)
        {
            self.add_source(&diagnostic.file, text);
        }
        self.diagnostics.push(diagnostic);
    }

    /// Adds an error about a whole file.
    pub fn error(
        &mut self,
        file: &Path,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.push(Diagnostic {
            file: file.to_owned(),
            span: None,
            key: String::new(),
            message: message.into(),
            hint: hint.into(),
            severity: Severity::Error,
        });
    }

    /// The problems so far.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// How many problems stop the gateway from serving.
    pub fn errors(&self) -> usize {
        self.diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count()
    }

    /// How many problems do not.
    pub fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }

    /// The 1-based line of a problem, where it has one.
    pub fn line(&self, diagnostic: &Diagnostic) -> Option<usize> {
        let text = self.sources.get(&diagnostic.file)?;
        let start = diagnostic.span.as_ref()?.start.min(text.len());
        Some(
            text.as_bytes()[..start]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1,
        )
    }

    /// Draws every problem in its file, in order of file and place.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut ordered: Vec<&Diagnostic> = self.diagnostics.iter().collect();
        ordered.sort_by_key(|d| (d.file.clone(), d.span.as_ref().map_or(0, |s| s.start)));
        let drawn: Vec<String> = ordered
            .iter()
            .map(|d| renderer.render(&self.groups(d)))
            .collect();
        drawn.join("\n\n")
    }

    fn groups<'a>(&'a self, diagnostic: &'a Diagnostic) -> Vec<Group<'a>> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&diagnostic.message);
        let file = diagnostic.file.to_string_lossy();
        let snippet = match (&diagnostic.span, self.sources.get(&diagnostic.file)) {
            (Some(span), Some(text)) => Some(
                Snippet::source(&**text).path(file.clone()).annotation(
                    AnnotationKind::Primary
                        .span(clamp(span, text))
                        .label(&diagnostic.key),
                ),
            ),
            _ => None,
        };
        let mut group = match snippet {
            Some(snippet) => title.element(snippet),
            None => title.element(annotate_snippets::Origin::path(file)),
        };
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(hint));
        }
        vec![group]
    }
}

/// A span that lies inside the text, on character boundaries.
fn clamp(span: &Range<usize>, text: &str) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

/// A number of things, in words.
pub fn count(n: usize, thing: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {thing}{plural}")
}

/// The known name nearest to a mistyped one, as a sentence; `None` when nothing is near.
pub fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let length = found.chars().count();
    let limit = (length / 3).clamp(1, 3);
    known
        .into_iter()
        // Names whose lengths differ by more cannot be nearer; so a long name costs nothing.
        .filter(|name| name.chars().count().abs_diff(length) <= limit)
        .map(|name| (edit_distance(found, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_drawn_with_file_line_key_and_hint() {
        let mut report = Report::default();
        let file = Path::new("decisions/fraud.toml");
        report.add_source(file, "name = \"fraud\"\nbudgett = \"95ms\"\n");
        report.push(Diagnostic {
            file: file.to_owned(),
            span: Some(15..22),
            key: "budgett".into(),
            message: "unknown key `budgett`".into(),
            hint: did_you_mean("budgett", ["budget", "name"]),
            severity: Severity::Error,
        });
        let drawn = report.render(false);
        assert!(drawn.contains("error: unknown key `budgett`"), "{drawn}");
        assert!(drawn.contains("decisions/fraud.toml:2:1"), "{drawn}");
        assert!(drawn.contains("did you mean `budget`?"), "{drawn}");
        assert_eq!(report.line(&report.diagnostics()[0]), Some(2));
    }

    #[test]
    fn a_span_outside_the_text_or_inside_a_character_is_clamped() {
        assert_eq!(clamp(&(1..2), "é"), 0..2);
        assert_eq!(clamp(&(9..12), "abc"), 3..3);
    }

    #[test]
    fn far_names_are_not_suggested() {
        assert_eq!(did_you_mean("velocity", ["amount", "currency"]), None);
        assert_eq!(
            did_you_mean("amuont", ["amount", "currency"]).as_deref(),
            Some("did you mean `amount`?")
        );
    }
}
