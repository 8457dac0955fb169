//! The past from its events: what the online store would have answered at earlier moments.
//!
//! ```text
//! expect: whose rows will be asked for
//! events, oldest first ── apply ──► a State for each view and entity ── see, at a moment ──► FeatureRow
//! ```
//! States, their evaluation, defaults and transforms are the ones that decisions use: `windows` and
//! `assemble`. What is here is only the store's place: states in memory, of the entities alone that
//! are asked about.

use std::collections::HashMap;

use crate::catalog::Catalog;
use crate::events::Event;
use crate::feature_row::{FeatureRow, StoreOutcome};
use crate::key::StateKey;
use crate::plan::Plan;
use crate::schema::{EntityField, RequestRow, RequestSchema};
use crate::suggest::did_you_mean;
use crate::value::Value;
use crate::windows::{Applied, State, WindowView};

/// The features of a plan, as they were while its views' events happened.
#[derive(Debug)]
pub struct History {
    plan: Plan,
    views: Vec<View>,
}

#[derive(Debug)]
struct View {
    view: WindowView,
    /// Places of its entities in a request.
    entities: Vec<usize>,
    /// By entity that is asked about; `None` before its first event.
    states: HashMap<StateKey, Option<State>>,
}

/// What a request about these views carries, and the names of all their features, in order.
///
/// # Errors
/// A sentence about a view that is not there, or is not made from events.
pub fn about_views(
    catalog: &Catalog,
    views: &[String],
) -> Result<(RequestSchema, Vec<String>), String> {
    let mut schema = RequestSchema::default();
    let mut features = Vec::new();
    for name in views {
        let Some(view) = catalog.view(name) else {
            let known = catalog.views.iter().map(|view| &*view.name);
            let hint = did_you_mean(name, known).map(|hint| format!(" ({hint})"));
            let hint = hint.unwrap_or_default();
            return Err(format!("there is no view `{name}`{hint}"));
        };
        if WindowView::new(view).is_none() {
            let view = name.clone();
            return Err(HistoryError { view }.to_string());
        }
        for (entity, dtype) in &view.entities {
            if !schema.entities.iter().any(|known| *known.name == **entity) {
                schema.entities.push(EntityField {
                    name: entity.to_string(),
                    dtype: *dtype,
                });
            }
        }
        let names = view.features.iter();
        features.extend(names.map(|feature| format!("{name}.{}", feature.name)));
    }
    Ok((schema, features))
}

/// A view whose past is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the view `{view}` is not made from events, so what its rows were at an earlier moment is not known"
)]
pub struct HistoryError {
    view: String,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is about no entity that is asked about.
    Elsewhere,
    /// Of the views that it concerns, the one that counted it, or else what another did.
    Applied(Applied),
}

impl History {
    /// Begins before the first event.
    ///
    /// # Errors
    /// The plan reads a view that is not made from events.
    pub fn new(plan: &Plan) -> Result<History, HistoryError> {
        let views = plan.layout.views.iter().map(|columns| {
            let view = WindowView::new(&columns.view).ok_or_else(|| HistoryError {
                view: columns.view.name.to_string(),
            })?;
            Ok(View {
                view,
                entities: columns.entities.clone(),
                states: HashMap::new(),
            })
        });
        Ok(History {
            views: views.collect::<Result<_, _>>()?,
            plan: plan.clone(),
        })
    }

