//! `[feast]`: the views of a Feast repository, under their own names.
//!
//! ```toml
//! [feast]
//! feature_store = "../feature_repo/feature_store.yaml"   # from the folder of features.toml
//! refresh = "60s"        # how often its files are read again; default: its cache_ttl_seconds
//! [feast.defaults]                                       # else 0, "", false
//! "driver_stats.conv_rate" = 0.5
//! [feast.lengths]                                        # of lists that Feast knows no length of
//! "user.embedding" = 64
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::problem::Report;
use super::reader::{Node, Table};
use super::views::micros;
use super::{Catalog, Feature, Problem, Source, View};
use crate::feast::{FeastFeature, FeastHash, FeastProblem, FeastRepository, FeastView};
use crate::row::fingerprint;
use crate::suggest::did_you_mean;
use crate::value::{Dtype, MAX_LIST_LENGTH, Scalar};

/// Files are read again as often as this at most.
const MIN_REFRESH: Duration = Duration::from_secs(1);

/// Where the files that features.toml names begin.
#[derive(Clone, Debug)]
pub(super) enum Origin<'p> {
    /// There is no file that the text lies beside.
    Nowhere,
    Folder(&'p Path),
    /// Feast's have been read.
    Read(Arc<FeastRepository>),
}

/// What the catalog keeps of a Feast repository besides its views.
#[derive(Clone, Debug)]
pub(crate) struct Feast {
    pub(crate) repository: Arc<FeastRepository>,
    /// What Feast has and models cannot use: `VIEW` or `VIEW.FEATURE`, and why, as the end of a
    /// sentence that begins with the name.
    refused: BTreeMap<String, String>,
    /// How often the repository's files are to be read again; `None` for never.
    pub(super) refresh: Option<Duration>,
    /// The text of features.toml.
    text: Arc<str>,
}

impl Feast {
    /// Why the feature cannot be used, if Feast has it.
    pub(crate) fn refusal(&self, feature: &str) -> Option<String> {
        let view = feature.split_once('.').map(|(view, _)| view);
        let named = [Some(feature), view].into_iter().flatten();
        named
            .filter_map(|name| Some((name, self.refused.get(name)?)))
            .map(|(name, why)| format!("`{name}` {why}"))
            .next()
    }
}

impl Feast {
    /// See [`Catalog::reread_feast`].
    pub(super) fn reread(&self) -> Result<Option<Catalog>, String> {
        let sentences = |all: Vec<FeastProblem>| join(all.iter());
        let Some(repository) = self.repository.reread().map_err(sentences)? else {
            return Ok(None);
        };
        let origin = Origin::Read(Arc::new(repository));
        let catalog = Catalog::read(&self.text, origin);
        let sentences = |all: Vec<Problem>| {
            let problems = join(all.iter());
            format!("features.toml does not fit what Feast has now: {problems}")
        };
        catalog.map(Some).map_err(sentences)
    }
}

fn join<T: ToString>(sentences: impl Iterator<Item = T>) -> String {
    let sentences: Vec<String> = sentences.map(|sentence| sentence.to_string()).collect();
    sentences.join("; ")
}

/// Appends Feast's views to `views`. `text` is that of features.toml.
pub(super) fn feast(
    root: &Table<'_>,
    text: &str,
    origin: &Origin<'_>,
    views: &mut Vec<Arc<View>>,
    report: &mut Report,
) -> Option<Feast> {
    let table = root.get("feast").and_then(|node| node.table(report))?;
    table.only(&["feature_store", "refresh", "defaults", "lengths"], report);
    let node = table.require("feature_store", "the path of feature_store.yaml", report)?;
    let repository = open(&node, origin, report)?;
    let refresh = match table.get("refresh") {
        Some(node) => interval(&node, report),
        None => repository.refresh(),
    };
    let mut reader = Reader {
        defaults: entries(&table, "defaults", report),
        lengths: entries(&table, "lengths", report),
        refused: repository.registry().left_out.clone(),
        report,
    };
    let registry = repository.registry();
    for feast in &registry.views {
        if views.iter().any(|view| *view.name == *feast.name) {
            let name = &feast.name;
            let message =
                format!("view `{name}` is in [views] and in Feast: rename the one in [views]");
            reader.report.add(node.span(), &node.path, message);
        } else if let Some(why) = unusable(&feast.name) {
            reader.refused.insert(feast.name.clone(), why.to_owned());
        } else {
            views.push(Arc::new(reader.view(feast, &repository)));
        }
    }
    let refused = reader.finish(views);
    Some(Feast {
        repository,
        refused,
        refresh,
        text: text.into(),
    })
}

fn open(node: &Node<'_>, origin: &Origin<'_>, report: &mut Report) -> Option<Arc<FeastRepository>> {
    let path = node.text(report)?;
    let folder = match origin {
        Origin::Read(repository) => return Some(repository.clone()),
        Origin::Folder(folder) => folder,
        Origin::Nowhere => {
            let message = "a path needs the folder of features.toml, and this text has none";
            report.add(node.span(), &node.path, message);
            return None;
        }
    };
    match FeastRepository::open(&folder.join(path)) {
        Ok(repository) => Some(Arc::new(repository)),
        Err(problems) => {
            for problem in problems {
                report.add(node.span(), &node.path, problem.to_string());
            }
            None
        }
    }
}

fn interval(node: &Node<'_>, report: &mut Report) -> Option<Duration> {
    let interval = Duration::from_micros(micros(node, report)?.unsigned_abs());
    if interval < MIN_REFRESH {
        report.add(node.span(), &node.path, "is \"1s\" at least");
    }
    Some(interval)
}

