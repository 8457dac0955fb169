//! The same records to a Kafka topic, each as one JSON object, the form of `gavel log show --json`.
//!
//! JSON and not the segments' bytes: whoever reads a topic (a stream job, a warehouse) has a JSON reader
//! and none of ours, and a message must be read without the messages before it. The key is the entity by
//! which the log is sampled, so that an entity's decisions stay in order.

use std::time::Duration;

use broker::{Options, Producer};
use decision_log::{Record, Value};
use metrics::{Counter, counter, describe_counter};
use tokio::time::Instant;

use super::format::json;
use crate::serve::Failure;

/// How long the end waits for what is queued.
const FLUSH: Duration = Duration::from_secs(5);

/// A topic to which records go.
#[derive(Clone)]
pub(super) struct Topic {
    name: String,
    /// By which entity an entity's messages are kept in order; `None` is the first.
    key: Option<String>,
    producer: Producer,
    sent: Counter,
    dropped_full: Counter,
    failed: Counter,
    /// Failures that have been counted.
    counted: u64,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Topic {
    /// No broker has to be there.
    pub(super) fn open(
        name: &str,
        key: Option<String>,
        options: &Options,
    ) -> Result<Self, Failure> {
        describe_counter!(
            "gavel_decision_log_kafka_records_total",
            "Decisions handed to Kafka, by what became of them (queued, dropped_full, failed)."
        );
        let outcome = |outcome: &'static str| counter!("gavel_decision_log_kafka_records_total", "outcome" => outcome);
        Ok(Self {
            name: name.to_owned(),
            key,
            producer: Producer::open(options).map_err(|error| Failure(error.to_string()))?,
            sent: outcome("queued"),
            dropped_full: outcome("dropped_full"),
            failed: outcome("failed"),
            counted: 0,
        })
    }

    /// Queues a record, or drops it when the broker does not take them as fast as they are made.
    pub(super) fn send(&mut self, record: &Record) {
        let key = self.key_of(record);
        match self
            .producer
            .try_send(&self.name, key.as_deref(), json(record).as_bytes())
        {
            Ok(()) => self.sent.increment(1),
            Err(broker::Full) => self.dropped_full.increment(1),
        }
    }

    /// Counts what the broker did not take after all.
    pub(super) fn count_failures(&mut self) {
        let failures = self.producer.failures();
        let new = failures.records.saturating_sub(self.counted);
        if new > 0 && self.counted == 0 {
            let why = failures.last.as_deref();
            tracing::error!(
                topic = self.name,
                why,
                "decisions did not reach Kafka; further ones are counted"
            );
        }
        self.counted = failures.records;
        self.failed.increment(new);
    }

    /// Waits for what is queued, for a while.
    pub(super) async fn flush(&self) {
        if let Err(unflushed) = self.producer.flush(Instant::now() + FLUSH).await {
            self.failed.increment(unflushed.records as u64);
            tracing::error!(
                topic = self.name,
                "{unflushed}: these decisions are lost to Kafka"
            );
        }
    }

    fn key_of(&self, record: &Record) -> Option<Vec<u8>> {
        let mut fields = record.schema.entities.iter();
        let named = self.key.as_deref();
        let place = named.and_then(|key| fields.position(|field| *field.name == *key));
        match record.entities.get(place.unwrap_or(0))? {
            Value::Text(key) => Some(key.as_bytes().to_vec()),
            Value::Int64(key) => Some(key.to_string().into_bytes()),
            _ => None,
        }
    }
}
