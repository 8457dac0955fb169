//! Where the problems of one file go, and a value with its place.

use std::{ops::Range, path::Path};

use crate::diagnostic::{Diagnostic, Report, Severity};

/// A value and the bytes it stands at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Its bytes in the file.
    pub(crate) span: Range<usize>,
}

/// Where a problem in one file goes.
#[derive(Debug)]
pub(crate) struct Problems<'r> {
    file: &'r Path,
    report: &'r mut Report,
}

impl<'r> Problems<'r> {
    pub(crate) fn new(file: &'r Path, report: &'r mut Report) -> Self {
        Self { file, report }
    }

    /// The same report, for another file.
    pub(crate) fn in_file<'a>(&'a mut self, file: &'a Path, source: &str) -> Problems<'a> {
        self.report.add_source(file, source);
        Problems {
            file,
            report: self.report,
        }
    }

    /// Errors reported so far, in all files.
    pub(crate) fn errors(&self) -> usize {
        self.report.errors()
    }

    pub(crate) fn error(
        &mut self,
        span: Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.report.push(Diagnostic {
            file: self.file.to_owned(),
            span: Some(span),
            key: key.into(),
            message: message.into(),
            hint,
            severity: Severity::Error,
        });
    }
}
