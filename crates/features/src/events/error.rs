//! Why an event can't be counted.

/// An event that can't be counted. `Display` is a full sentence, less its full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EventError {
    kind: EventErrorKind,
    message: String,
}

impl EventError {
    pub(crate) fn new(kind: EventErrorKind, message: impl Into<String>) -> Self {
        EventError {
            kind,
            message: message.into(),
        }
    }

    pub fn kind(&self) -> EventErrorKind {
        self.kind
    }
}

/// The closed set of reasons; a label of metrics and dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventErrorKind {
    /// Not a JSON object, or not JSON at all.
    NotJson,
    /// Longer than 1 MiB.
    EventTooLong,
    /// The field with the time is absent or null.
    NoTime,
    /// No view made from these events finds its entity in it.
    NoEntity,
    /// An entity's key that is empty, or longer than a request can name.
    EntityLength,
    /// A value that is not of its field's type.
    WrongType,
    /// A number that is NaN, infinite or too large for a float64.
    NotFinite,
    /// A text of more than 64 KiB.
    TextTooLong,
    /// A time before 1970, or one that its unit can't mean.
    TimeOutOfRange,
    /// A time more than five minutes from now.
    TimeInFuture,
}

impl EventErrorKind {
    pub const ALL: [EventErrorKind; 10] = [
        EventErrorKind::NotJson,
        EventErrorKind::EventTooLong,
        EventErrorKind::NoTime,
        EventErrorKind::NoEntity,
        EventErrorKind::EntityLength,
        EventErrorKind::WrongType,
        EventErrorKind::NotFinite,
        EventErrorKind::TextTooLong,
        EventErrorKind::TimeOutOfRange,
        EventErrorKind::TimeInFuture,
    ];

    /// Stable: dashboards and readers of dead letters rely on it.
    pub fn label(self) -> &'static str {
        match self {
            EventErrorKind::NotJson => "not_json",
            EventErrorKind::EventTooLong => "event_too_long",
            EventErrorKind::NoTime => "no_time",
            EventErrorKind::NoEntity => "no_entity",
            EventErrorKind::EntityLength => "entity_length",
            EventErrorKind::WrongType => "wrong_type",
            EventErrorKind::NotFinite => "not_finite",
            EventErrorKind::TextTooLong => "text_too_long",
            EventErrorKind::TimeOutOfRange => "time_out_of_range",
            EventErrorKind::TimeInFuture => "time_in_future",
        }
    }
}
