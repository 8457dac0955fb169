//! What is wrong with a definition, in words and with its place in the source.

use std::fmt;
use std::ops::Range;

/// One thing wrong in `features.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of the source that the problem is about.
    pub span: Range<usize>,
    /// Dotted path of the key, e.g. `views.card.ttl`; empty for a syntax error.
    pub key: String,
    pub message: String,
    /// What to try instead, when something likely is known.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Collects problems, so that a reader sees all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
}

impl Report {
    pub(crate) fn add(&mut self, span: Range<usize>, key: &str, message: impl Into<String>) {
        self.add_with_hint(span, key, message, None);
    }

    pub(crate) fn add_with_hint(
        &mut self,
        span: Range<usize>,
        key: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let (key, message) = (key.to_owned(), message.into());
        self.problems.push(Problem {
            span,
            key,
            message,
            hint,
        });
    }

    /// `value`, if nothing was reported; else every problem in the order of the source.
    pub(crate) fn finish<T>(mut self, value: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(value);
        }
        self.problems
            .sort_by_key(|problem| (problem.span.start, problem.span.end));
        Err(self.problems)
    }
}
