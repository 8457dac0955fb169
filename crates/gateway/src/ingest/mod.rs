//! Events become features: from topics and files (`gavel ingest`), and as they are posted.
//!
//! ```text
//! kafka, file ─► types: payload -> event ─┬─► dead letters ─► kept first
//!                                         └─► writer ─► states swapped in the store ─► positions committed
//! POST /v1/events ─► types ─► live ─► writer ─► answered
//! ```
//! Nothing is lost: a position is committed only after the states of its events are written and its
//! dead letters are kept. Nothing is counted twice: a state remembers the last position that it took
//! of each source, and a write compares with what is stored.
//!
//! What is not here: what a state is and how an event changes it (`features::windows`), and Kafka
//! itself (`broker`).

mod dead_letters;
mod file;
mod framing;
mod kafka;
mod live;
mod meters;
mod observed;
mod progress;
mod run;
mod stage;
mod types;
mod writer;

pub(crate) use self::meters::count_rejected;
pub use self::{
    dead_letters::DeadLetterTarget,
    file::FileSource,
    kafka::TopicSource,
    live::{Live, Posted, Rejected, Unwritten},
    run::{Job, Sources, run},
    types::{EventMessage, Format, Poison, Typed, Types},
};
