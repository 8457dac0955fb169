//! What the fuzz targets share: the repository's own definitions, a folder for parsers that read
//! files, and what must hold of every problem that a parser reports.

mod folder;
mod question;

use std::{ops::Range, path::Path, sync::LazyLock};

use features::{Catalog, RequestSchema};
use gateway::{decision, diagnostic::Report};

pub use self::{
    folder::Folder,
    question::{as_json, refuse, typed},
};

/// The repository's features.
pub const FEATURES: &str = include_str!("../../decisions/features.toml");
/// The repository's decision.
pub const DECISION: &str = include_str!("../../decisions/fraud.toml");
/// Its decision table.
pub const RULES: &str = include_str!("../../decisions/fraud.rules.toml");

/// The repository's features, parsed.
pub static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::parse(FEATURES).expect("the repository's features parse"));

/// What a request of the repository's decision carries.
pub static SCHEMA: LazyLock<RequestSchema> = LazyLock::new(|| {
    let folder = Folder::new(&decision_files("fraud.toml", DECISION));
    let mut report = Report::default();
    let read = decision::read_folder(folder.path(), &mut report).expect("features parse");
    read.definitions["fraud"].schema.clone()
});

/// The files of a folder of decisions, one of them replaced.
pub fn decision_files<'a>(replaced: &str, text: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("features.toml", FEATURES),
        ("fraud.toml", DECISION),
        ("fraud.rules.toml", RULES),
    ]
    .map(|(name, own)| (name, if name == replaced { text } else { own }))
}

/// Panics unless the span lies in the text, on whole characters.
pub fn assert_in(text: &str, span: &Range<usize>) {
    assert!(
        text.get(span.clone()).is_some(),
        "{span:?} is no part of a text of {} bytes",
        text.len()
    );
}

/// Panics unless every problem can be drawn and those of `file` are at places in `text`.
pub fn assert_drawable(report: &Report, file: &Path, text: &str) {
    for diagnostic in report.diagnostics() {
        if let Some(span) = diagnostic.span.as_ref().filter(|_| diagnostic.file == file) {
            assert_in(text, span);
        }
        assert!(!diagnostic.message.is_empty());
    }
    let drawn = report.render(false);
    assert_eq!(drawn.is_empty(), report.diagnostics().is_empty());
}
