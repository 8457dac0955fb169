//! Kafka: what is read from topics and written to them. Types of librdkafka do not leave this crate.
//!
//! ```text
//! topics ──► Consumer ── Delivery::Records ──► whoever works on them ──► Consumer::commit
//!                     └─ Delivery::Revoked: finish, commit, let go ──┘
//! Producer::try_send ──► a bounded queue ──► topics; what was not delivered is counted
//! ```
//! A broker that is gone is waited for, and said so once. What is not here: what records mean.

mod consumer;
mod options;
mod producer;

pub use consumer::{
    Consumer, ConsumerError, Delivery, Lag, Partition, Position, Record, Revoked, Start,
    Subscription,
};
pub use options::{OptionError, Options};
pub use producer::{Failures, Full, Producer, Unflushed};
