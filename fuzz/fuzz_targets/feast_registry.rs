//! Feast's registry.db, and the text of a feature_store.yaml: read, or refused with a sentence.
#![no_main]

use std::path::Path;

use features::{Catalog, FeastRepository};
use libfuzzer_sys::fuzz_target;

const YAML: &str = "project: p\nregistry: registry.db\nonline_store: redis\n";
const TOML: &str = "feast.feature_store = \"feature_store.yaml\"";

fn read(folder: &Path, registry: &[u8], yaml: &[u8]) {
    std::fs::write(folder.join("registry.db"), registry).expect("a file");
    std::fs::write(folder.join("feature_store.yaml"), yaml).expect("a file");
    match FeastRepository::open(&folder.join("feature_store.yaml")) {
        Ok(_) => _ = Catalog::parse_in(folder, TOML),
        Err(problems) => {
            assert!(problems.iter().all(|problem| !problem.message.is_empty()));
            assert!(!problems.is_empty());
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    read(folder.path(), bytes, YAML.as_bytes());
    read(folder.path(), &[], bytes);
});
