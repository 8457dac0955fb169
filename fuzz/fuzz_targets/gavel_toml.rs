//! `gavel.toml`: every problem has its place and can be drawn.
#![no_main]

use std::sync::LazyLock;

use gateway::{config::Config, diagnostic::Report};
use gavel_fuzz::{Folder, assert_drawable};
use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<Folder> = LazyLock::new(|| Folder::new(&[]));

fuzz_target!(|text: &str| {
    let file = FOLDER.write("gavel.toml", text.as_bytes());
    let mut report = Report::default();
    let config = Config::read(&file, &mut report);
    assert!(config.server.max_body_bytes > 0);
    assert_drawable(&report, &file, text);
});
