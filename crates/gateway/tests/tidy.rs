//! Tidiness that a test enforces: sizes, module docs, who may depend on what, and where status codes
//! and clocks may be.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends here"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One concept a file.
const MAX_LINES: usize = 450;
const LEAVES: [&str; 6] = [
    "broker",
    "decision-log",
    "features",
    "local-model",
    "tables",
    "triton-client",
];
const DEVELOPMENT: [&str; 3] = ["fake-triton", "testkit", "loadtest"];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The load tester is a tool beside the crates, not one of them.
fn folder(name: &str) -> PathBuf {
    match name {
        "loadtest" => crates().join("../loadtest"),
        _ => crates().join(name),
    }
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no source in {}", folder.display());
    found
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let names = ["gateway"].into_iter().chain(LEAVES).chain(DEVELOPMENT);
    names
        .flat_map(|name| sources(&folder(name).join("src")))
        .collect()
}

/// What a file says outside its tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
}

fn dependencies(name: &str) -> Vec<String> {
    let manifest = fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn every_file_says_what_it_is_for_and_holds_one_concept() {
    for (path, text) in all_sources() {
        let lines = text.lines().count();
        assert!(
            lines <= MAX_LINES,
            "{} has {lines} lines, at most {MAX_LINES}: is there a second concept in it?",
            path.display()
        );
        assert!(
            text.starts_with("//!"),
            "{} does not begin with a //! that says what lives in it",
            path.display()
        );
    }
}

#[test]
fn a_leaf_depends_on_no_other_crate_of_ours() {
    for leaf in LEAVES {
        for dependency in dependencies(leaf) {
            let ours = LEAVES.contains(&&*dependency)
                || DEVELOPMENT.contains(&&*dependency)
                || dependency == "gateway";
            assert!(!ours, "{leaf} depends on {dependency}");
        }
    }
    for dependency in dependencies("gateway") {
        assert!(
            !DEVELOPMENT.contains(&&*dependency),
            "the product depends on {dependency}"
        );
    }
}

#[test]
fn a_vendors_crate_has_one_owner() {
    for (dependency, owner) in [
        ("redis", "features"),
        ("deadpool-redis", "features"),
        ("fjall", "features"),
        ("rdkafka", "broker"),
        ("parquet", "tables"),
        ("ort", "local-model"),
        ("reqwest", "triton-client"),
        ("prost-reflect", "triton-client"),
    ] {
        for name in ["gateway"].into_iter().chain(LEAVES) {
            let depends = dependencies(name).iter().any(|d| d == dependency);
            assert!(
                !depends || name == owner,
                "{name} depends on {dependency}, which is {owner}'s alone"
            );
        }
    }
}

#[test]
fn status_codes_are_the_ingress_s_and_rejection_s_alone() {
    for (path, text) in sources(&crates().join("gateway/src")) {
        let name = path
            .strip_prefix(crates().join("gateway/src"))
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let rooms = ["ingress/", "admin/"];
        let allowed = rooms.iter().any(|room| name.starts_with(room)) || name == "rejection.rs";
        for word in ["StatusCode", "tonic::Status", "tonic::Code"] {
            assert!(
                allowed || !product(&text).contains(word),
                "{name} speaks of {word}"
            );
        }
    }
}

#[test]
fn clocks_can_be_paused_and_nothing_is_left_unfinished() {
    for (path, text) in all_sources() {
        for word in [
            "std::time::Instant",
            "todo!(",
            "unimplemented!(",
            "dbg!(",
            "FIXME",
            "#[ignore",
        ] {
            let measured = word == "std::time::Instant"
                && path.components().any(|c| {
                    ["testkit", "local-model"]
                        .iter()
                        .any(|n| c.as_os_str() == *n)
                });
            assert!(
                measured || !text.contains(word),
                "{} has {word}",
                path.display()
            );
        }
    }
}
