//! Each decision is kept: what was asked, what the model saw, what it said.
//!
//! ```text
//!  ingress::decide ── keep ──► in the sample, degraded or late? ──► queue ──► writer's thread ─┬─► segments
//!     moves the row             else: sampled_out                    │ full: dropped_full       └─► a Kafka topic
//! ```
//! The path hands over what it owns and goes on: it encodes nothing, waits for nothing and wakes nobody.
//! The writer looks into the queue by itself, twenty times a second.

mod entry;
mod format;
mod outline;
mod queue;
mod read;
mod sample;
mod sink;
mod table;
mod topic;

use std::{sync::Arc, time::Duration};

use features::{FeatureRow, RequestRow};

pub(crate) use self::{
    entry::{schema, value},
    format::plain,
};
pub use self::{
    format::{json, moment, text},
    outline::{Outline, outline},
    queue::DecisionLog,
    read::{Damaged, Filter, Reading, Unread, newest, read},
    table::export,
};
use crate::tiers::Seen;

/// What a decision was made from, for the log alone.
#[derive(Debug)]
pub(crate) struct Basis {
    /// What its values are called.
    pub(crate) schema: Arc<decision_log::Schema>,
    pub(crate) request: RequestRow,
    pub(crate) features: FeatureRow,
    /// What the model that answered was given.
    pub(crate) tensors: Vec<Seen>,
    /// The moment at which features were measured.
    pub(crate) as_of: std::time::SystemTime,
    /// The time that it had.
    pub(crate) budget: Duration,
}