/// Entries of `[feast.defaults]` or `[feast.lengths]` that no feature has taken yet.
type Entries<'d> = BTreeMap<&'d str, Node<'d>>;

fn entries<'d>(table: &Table<'d>, key: &str, report: &mut Report) -> Entries<'d> {
    let table = table.get(key).and_then(|node| node.table(report));
    let entries = table.map_or_else(Vec::new, |table| table.entries());
    entries
        .into_iter()
        .map(|(name, _, node)| (name, node))
        .collect()
}

struct Reader<'d, 'r> {
    defaults: Entries<'d>,
    lengths: Entries<'d>,
    refused: BTreeMap<String, String>,
    report: &'r mut Report,
}

impl Reader<'_, '_> {
    fn view(&mut self, feast: &FeastView, repository: &FeastRepository) -> View {
        let mut features = Vec::with_capacity(feast.features.len());
        for feature in &feast.features {
            let name = format!("{}.{}", feast.name, feature.name);
            match self.feature(&name, feature) {
                Ok(kept) => features.push(kept),
                Err(why) => _ = self.refused.insert(name, why),
            }
        }
        let names = features.iter().map(|feature| &*feature.name);
        let source = Source::Feast(FeastHash::new(feast, names, repository));
        let join_keys = feast.join_keys.iter();
        let entities: Vec<_> = join_keys
            .map(|(name, key_type)| (Arc::from(&**name), key_type.dtype()))
            .collect();
        View {
            name: Arc::from(&*feast.name),
            source,
            ttl_micros: feast.ttl_micros,
            fingerprint: fingerprint(&feast.name, &entities, &features),
            entities,
            features,
        }
    }

    fn feature(&mut self, name: &str, feature: &FeastFeature) -> Result<Feature, String> {
        let (of, is_list) = element(feature).ok_or_else(|| {
            let value_type = feature.value_type;
            format!("is {value_type} in Feast, and models take bool, int32, int64, float, double, string, unix_timestamp and lists of these: have Feast store what the model needs as one of them")
        })?;
        if let Some(why) = unusable(&feature.name) {
            return Err(why.to_owned());
        }
        let length = match self.lengths.remove(name) {
            Some(node) if is_list => self.length(&node),
            Some(node) => {
                let message = "is no list in Feast";
                self.report.add(node.span(), &node.path, message);
                None
            }
            None => feature.vector_length,
        };
        let dtype = match (is_list, length) {
            (false, _) => Dtype::from(of),
            (true, Some(length)) => Dtype::List { of, length },
            (true, None) => {
                return Err(format!(
                    "is a list in Feast, of no length that Feast knows: say under [feast.lengths] how many elements models get, \"{name}\" = 16"
                ));
            }
        };
        let default = self.defaults.remove(name);
        let default = default.and_then(|node| node.literal(dtype, self.report));
        Ok(Feature {
            name: Arc::from(&*feature.name),
            dtype,
            default: default.unwrap_or_else(|| dtype.zero()),
        })
    }

    fn length(&mut self, node: &Node<'_>) -> Option<u16> {
        let length = u16::try_from(node.integer(self.report)?);
        let length = length
            .ok()
            .filter(|length| (1..=MAX_LIST_LENGTH).contains(length));
        if length.is_none() {
            let message = format!("a list has 1 to {MAX_LIST_LENGTH} elements");
            self.report.add(node.span(), &node.path, message);
        }
        length
    }

    /// Reports entries that belong to no feature. Returns what is refused.
    fn finish(self, views: &[Arc<View>]) -> BTreeMap<String, String> {
        let known: Vec<String> = views
            .iter()
            .filter(|view| matches!(view.source, Source::Feast(_)))
            .flat_map(|view| {
                let features = view.features.iter();
                features.map(|feature| format!("{}.{}", view.name, feature.name))
            })
            .collect();
        for (name, node) in self.defaults.into_iter().chain(self.lengths) {
            let hint = did_you_mean(name, known.iter().map(String::as_str));
            let message = match self.refused.get(name) {
                Some(why) => format!("`{name}` {why}"),
                None => format!("Feast has no feature `{name}` online"),
            };
            self.report
                .add_with_hint(node.span(), &node.path, message, hint);
        }
        self.refused
    }
}

/// The type of the feature, or of its elements, and whether it is a list.
fn element(feature: &FeastFeature) -> Option<(Scalar, bool)> {
    let name = feature.value_type.to_string();
    let (name, is_list) = match name.strip_suffix("_LIST") {
        Some(of) => (of, true),
        None => (&*name, false),
    };
    let of = match name {
        "BOOL" => Scalar::Bool,
        "INT32" | "INT64" | "UNIX_TIMESTAMP" => Scalar::Int64,
        "FLOAT" => Scalar::Float32,
        "DOUBLE" => Scalar::Float64,
        "STRING" => Scalar::String,
        _ => return None,
    };
    Some((of, is_list))
}

/// Why models cannot write this name of a view or a feature, if they cannot: a dot separates a view
/// from its feature, and commas and blanks separate features.
fn unusable(name: &str) -> Option<&'static str> {
    if name == "request" {
        return Some(
            "is a view of Feast's, and `request` is what the caller sends: rename it in Feast",
        );
    }
    let separates = |c: char| c == '.' || c == ',' || c.is_whitespace();
    name.contains(separates).then_some(
        "has a dot, a comma or a blank in its name, which separate names: rename it in Feast",
    )
}

#[cfg(test)]
mod tests;
