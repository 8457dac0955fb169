//! Registries made here, field by field; `tests/feast.rs` reads one that Feast made.

use proptest::prelude::*;

use super::*;
use crate::feast::proto::{
    Entity, EntitySpec, FeatureView, FeatureViewSpec, OnDemandFeatureView, OnDemandFeatureViewSpec,
    Project, ProjectSpec, StreamFeatureView, StreamFeatureViewSpec,
};

fn column(name: &str, value_type: i32) -> FeatureSpec {
    FeatureSpec {
        name: name.to_owned(),
        value_type,
        vector_length: 0,
    }
}

fn project(name: &str) -> Project {
    Project {
        spec: Some(ProjectSpec {
            name: name.to_owned(),
        }),
    }
}

fn plain(name: &str, project: &str, change: impl FnOnce(&mut FeatureViewSpec)) -> FeatureView {
    let mut spec = FeatureViewSpec {
        name: name.to_owned(),
        project: project.to_owned(),
        entities: vec!["driver".to_owned()],
        features: vec![column("n", 4), column("a", 6)],
        ttl: None,
        online: true,
        entity_columns: vec![column("driver_id", 4)],
        disabled: false,
    };
    change(&mut spec);
    FeatureView {
        spec: Some(spec),
        meta: Some(FeatureViewMeta {
            current_version_number: 2,
        }),
    }
}

fn registry() -> proto::Registry {
    let stream = StreamFeatureViewSpec {
        name: "stream".to_owned(),
        project: "p".to_owned(),
        features: vec![column("v", 16)],
        entity_columns: vec![column("b", 2), column("Z", 3)],
        ttl: Some(Span {
            seconds: 5,
            nanos: 1_500,
        }),
        online: true,
        ..Default::default()
    };
    proto::Registry {
        entities: vec![Entity {
            spec: Some(EntitySpec {
                name: "driver".to_owned(),
                value_type: 4,
                join_key: "driver_id".to_owned(),
                project: "p".to_owned(),
            }),
        }],
        registry_schema_version: "1".to_owned(),
        version_id: "some uuid".to_owned(),
        feature_views: vec![
            plain("plain", "p", |_| {}),
            plain("other", "q", |_| {}),
            plain("off", "p", |spec| spec.online = false),
            plain("disabled", "p", |spec| spec.disabled = true),
            plain("old", "p", |spec| spec.entity_columns.clear()),
            plain("uuid", "p", |spec| {
                spec.entity_columns = vec![column("u", 36)]
            }),
            plain("lost", "p", |spec| {
                spec.entity_columns.clear();
                spec.entities = vec!["nobody".to_owned()];
            }),
            plain("everywhere", "p", |spec| {
                spec.entities = vec!["__dummy".to_owned()];
                spec.entity_columns = vec![column("__dummy_id", 2)];
                spec.ttl = Some(Span::default());
            }),
        ],
        on_demand_feature_views: vec![OnDemandFeatureView {
            spec: Some(OnDemandFeatureViewSpec {
                name: "computed".to_owned(),
                project: "p".to_owned(),
            }),
        }],
        stream_feature_views: vec![StreamFeatureView {
            spec: Some(stream),
            meta: None,
        }],
        project_metadata: Vec::new(),
        projects: vec![project("p"), project("q")],
    }
}

fn read(change: impl FnOnce(&mut proto::Registry)) -> Result<Registry, String> {
    let mut registry = registry();
    change(&mut registry);
    parse(&registry.encode_to_vec(), "p", false)
}

#[test]
fn views_of_the_project_with_their_keys_types_and_ages() {
    let registry = read(|_| {}).unwrap();
    let names: Vec<&str> = registry.views.iter().map(|view| &*view.name).collect();
    assert_eq!(names, ["everywhere", "old", "plain", "stream"]);
    let [everywhere, old, plain, stream] = &registry.views[..] else {
        panic!("{names:?}");
    };
    assert_eq!(everywhere.join_keys, []);
    assert_eq!(everywhere.ttl_micros, None);
    let driver_id = ("driver_id".to_owned(), KeyType::Int64);
    assert_eq!(old.join_keys, plain.join_keys);
    assert_eq!(plain.join_keys, [driver_id]);
    assert_eq!(plain.stored_name, "plain");
    assert_eq!(plain.ttl_micros, None);
    let features: Vec<_> = plain
        .features
        .iter()
        .map(|feature| (&*feature.name, feature.value_type.to_string()))
        .collect();
    assert_eq!(
        features,
        [("a", "FLOAT".to_owned()), ("n", "INT64".to_owned())]
    );
    // In byte order: capitals first.
    let keys = [
        ("Z".to_owned(), KeyType::Int32),
        ("b".to_owned(), KeyType::String),
    ];
    assert_eq!(stream.join_keys, keys);
    assert_eq!(stream.ttl_micros, Some(5_000_001));
}

#[test]
fn what_is_left_out_has_its_reason() {
    let left_out = read(|_| {}).unwrap().left_out;
    for (view, why) in [
        ("computed", "is an on-demand view"),
        ("disabled", "feast feature-views enable disabled"),
        ("lost", "the entity `nobody`"),
        ("off", "online=True"),
        (
            "uuid",
            "`u` of type UUID, which Feast cannot write into a key",
        ),
    ] {
        assert!(left_out[view].contains(why), "{}", left_out[view]);
    }
    assert_eq!(left_out.len(), 5);
}

#[test]
fn a_version_is_in_the_name_only_where_versions_are_on() {
    let stored = |registry: Registry| -> Vec<String> {
        registry
            .views
            .into_iter()
            .map(|view| view.stored_name)
            .collect()
    };
    let bytes = registry().encode_to_vec();
    let versioned = parse(&bytes, "p", true).unwrap();
    assert_eq!(
        stored(versioned),
        ["everywhere_v2", "old_v2", "plain_v2", "stream"]
    );
    let plain = parse(&bytes, "p", false).unwrap();
    assert_eq!(stored(plain), ["everywhere", "old", "plain", "stream"]);
}

#[test]
fn what_is_no_registry_of_the_project_is_refused_with_the_reason() {
    for (found, why) in [
        (parse(b"", "p", false), "is empty"),
        (parse(b"\xff", "p", false), "is no registry of Feast's"),
        (
            parse(b"SQLite format 3\0", "p", false),
            "is no registry of Feast's",
        ),
        (
            read(|all| all.registry_schema_version = "2".to_owned()),
            "registry_schema_version \"2\"",
        ),
        (
            read(|all| all.registry_schema_version.clear()),
            "registry_schema_version \"\"",
        ),
        (read(|all| all.projects.clear()), "holds no project"),
        (
            read(|all| _ = all.projects.remove(0)),
            "has no project `p`; it has q",
        ),
    ] {
        let found = found.expect_err(why);
        assert!(found.contains(why), "{found}");
    }
}

#[test]
fn cut_anywhere_it_is_refused_or_whole() {
    let bytes = registry().encode_to_vec();
    let whole = parse(&bytes, "p", false).unwrap();
    let mut read = 0;
    for length in 0..bytes.len() {
        if let Ok(registry) = parse(&bytes[..length], "p", false) {
            assert_eq!(registry, whole, "cut after {length} bytes");
            read += 1;
        }
    }
    // Only what comes after our project is missing then: the name of another.
    assert!(read <= 1, "{read}");
}

proptest! {
    #[test]
    fn any_bytes_are_a_registry_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = parse(&bytes, "p", false);
    }
}
