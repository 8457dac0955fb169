//! Payloads become events of the types that `features.toml` defines, or poison with a reason.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use features::{
    Catalog, Value,
    events::{Event, EventType},
    windows::State,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{diagnostic::did_you_mean, ingress::event_message};

/// The longest event that is read, in bytes.
pub(crate) const MAX_EVENT_BYTES: usize = 1 << 20;

/// How events are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object an event.
    Json,
    /// One `gavel.v1.Event` an event; in a file each behind its length, as a varint.
    Protobuf,
}

/// The event types, by name.
#[derive(Clone, Debug)]
pub struct Types {
    catalog: Arc<Catalog>,
}

/// An event, and of which type.
#[derive(Clone, Debug)]
pub struct Typed {
    /// Its type.
    pub kind: Arc<EventType>,
    /// The event.
    pub event: Event,
}

/// An event as its message says it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventMessage {
    /// The type's name; may be empty where the source says it.
    pub kind: String,
    /// Its id, where it has one.
    pub id: Option<String>,
    /// When it happened, in microseconds since the Unix epoch.
    pub time_us: Option<i64>,
    /// Its fields by name.
    pub fields: Vec<(String, Value)>,
}

/// Why a payload is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// Stable: a label of metrics and dead letters.
    pub kind: &'static str,
    /// A sentence, less its full stop.
    pub why: String,
}

impl Types {
    /// Those of a catalog.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog }
    }

    /// The catalog that they are from.
    pub(crate) fn shared_catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog)
    }

    /// The names, for messages and documents.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.catalog.event_types().iter().map(|kind| kind.name())
    }

    /// The type of that name.
    ///
    /// # Errors
    /// There is none; the sentence says which there are.
    pub fn find(&self, name: &str) -> Result<&Arc<EventType>, Poison> {
        self.catalog.event_type(name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            let hint = did_you_mean(name, names.iter().copied());
            let known = match (hint, names.is_empty()) {
                (Some(hint), _) => hint,
                (None, true) => "features.toml defines none, under [events]".to_owned(),
                (None, false) => format!("there are `{}`", names.join("`, `")),
            };
            let name: String = name.chars().take(80).collect();
            Poison {
                kind: "unknown_type",
                why: format!("there is no event type `{name}`: {known}"),
            }
        })
    }

    /// The type, where there is one alone; `None` where events have to say theirs.
    ///
    /// # Errors
    /// There is no type at all.
    pub fn only(&self) -> Result<Option<Arc<EventType>>, Poison> {
        match self.catalog.event_types() {
            [] => Err(Poison {
                kind: "unknown_type",
                why: "features.toml defines no event type, under [events]".into(),
            }),
            [only] => Ok(Some(Arc::clone(only))),
            _ => Ok(None),
        }
    }

    /// Tells definitions apart: SHA-256 of those of the views that are made from events of this type,
    /// or of all types.
    pub(crate) fn views_digest(&self, kind: Option<&EventType>) -> String {
        let types = self.catalog.event_types().iter();
        let types = types.filter(|known| kind.is_none_or(|kind| kind.name() == known.name()));
        let mut digest = Sha256::new();
        for view in types.flat_map(|known| known.views()) {
            digest.update(view.name());
            // Its head is the view's fingerprint.
            digest.update(State::new(view).encode(0));
        }
        format!("{:x}", digest.finalize())
    }

    /// Reads a payload; `kind` is what its source says that it holds, if it says so.
    ///
    /// # Errors
    /// What keeps it from being an event.
    pub fn read(
        &self,
        format: Format,
        payload: &[u8],
        kind: Option<&Arc<EventType>>,
        now: SystemTime,
    ) -> Result<Typed, Poison> {
        if payload.len() > MAX_EVENT_BYTES {
            return Err(Poison::too_long(payload.len() as u64));
        }
        match format {
            Format::Json => self.json(payload, kind, now),
            Format::Protobuf => {
                let message = event_message::decode(payload).map_err(|why| Poison {
                    kind: "not_protobuf",
                    why,
                })?;
                self.message(message, kind, now)
            }
        }
    }

    fn json(
        &self,
        payload: &[u8],
        kind: Option<&Arc<EventType>>,
        now: SystemTime,
    ) -> Result<Typed, Poison> {
        #[derive(Deserialize)]
        struct Labelled<'a> {
            #[serde(borrow, rename = "type")]
            kind: Option<Cow<'a, str>>,
        }
        let labelled = || serde_json::from_slice::<Labelled<'_>>(payload);
        let label = match kind {
            Some(kind) if kind.reads_type() => None,
            // A `type` that is no text is no label, and what is no JSON is said below.
            Some(_) => labelled().ok().and_then(|labelled| labelled.kind),
            None => {
                let labelled = labelled().map_err(|error| Poison {
                    kind: "not_json",
                    why: format!("not a JSON object with a text `type`: {error}"),
                })?;
                labelled.kind
            }
        };
        let kind = self.of_label(label.as_deref(), kind)?;
        let event = kind.parse_json(payload, now)?;
        Ok(Typed {
            kind: Arc::clone(kind),
            event,
        })
    }

    /// Makes an event of a message that has been read.
    ///
    /// # Errors
    /// What keeps it from being one.
    pub fn message(
        &self,
        message: EventMessage,
        kind: Option<&Arc<EventType>>,
        now: SystemTime,
    ) -> Result<Typed, Poison> {
        let kind = self.of_label(Some(&message.kind), kind)?;
        let Some(time_us) = message.time_us else {
            return Err(Poison {
                kind: "no_time",
                why: "the event has no time".into(),
            });
        };
        let fields = message.fields.into_iter();
        let fields: Vec<(String, Value)> = fields.collect();
        let named = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        let event = kind.from_fields(message.id.as_deref(), time_us, named, now)?;
        Ok(Typed {
            kind: Arc::clone(kind),
            event,
        })
    }

    /// The type that an event says it is of, and that its source says it holds; an empty label says
    /// nothing.
    ///
    /// # Errors
    /// There is no such type, neither says one, or they say two.
    pub(crate) fn of_label<'k>(
        &'k self,
        label: Option<&str>,
        held: Option<&'k Arc<EventType>>,
    ) -> Result<&'k Arc<EventType>, Poison> {
        match (label.filter(|label| !label.is_empty()), held) {
            (None, Some(held)) => Ok(held),
            (None, None) => Err(self.no_type()),
            (Some(label), None) => self.find(label),
            (Some(label), Some(held)) if label == held.name() => Ok(held),
            (Some(label), Some(held)) => {
                let label: String = label.chars().take(80).collect();
                Err(Poison {
                    kind: "unknown_type",
                    why: format!(
                        "the event says that it is `{label}`, and its source holds `{}`",
                        held.name()
                    ),
                })
            }
        }
    }

    fn no_type(&self) -> Poison {
        let names: Vec<&str> = self.names().collect();
        Poison {
            kind: "no_type",
            why: format!(
                "the event does not say its `type`, one of `{}`",
                names.join("`, `")
            ),
        }
    }
}

