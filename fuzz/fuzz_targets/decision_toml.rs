//! A decision: read and bound to the repository's features, as `gavel check` does; every problem has
//! its place and can be drawn.
#![no_main]

use std::sync::LazyLock;

use gateway::{check, config::Config, diagnostic::Report};
use gavel_fuzz::{Folder, assert_drawable, decision_files};
use libfuzzer_sys::fuzz_target;

const FILE: &str = "fraud.toml";

static FOLDER: LazyLock<Folder> = LazyLock::new(|| Folder::new(&decision_files(FILE, "")));
static MODELS: LazyLock<Folder> = LazyLock::new(|| Folder::new(&[]));

fuzz_target!(|text: &str| {
    let file = FOLDER.write(FILE, text.as_bytes());
    let mut config = Config {
        decisions: FOLDER.path().to_owned(),
        ..Config::default()
    };
    config.models.repository = MODELS.path().to_owned();
    let mut report = Report::default();
    check::run(&config, &mut report);
    assert_drawable(&report, &file, text);
});
