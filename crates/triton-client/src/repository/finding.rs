//! One thing that a lint has to say about a model repository.

use std::{ops::Range, path::PathBuf};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It serves, and somebody will regret it.
    Warning,
    /// Triton refuses it, or Gavel cannot use it.
    Error,
}

/// One thing that is wrong with a model repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder.
    pub file: PathBuf,
    /// Bytes of the file; `None` where the whole of it is meant.
    pub span: Option<Range<usize>>,
    /// The field, as in `input[0].dims`; empty where there is none.
    pub key: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// An error about a whole file or folder.
    pub(super) fn of_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            span: None,
            key: String::new(),
            severity: Severity::Error,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }
}
