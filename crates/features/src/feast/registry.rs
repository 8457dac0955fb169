//! Feast's registry, `registry.db`: which views there are, keyed by what, holding what.
//!
//! The file holds all projects of a registry; one project's views are kept, plain and stream views
//! alike. What cannot be read from the online store is left out, with the reason.

use std::collections::{BTreeMap, HashMap};

use prost::Message;

use super::key::{DUMMY_JOIN_KEY, KeyType};
use super::proto::{self, FeatureSpec, FeatureViewMeta, Span};
use super::value_type::ValueType;

/// The only version of the file's format that there has been (Feast 0.67 writes it).
const SCHEMA_VERSION: &str = "1";

/// The views of one project.
#[derive(Debug, PartialEq)]
pub(crate) struct Registry {
    /// In the order of their names.
    pub(crate) views: Vec<FeastView>,
    /// Views that Gavel does not serve, and why: what follows the view's name in a sentence.
    pub(crate) left_out: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct FeastView {
    pub(crate) name: String,
    /// The name in the hash's fields: with a suffix for a later version of the view.
    pub(crate) stored_name: String,
    /// In byte order, as in the key; none for a view without entities.
    pub(crate) join_keys: Vec<(String, KeyType)>,
    /// Older rows are stale; `None` for never.
    pub(crate) ttl_micros: Option<i64>,
    /// In the order of their names.
    pub(crate) features: Vec<FeastFeature>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct FeastFeature {
    pub(crate) name: String,
    pub(crate) value_type: ValueType,
    /// How many elements a vector has, where Feast was told.
    pub(crate) vector_length: Option<u16>,
}

/// Reads the file's bytes. `versioned`: later versions of a view have hash fields of their own
/// (`enable_online_feature_view_versioning`).
///
/// # Errors
/// Why the bytes are not a registry that has the project; what follows the file's name in a sentence.
pub(crate) fn parse(bytes: &[u8], project: &str, versioned: bool) -> Result<Registry, String> {
    if bytes.is_empty() {
        return Err("is empty: Feast is writing it, or `feast apply` has not run".to_owned());
    }
    let registry = proto::Registry::decode(bytes)
        .map_err(|error| format!("is no registry of Feast's, or is cut short: {error}"))?;
    // Projects come last in the file. One that has ours is therefore whole as far as it is read here.
    let mut projects: Vec<&str> = projects(&registry).collect();
    if !projects.contains(&project) {
        projects.sort_unstable();
        projects.dedup();
        return Err(match projects.as_slice() {
            [] => "holds no project: it is cut short, or `feast apply` has not run".to_owned(),
            known => format!("has no project `{project}`; it has {}", known.join(", ")),
        });
    }
    if registry.registry_schema_version != SCHEMA_VERSION {
        let found = &registry.registry_schema_version;
        return Err(format!(
            "is of registry_schema_version {found:?}, and Gavel reads {SCHEMA_VERSION:?} (Feast 0.67)"
        ));
    }
    Ok(views(registry, project, versioned))
}

fn projects(registry: &proto::Registry) -> impl Iterator<Item = &str> {
    let named = registry.projects.iter().filter_map(|all| all.spec.as_ref());
    let described = registry.project_metadata.iter();
    named
        .map(|spec| &*spec.name)
        .chain(described.map(|metadata| &*metadata.project))
}

/// A feature view or a stream feature view.
struct Spec {
    name: String,
    entities: Vec<String>,
    features: Vec<FeatureSpec>,
    entity_columns: Vec<FeatureSpec>,
    ttl: Option<Span>,
    online: bool,
    disabled: bool,
    version: i32,
}

fn views(registry: proto::Registry, project: &str, versioned: bool) -> Registry {
    let version = |meta: Option<FeatureViewMeta>| meta.unwrap_or_default().current_version_number;
    let plain = registry.feature_views.into_iter().filter_map(|view| {
        let spec = view.spec.filter(|spec| spec.project == project)?;
        Some(Spec {
            name: spec.name,
            entities: spec.entities,
            features: spec.features,
            entity_columns: spec.entity_columns,
            ttl: spec.ttl,
            online: spec.online,
            disabled: spec.disabled,
            version: version(view.meta),
        })
    });
    let stream = registry.stream_feature_views.into_iter();
    let stream = stream.filter_map(|view| {
        let spec = view.spec.filter(|spec| spec.project == project)?;
        Some(Spec {
            name: spec.name,
            entities: spec.entities,
            features: spec.features,
            entity_columns: spec.entity_columns,
            ttl: spec.ttl,
            online: spec.online,
            disabled: spec.disabled,
            version: version(view.meta),
        })
    });
    let entities = registry.entities.into_iter();
    let entities: HashMap<String, (String, i32)> = entities
        .filter_map(|entity| entity.spec.filter(|spec| spec.project == project))
        .map(|spec| (spec.name, (spec.join_key, spec.value_type)))
        .collect();
    let mut kept = BTreeMap::new();
    let mut left_out = BTreeMap::new();
    for spec in plain.chain(stream) {
        let name = spec.name.clone();
        match view(spec, &entities, versioned) {
            Ok(view) => _ = kept.insert(name, view),
            Err(why) => _ = left_out.insert(name, why),
        }
    }
    let on_demand = registry.on_demand_feature_views.into_iter();
    let on_demand = on_demand.filter_map(|view| view.spec.filter(|spec| spec.project == project));
    for spec in on_demand {
        let why = "is an on-demand view: Python that Feast runs after it has read, which Gavel cannot; make it a derived feature in features.toml, send it with the request, or have Feast store its result in a feature view";
        left_out.insert(spec.name, why.to_owned());
    }
    Registry {
        views: kept.into_values().collect(),
        left_out,
    }
}

fn view(
    spec: Spec,
    entities: &HashMap<String, (String, i32)>,
    versioned: bool,
) -> Result<FeastView, String> {
    let name = &spec.name;
    if spec.disabled {
        return Err(format!(
            "is disabled in Feast: run `feast feature-views enable {name}`"
        ));
    }
    if !spec.online {
        return Err(
            "is not online in Feast: give it online=True, and run `feast apply`".to_owned(),
        );
    }
    let mut features: Vec<FeastFeature> = spec.features.into_iter().map(feature).collect();
    features.sort_by(|a, b| a.name.cmp(&b.name));
    let suffix = match spec.version {
        version @ 1.. if versioned => format!("_v{version}"),
        _ => String::new(),
    };
    Ok(FeastView {
        join_keys: join_keys(&spec.entities, spec.entity_columns, entities)?,
        stored_name: format!("{name}{suffix}"),
        ttl_micros: spec.ttl.and_then(micros),
        features,
        name: spec.name,
    })
}

fn feature(spec: FeatureSpec) -> FeastFeature {
    FeastFeature {
        name: spec.name,
        value_type: ValueType(spec.value_type),
        vector_length: u16::try_from(spec.vector_length)
            .ok()
            .filter(|length| *length > 0),
    }
}

/// The columns say the types of the keys. A registry that is older than them has the entities.
fn join_keys(
    names: &[String],
    columns: Vec<FeatureSpec>,
    entities: &HashMap<String, (String, i32)>,
) -> Result<Vec<(String, KeyType)>, String> {
    let mut typed: Vec<(String, i32)> = columns
        .into_iter()
        .map(|column| (column.name, column.value_type))
        .collect();
    if typed.is_empty() {
        let known = names.iter().filter(|name| *name != "__dummy");
        for name in known {
            let entity = entities.get(name);
            typed.push(entity.cloned().ok_or_else(|| {
                format!("is about the entity `{name}`, which the registry does not have: run `feast apply`")
            })?);
        }
    }
    typed.retain(|(name, _)| name != DUMMY_JOIN_KEY);
    typed.sort();
    typed
        .into_iter()
        .map(|(name, number)| match KeyType::from_number(number) {
            Some(key_type) => Ok((name, key_type)),
            None => Err(format!(
                "has the join key `{name}` of type {}, which Feast cannot write into a key: declare it as STRING",
                ValueType(number)
            )),
        })
        .collect()
}

/// `None` for no time at all, which means for ever.
fn micros(span: Span) -> Option<i64> {
    let micros = span.seconds.saturating_mul(1_000_000);
    let micros = micros.saturating_add(i64::from(span.nanos / 1000));
    (micros > 0).then_some(micros)
}

#[cfg(test)]
mod tests;
