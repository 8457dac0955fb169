//! Repositories for tests, made field by field.

use super::proto;

/// A column: its name, the number of its type, and its length if it is a vector.
pub(crate) type Column<'c> = (&'c str, i32, i32);

/// A view: its name, join keys with the numbers of their types, and features.
pub(crate) type ViewOf<'c> = (&'c str, &'c [(&'c str, i32)], &'c [Column<'c>]);

/// A registry of project `p`: views with their join keys and features, and the on-demand view
/// `computed`. Every view has a ttl of a day.
pub(crate) fn registry(views: &[ViewOf<'_>]) -> proto::Registry {
    let column = |(name, value_type, vector_length): Column<'_>| proto::FeatureSpec {
        name: name.to_owned(),
        value_type,
        vector_length,
    };
    let views = views
        .iter()
        .map(|(name, keys, features)| proto::FeatureView {
            spec: Some(proto::FeatureViewSpec {
                name: (*name).to_owned(),
                project: "p".to_owned(),
                online: true,
                entity_columns: keys
                    .iter()
                    .map(|(name, kind)| column((name, *kind, 0)))
                    .collect(),
                features: features.iter().copied().map(column).collect(),
                ttl: Some(proto::Span {
                    seconds: 86_400,
                    nanos: 0,
                }),
                ..Default::default()
            }),
            meta: None,
        });
    proto::Registry {
        registry_schema_version: "1".to_owned(),
        feature_views: views.collect(),
        on_demand_feature_views: vec![proto::OnDemandFeatureView {
            spec: Some(proto::OnDemandFeatureViewSpec {
                name: "computed".to_owned(),
                project: "p".to_owned(),
            }),
        }],
        projects: vec![proto::Project {
            spec: Some(proto::ProjectSpec {
                name: "p".to_owned(),
            }),
        }],
        ..Default::default()
    }
}

/// A folder with these bytes as registry.db, and a feature_store.yaml that names it.
pub(crate) fn repository(registry: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "project: p\nregistry: registry.db\nonline_store: redis\n";
    std::fs::write(folder.path().join("feature_store.yaml"), yaml).unwrap();
    std::fs::write(folder.path().join("registry.db"), registry).unwrap();
    folder
}
