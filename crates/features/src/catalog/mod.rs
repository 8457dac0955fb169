//! `features.toml`, parsed and checked: entities, events, views and derived features.
//!
//! ```text
//! text ── reader ──► tables with spans ── entities, events, views, derived ──► Catalog
//!                         └──────────────── every problem, at once ──────────► Vec<Problem>
//! ```
//! A [`Catalog`] is valid by construction: every name that it refers to exists, no derived feature
//! depends on itself, every default has its feature's type. The one thing it cannot know is what a
//! request carries; that is checked where a decision's [`Plan`](crate::Plan) is compiled.

mod arguments;
mod derived;
mod dtype;
mod events;
mod feast;
mod hashes;
mod problem;
mod reader;
mod views;
mod windows;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

pub(crate) use derived::mismatch;
use feast::{Feast, Origin};
pub(crate) use hashes::{Field, Fields, Hash};
pub use problem::Problem;
use problem::Report;
use reader::Table;

use crate::events::EventType;
use crate::feast::FeastHash;
use crate::key::StateKey;
use crate::transform::Transform;
use crate::value::{Dtype, Value};
use crate::windows::{Program, WindowView};

/// The feature definitions of all decisions.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) derived: Vec<Derived>,
    /// In the order of their names.
    events: Vec<Arc<EventType>>,
    feast: Option<Feast>,
}

/// A group of features of one entity (or of a combination of entities), stored as one row.
#[derive(Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) name: Arc<str>,
    /// What makes up the key, in order: entity's name and type (string or int64).
    pub(crate) entities: Vec<(Arc<str>, Dtype)>,
    /// Rows older than this are stale; `None` for never.
    pub(crate) ttl_micros: Option<i64>,
    /// In the order of their names, which is also their order in a stored row.
    pub(crate) features: Vec<Feature>,
    /// Of the view's name, and its entities' and features' names and types (see `row`); of a view from
    /// events, of what is counted (see `windows::program`).
    pub(crate) fingerprint: u64,
    pub(crate) source: Source,
}

/// How a view's rows come about, and so how they are stored.
#[derive(Debug, PartialEq)]
pub(crate) enum Source {
    /// Packed rows, loaded as they are to be read; see `row`.
    Packed,
    /// States of windows over events, evaluated when they are read; see `windows`.
    Windows(Arc<Program>),
    /// Plain Redis hashes of text, which others write; see `hash_row`.
    Hash(Hash),
    /// Feast's Redis hashes, which Feast writes; see `feast`.
    Feast(FeastHash),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Feature {
    pub(crate) name: Arc<str>,
    pub(crate) dtype: Dtype,
    /// Of `dtype`, and so as long as a list is to be.
    pub(crate) default: Value,
}

/// A feature computed from others. Inputs that are derived come earlier in the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    pub(crate) name: Arc<str>,
    pub(crate) transform: Transform,
    pub(crate) inputs: Vec<Reference>,
    /// Taken when the transform has no result, or an input has no value at all.
    pub(crate) default: Value,
}

/// Where a feature's name leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reference {
    /// `request.FIELD`
    Request(Arc<str>),
    /// `VIEW.FEATURE`, as indices into the catalog.
    View { view: usize, feature: usize },
    /// A bare name, as an index into the catalog.
    Derived(usize),
}

impl Catalog {
    /// Parses the text of `features.toml`.
    ///
    /// # Errors
    /// Every problem of the text at once, in the order of their places.
    pub fn parse(source: &str) -> Result<Catalog, Vec<Problem>> {
        Self::read(source, Origin::Nowhere)
    }

    /// Parses the text of a `features.toml` that lies in `folder`, where the paths that it names
    /// begin.
    ///
    /// # Errors
    /// As [`Self::parse`], and what is wrong with the files that it names.
    pub fn parse_in(folder: &Path, source: &str) -> Result<Catalog, Vec<Problem>> {
        Self::read(source, Origin::Folder(folder))
    }

    fn read(source: &str, origin: Origin<'_>) -> Result<Catalog, Vec<Problem>> {
        let mut report = Report::default();
        let (document, syntax) = DeTable::parse_recoverable(source);
        for error in &syntax {
            let span = error.span().unwrap_or(0..0);
            report.add(span, "", format!("not valid TOML: {}", error.message()));
        }
        // What a broken document still holds is a guess: problems found in it would be noise.
        let mut catalog = Catalog {
            views: Vec::new(),
            derived: Vec::new(),
            events: Vec::new(),
            feast: None,
        };
        if syntax.is_empty() {
            let root = Table::root(&document);
            root.only(
                &["entities", "events", "views", "feast", "derived"],
                &mut report,
            );
            let entities = views::entities(&root, &mut report);
            let events = events::events(&root, &mut report);
            catalog.views = views::views(&root, &entities, &events, &mut report);
            catalog.events = events::join(events, &catalog.views, &mut report);
            catalog.feast = feast::feast(&root, source, &origin, &mut catalog.views, &mut report);
            // Without Feast's views, what is derived from them would be reported once more.
            if root.get("feast").is_none() || catalog.feast.is_some() {
                catalog.derived = derived::derived(&root, &catalog, &mut report);
            }
        }
        report.finish(catalog)
    }

