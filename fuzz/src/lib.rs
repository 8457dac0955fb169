//! What the fuzz targets share: the repository's own definitions, a folder for parsers that read
//! files, and what must hold of every problem that a parser reports.

mod folder;
mod question;

use std::{ops::Range, path::Path, sync::LazyLock};

use features::RequestSchema;
use gateway::{check, config::Config, decision, diagnostic::Report};

pub use self::{
    folder::Folder,
    question::{as_json, refuse, typed},
};

/// The repository's features.
const FEATURES: &str = include_str!("../../decisions/features.toml");
/// The repository's decision.
const DECISION: &str = include_str!("../../decisions/fraud.toml");
/// Its decision table.
const RULES: &str = include_str!("../../decisions/fraud.rules.toml");

/// What a request of the repository's decision carries.
pub static SCHEMA: LazyLock<RequestSchema> = LazyLock::new(|| {
    let folder = decisions();
    let mut report = Report::default();
    let read = decision::read_folder(folder.path(), &mut report).expect("features parse");
    read.definitions["fraud"].schema.clone()
});

/// The repository's decisions, as a folder of their own.
fn decisions() -> Folder {
    Folder::new(&[
        ("features.toml", FEATURES),
        ("fraud.toml", DECISION),
        ("fraud.rules.toml", RULES),
    ])
}

/// Reads the repository's decisions, one of their files replaced, and binds them as `gavel check` does;
/// panics unless every problem has its place and can be drawn. A process replaces one file alone.
pub fn check_decisions(replaced: &str, text: &str) {
    static DECISIONS: LazyLock<Folder> = LazyLock::new(decisions);
    static MODELS: LazyLock<Folder> = LazyLock::new(|| Folder::new(&[]));
    let file = DECISIONS.write(replaced, text.as_bytes());
    let mut config = Config {
        decisions: DECISIONS.path().to_owned(),
        ..Config::default()
    };
    config.models.repository = MODELS.path().to_owned();
    let mut report = Report::default();
    check::run(&config, &mut report);
    assert_drawable(&report, &file, text);
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