    /// The names of the event types that are needed, each once.
    pub fn event_types(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.views.iter().map(|view| view.view.events()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Says that this request's entities will be asked about. Events of others are not kept.
    pub fn expect(&mut self, request: &RequestRow) {
        for view in &mut self.views {
            let key = view.key(request);
            view.states.entry(key).or_insert(None);
        }
    }

    /// Whether an event of the type of that name concerns any entity that is asked about.
    pub fn concerns(&self, events: &str, event: &Event) -> bool {
        let mut views = self
            .views
            .iter()
            .filter(|view| view.view.events() == events);
        views.any(|view| {
            let key = view.key_of(event);
            key.is_some_and(|key| view.states.contains_key(&key))
        })
    }

    /// Applies an event of the type of that name. To be called in the order of the events' times.
    pub fn apply(&mut self, events: &str, event: &Event) -> Outcome {
        let mut outcome = Outcome::Elsewhere;
        for view in &mut self.views {
            if view.view.events() != events {
                continue;
            }
            let Some(key) = view.key_of(event) else {
                continue;
            };
            let Some(state) = view.states.get_mut(&key) else {
                continue;
            };
            let state = state.get_or_insert_with(|| State::new(&view.view));
            let applied = state.apply(event, None);
            if outcome != Outcome::Applied(Applied::Counted) {
                outcome = Outcome::Applied(applied);
            }
        }
        outcome
    }

    /// What a decision would have seen at this moment, in microseconds since the Unix epoch, of an
    /// entity that was expected: of every event that has been applied. Where there was none the
    /// store would have had no row.
    pub fn see(&self, request: &RequestRow, moment_us: i64) -> FeatureRow {
        let mut row = FeatureRow::blank(self.plan.layout.clone());
        row.take_inputs(request);
        for (place, view) in self.views.iter().enumerate() {
            row.store = StoreOutcome::Answered;
            if let Some(Some(state)) = view.states.get(&view.key(request)) {
                row.take_stored(place, &state.encode(state.revision()), moment_us);
            }
        }
        row.derive();
        row
    }
}

impl View {
    fn key(&self, request: &RequestRow) -> StateKey {
        let entity = self.entities.iter();
        let entity: Vec<Value> = entity
            .filter_map(|place| request.entities.get(*place).cloned())
            .collect();
        StateKey::new(self.view.name(), &entity)
    }

    fn key_of(&self, event: &Event) -> Option<StateKey> {
        let entity = self.view.entity(event)?;
        Some(StateKey::new(self.view.name(), &entity))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::given::Given;
    use crate::value::Dtype;

    fn catalog() -> Catalog {
        Catalog::parse(
            r#"
            entities = { card_id = "string", store_id = "string" }
            [events.payment]
            id = "id"
            time = "at"
            [events.payment.fields]
            card_id = "string"
            store_id = { type = "string", path = "store.id" }
            amount = "float64"
            [views.card]
            entity = "card_id"
            events = "payment"
            features.count_1h = { dtype = "int64", default = -1, aggregate = "count", window = "1h" }
            features.sum_1h = { dtype = "float64", default = -1.0, aggregate = "sum", of = "amount", window = "1h" }
            [views.store]
            entity = "store_id"
            events = "payment"
            features.last = { dtype = "float64", default = -1.0, aggregate = "last", of = "amount" }
            [views.profile]
            entity = "card_id"
            features.x = { dtype = "float64", default = 0.0 }
            "#,
        )
        .unwrap()
    }

    fn plan(names: &[&str]) -> Plan {
        let entity = |name: &str| EntityField {
            name: name.into(),
            dtype: Dtype::String,
        };
        let schema = RequestSchema {
            entities: vec![entity("card_id"), entity("store_id")],
            inputs: Vec::new(),
        };
        Plan::compile(&catalog(), &schema, names).unwrap()
    }

    fn request(card: &str, store: &str) -> RequestRow {
        RequestRow {
            entities: vec![Value::String(card.into()), Value::String(store.into())],
            inputs: Vec::new(),
        }
    }

    #[test]
    fn what_happened_is_seen_from_then_on() {
        let catalog = catalog();
        let payment = catalog.event_type("payment").unwrap();
        let names = ["card.count_1h", "card.sum_1h", "store.last"];
        let plan = plan(&names);
        let mut history = History::new(&plan).unwrap();
        assert_eq!(history.event_types(), ["payment"]);
        let (asked, other) = (request("a", "s"), request("b", "s"));
        history.expect(&asked);
        let seen = |history: &History, moment_s: i64| {
            let row = history.see(&asked, moment_s * 1_000_000);
            names.map(|name| row.value(plan.column(name).unwrap()).as_f64().unwrap())
        };
        let event = |id: &str, at: i64, card: &str, store: &str, amount: &str| {
            let untyped = |text: &str| Given::Untyped(text.to_owned().into());
            let row = [
                ("id", untyped(id)),
                ("at", Given::Time(at * 1_000_000)),
                ("card_id", untyped(card)),
                ("store.id", untyped(store)),
                ("amount", untyped(amount)),
                ("else", Given::Other("an object")),
            ];
            payment.from_row(row, SystemTime::now()).unwrap()
        };
        assert_eq!(seen(&history, 1_000), [-1.0, -1.0, -1.0]);
        let counted = Outcome::Applied(Applied::Counted);
        assert_eq!(
            history.apply("payment", &event("1", 1_000, "a", "s", "2.5")),
            counted
        );
        assert_eq!(seen(&history, 1_001), [1.0, 2.5, 2.5]);
        assert_eq!(
            history.apply("payment", &event("2", 1_100, "b", "s", "7")),
            counted
        );
        assert_eq!(seen(&history, 1_200), [1.0, 2.5, 7.0]);
        let again = event("1", 1_100, "a", "s", "2.5");
        assert_eq!(
            history.apply("payment", &again),
            Outcome::Applied(Applied::Duplicate)
        );
        let elsewhere = event("3", 1_300, "b", "t", "7");
        assert!(history.concerns("payment", &again) && !history.concerns("payment", &elsewhere));
        assert_eq!(history.apply("payment", &elsewhere), Outcome::Elsewhere);
        assert_eq!(seen(&history, 1_000 + 7_200), [0.0, 0.0, 7.0]);
        // A day after its longest window a card is forgotten, as by a store that deletes it.
        let forgotten = 1_000 + 3_600 + 86_400;
        assert_eq!(seen(&history, forgotten), [0.0, 0.0, 7.0]);
        assert_eq!(seen(&history, forgotten + 1), [-1.0, -1.0, 7.0]);
        // Nobody was to ask about this card.
        let unexpected = history.see(&other, 1_200_000_000);
        assert_eq!(unexpected.missing().count(), 2);
    }

    #[test]
    fn the_past_of_a_loaded_view_is_not_known() {
        let error = History::new(&plan(&["card.count_1h", "profile.x"])).unwrap_err();
        let about = |view: &str| about_views(&catalog(), &[view.to_owned()]);
        assert!(
            about("profile")
                .unwrap_err()
                .contains("is not made from events")
        );
        assert!(about("crad").unwrap_err().contains("did you mean `card`?"));
        let (schema, features) = about("card").unwrap();
        assert_eq!(schema.entities[0].name, "card_id");
        assert_eq!(features, ["card.count_1h", "card.sum_1h"]);
        assert!(
            error
                .to_string()
                .starts_with("the view `profile` is not made from events")
        );
    }

    #[test]
    fn rows_of_tables_are_events_like_json() {
        let catalog = catalog();
        let payment = catalog.event_type("payment").unwrap();
        let now = SystemTime::now();
        let json = br#"{"id":"7","at":1000.5,"card_id":"007","store":{"id":"s"},"amount":3}"#;
        let json = payment.parse_json(json, now).unwrap();
        let untyped = |text: &'static str| Given::Untyped(text.into());
        let row = |at: Given<'static>, amount: Given<'static>| {
            let row = [
                ("id", untyped("7")),
                ("at", at),
                ("card_id", untyped("007")),
                ("store.id", Given::Text("s".into())),
                ("amount", amount),
            ];
            payment.from_row(row, now)
        };
        for (at, amount) in [
            (untyped("1000.5"), untyped("3")),
            (Given::Float(1000.5), Given::Int(3)),
            (Given::Time(1_000_500_000), Given::Float(3.0)),
        ] {
            assert_eq!(row(at, amount).unwrap(), json);
        }
        for (at, amount, said) in [
            (Given::Null, Given::Null, "time"),
            (
                untyped("noon"),
                Given::Null,
                "the time is \"noon\", not a number",
            ),
            (
                Given::Int(1),
                untyped("x"),
                "`amount` is float64, and \"x\" is not one",
            ),
            (
                Given::Int(1),
                Given::Time(0),
                "`amount` is float64, and a time is not one",
            ),
        ] {
            let error = row(at, amount).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(payment.is_time("at") && !payment.is_time("store") && !payment.is_time("id"));
    }
}