    /// Every name that models, rules and derived features may use, apart from `request.…`.
    pub fn feature_names(&self) -> impl Iterator<Item = String> {
        let stored = self.views.iter().flat_map(|view| {
            view.features
                .iter()
                .map(move |feature| format!("{}.{}", view.name, feature.name))
        });
        stored.chain(self.derived.iter().map(|derived| derived.name.to_string()))
    }

    /// The event types, in the order of their names.
    pub fn event_types(&self) -> &[Arc<EventType>] {
        &self.events
    }

    /// The event type of that name.
    pub fn event_type(&self, name: &str) -> Option<&Arc<EventType>> {
        self.events.iter().find(|known| known.name() == name)
    }

    /// The view of that name, if it is made from events.
    pub fn window_view(&self, name: &str) -> Option<WindowView> {
        self.view(name).and_then(WindowView::new)
    }

    /// How many elements of a tensor a feature fills; `None` for one that is not defined here, as
    /// each `request.…`, which fills one.
    pub fn width(&self, name: &str) -> Option<usize> {
        match self.resolve(name)? {
            Reference::Request(_) => None,
            Reference::View { view, feature } => {
                Some(self.views[view].features[feature].dtype.width())
            }
            Reference::Derived(_) => Some(1),
        }
    }

    /// Where Feast's views are, if there are any: for [`Store::open`](crate::Store::open). It may
    /// hold a password.
    pub fn feast_store_url(&self) -> Option<&str> {
        Some(self.feast.as_ref()?.repository.store_url())
    }

    /// How often [`Self::reread_feast`] is to be called; `None` for never.
    pub fn feast_refresh(&self) -> Option<Duration> {
        self.feast.as_ref()?.refresh
    }

    /// Reads Feast's files again: the catalog as they make it now, with everything else as it is
    /// here; `None` if they say what they said. It waits for the disk.
    ///
    /// # Errors
    /// Why this catalog is to stay in force, in sentences: a file cannot be read or is being
    /// written, features.toml names what is gone, or feature_store.yaml names another Redis.
    pub fn reread_feast(&self) -> Result<Option<Catalog>, String> {
        match &self.feast {
            Some(feast) => feast.reread(),
            None => Ok(None),
        }
    }

    /// What is wrong with a name that leads nowhere.
    pub(crate) fn unknown(&self, feature: &str) -> String {
        let feast = self.feast.as_ref();
        let refusal = feast.and_then(|feast| feast.refusal(feature));
        refusal.unwrap_or_else(|| format!("there is no feature `{feature}`"))
    }

    pub(crate) fn view(&self, name: &str) -> Option<&Arc<View>> {
        self.views.iter().find(|view| &*view.name == name)
    }

    /// The key of an entity of a view from events; `None` if there is no such view, or the entity
    /// is not of its types.
    pub fn state_key(&self, view: &str, entity: &[Value]) -> Option<StateKey> {
        let view = self.view(view)?;
        let mut typed = view.entities.iter().zip(entity);
        let fits = view.entities.len() == entity.len()
            && typed.all(|((_, dtype), value)| value.is_of(*dtype));
        fits.then(|| StateKey::new(&view.name, entity))
    }

    /// Where `name` leads; `None` for a name that is not defined here. Whether a request has the
    /// field of a `request.FIELD` is for the caller to check.
    pub(crate) fn resolve(&self, name: &str) -> Option<Reference> {
        match name.split_once('.') {
            Some(("request", field)) => Some(Reference::Request(Arc::from(field))),
            Some((view, feature)) => {
                let view = self.views.iter().position(|known| &*known.name == view)?;
                let feature = self.views[view].feature(feature)?;
                Some(Reference::View { view, feature })
            }
            None => {
                let place = self.derived.iter().position(|known| &*known.name == name)?;
                Some(Reference::Derived(place))
            }
        }
    }
}

impl View {
    pub(crate) fn feature(&self, name: &str) -> Option<usize> {
        self.features
            .binary_search_by(|feature| (*feature.name).cmp(name))
            .ok()
    }
}

impl Feature {
    /// A stored value as decisions see it: a list is cut to its type's length, and what a shorter
    /// one lacks is there as in the default. `value` is of the feature's type but for the length.
    pub(crate) fn sized(&self, value: Value) -> Value {
        match (value, &self.default) {
            (Value::List(stored), Value::List(default)) if stored.len() != default.len() => {
                let padding = default.iter().skip(stored.len());
                let elements = stored.iter().take(default.len()).chain(padding);
                Value::List(elements.cloned().collect())
            }
            (value, _) => value,
        }
    }
}

#[cfg(test)]
mod tests;
