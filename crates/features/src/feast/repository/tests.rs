//! Reloading while somebody writes: what was good stays until there is something better.

use std::sync::atomic::{AtomicBool, Ordering};

use prost::Message;

use super::*;
use crate::feast::{proto, testing};

/// A registry with one view for each name.
fn registry(names: &[&'static str]) -> Vec<u8> {
    let view =
        |name: &&'static str| -> testing::ViewOf<'static> { (name, &[("id", 2)], &[("x", 4, 0)]) };
    let views: Vec<_> = names.iter().map(view).collect();
    testing::registry(&views).encode_to_vec()
}

fn repository(folder: &Path) -> FeastRepository {
    FeastRepository::open(&folder.join("feature_store.yaml")).unwrap()
}

fn names(repository: &FeastRepository) -> Vec<&str> {
    let views = repository.registry().views.iter();
    views.map(|view| &*view.name).collect()
}

#[test]
fn a_bad_registry_is_refused_and_says_why() {
    let good = registry(&["a", "b"]);
    let folder = testing::repository(&good);
    let repository = repository(folder.path());
    let file = folder.path().join("registry.db");
    let refused = || repository.reread().unwrap_err().remove(0);
    assert!(repository.reread().unwrap().is_none());
    for length in 0..good.len() {
        fs::write(&file, &good[..length]).unwrap();
        assert_eq!(refused().file, file, "cut after {length} bytes");
    }
    let mut other = proto::Registry::decode(&*good).unwrap();
    other.registry_schema_version = "2".to_owned();
    fs::write(&file, other.encode_to_vec()).unwrap();
    let problem = refused().to_string();
    let sentence = "registry.db is of registry_schema_version \"2\", and Gavel reads \"1\"";
    assert!(problem.contains(sentence), "{problem}");
    fs::remove_file(&file).unwrap();
    assert!(refused().to_string().contains("cannot be read"));

    fs::write(&file, registry(&["a", "c"])).unwrap();
    let now = repository.reread().unwrap().unwrap();
    assert_eq!(names(&now), ["a", "c"]);
    assert_eq!(names(&repository), ["a", "b"]);
    assert!(now.reread().unwrap().is_none());
}

#[test]
fn settings_that_change_are_followed_but_for_another_redis() {
    let folder = testing::repository(&registry(&["a"]));
    let repository = repository(folder.path());
    let file = folder.path().join("feature_store.yaml");
    let write = |lines: &str| {
        let yaml = format!("project: p\nregistry: {{path: registry.db, {lines}\n");
        fs::write(&file, yaml).unwrap();
    };
    write("cache_ttl_seconds: 5}\nonline_store: redis");
    let now = repository.reread().unwrap().unwrap();
    assert_eq!(now.refresh(), Some(Duration::from_secs(5)));
    write(
        "cache_ttl_seconds: 5}\nonline_store: {type: redis, connection_string: 'h:1,password=secret'}",
    );
    let problem = repository.reread().unwrap_err().remove(0).to_string();
    assert!(
        problem.contains("online_store names another Redis"),
        "{problem}"
    );
    assert!(!problem.contains("secret"), "{problem}");
}

#[test]
fn a_registry_that_is_being_rewritten_is_never_half_read() {
    let both = [registry(&["a", "b"]), registry(&["c", "d", "e"])];
    let folder = testing::repository(&both[0]);
    let mut repository = repository(folder.path());
    let (file, done) = (folder.path().join("registry.db"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (file, done, both) = (&file, &done, &both);
        scope.spawn(move || {
            let mut turn = 0;
            while !done.load(Ordering::Relaxed) {
                // As Feast does: truncate, write, flush.
                fs::write(file, &both[turn % 2]).unwrap();
                turn += 1;
            }
        });
        let mut changes = 0;
        for _ in 0..200_000 {
            if let Ok(Some(now)) = repository.reread() {
                (repository, changes) = (now, changes + 1);
            }
            let names = names(&repository);
            assert!(names == ["a", "b"] || names == ["c", "d", "e"], "{names:?}");
            if changes == 20 {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(changes > 0);
    });
}

#[test]
fn what_is_wrong_with_the_files_is_said_with_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("feature_store.yaml");
    let open = || -> Vec<String> {
        let problems = FeastRepository::open(&file).unwrap_err();
        problems.iter().map(FeastProblem::to_string).collect()
    };
    let path = file.display();
    assert!(open()[0].starts_with(&format!("{path} cannot be read: ")));
    fs::write(&file, "online_store: sqlite\n").unwrap();
    let problems = open();
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0], format!("{path}: project is missing"));
    fs::write(&file, "project: p\nonline_store: redis\n").unwrap();
    let registry = folder.path().join("data/registry.db");
    assert!(open()[0].starts_with(&format!("{} cannot be read: ", registry.display())));
}