impl Poison {
    /// Whether it is not even an object that says its type.
    pub(crate) fn is_shapeless(&self) -> bool {
        matches!(self.kind, "not_json" | "no_type")
    }

    /// An event of so many bytes.
    pub(crate) fn too_long(bytes: u64) -> Self {
        Self {
            kind: "event_too_long",
            why: format!("the event has {bytes} bytes, more than {MAX_EVENT_BYTES}"),
        }
    }
}

impl From<features::events::EventError> for Poison {
    fn from(error: features::events::EventError) -> Self {
        Self {
            kind: error.kind().label(),
            why: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Types {
        let catalog = Catalog::parse(
            r#"
            entities = { card_id = "string" }
            [events.payment]
            time = "at"
            fields = { card_id = "string" }
            [events.login]
            time = "at"
            fields = { card_id = "string" }
            [events.charge]
            time = "at"
            fields = { card_id = "string", kind = { type = "string", path = "type" } }
            [views]
            payments = { entity = "card_id", events = "payment", features.a = { dtype = "int64", default = 0, aggregate = "count", window = "1h" } }
            logins = { entity = "card_id", events = "login", features.a = { dtype = "int64", default = 0, aggregate = "count", window = "1h" } }
            charges = { entity = "card_id", events = "charge", features.a = { dtype = "string", default = "", aggregate = "last", of = "kind" } }
            "#,
        );
        Types::new(Arc::new(catalog.unwrap()))
    }

    fn read(payload: &str, held: Option<&str>) -> Result<String, &'static str> {
        let types = types();
        let held = held.map(|name| Arc::clone(types.find(name).unwrap()));
        let now = SystemTime::now();
        let read = types.read(Format::Json, payload.as_bytes(), held.as_ref(), now);
        read.map(|typed| typed.kind.name().to_owned())
            .map_err(|poison| poison.kind)
    }

    #[test]
    fn a_label_that_its_source_does_not_hold_is_poison() {
        let login = r#"{"type":"login","at":5,"card_id":"a"}"#;
        assert_eq!(read(login, None), Ok("login".into()));
        assert_eq!(read(login, Some("login")), Ok("login".into()));
        assert_eq!(read(login, Some("payment")), Err("unknown_type"));
        let unlabelled = r#"{"at":5,"card_id":"a"}"#;
        assert_eq!(read(unlabelled, Some("payment")), Ok("payment".into()));
        assert_eq!(read(unlabelled, None), Err("no_type"));
        let number = r#"{"type":7,"at":5,"card_id":"a"}"#;
        assert_eq!(read(number, Some("payment")), Ok("payment".into()));
        assert_eq!(read("nothing", Some("payment")), Err("not_json"));
    }

    #[test]
    fn a_type_that_is_a_field_is_no_label() {
        let charge = r#"{"type":"login","at":5,"card_id":"a"}"#;
        assert_eq!(read(charge, Some("charge")), Ok("charge".into()));
    }
}
