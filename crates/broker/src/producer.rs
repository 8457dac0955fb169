//! Writing to topics: bounded, idempotent, acknowledged by all replicas.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use tokio::time::Instant;

use crate::options::{OptionError, Options};

/// What waits for a broker, at most, unless options say otherwise.
const DEFAULTS: [(&str, &str); 6] = [
    // A broker that comes back is found soon, a connection that went silent is given up: librdkafka's
    // own are 10 s and a minute.
    ("socket.timeout.ms", "10000"),
    ("reconnect.backoff.max.ms", "2000"),
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "65536"),
    ("compression.type", "lz4"),
    ("linger.ms", "20"),
];
const FIXED: [(&str, &str); 2] = [("acks", "all"), ("enable.idempotence", "true")];

/// Writes records to topics. Cheap to clone; what is queued when the last clone is dropped is lost, so
/// [`flush`](Self::flush) first.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<ThreadedProducer<Context>>,
    failures: Arc<Failing>,
}

/// The queue is full: the broker does not take as much as is written. The record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue to Kafka is full")]
pub struct Full;

/// Records were still not delivered at the deadline of a flush. They go on trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{records} records were not delivered to Kafka in time")]
pub struct Unflushed {
    /// How many.
    pub records: usize,
}

/// Records that were given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many since the start.
    pub records: u64,
    /// Why the last one was.
    pub last: Option<String>,
}

#[derive(Default)]
struct Failing {
    records: AtomicU64,
    last: parking_lot::Mutex<Option<String>>,
}

struct Context(Arc<Failing>);

impl Producer {
    /// Opens a producer; no broker has to be there.
    ///
    /// # Errors
    /// The options contradict each other.
    pub fn open(options: &Options) -> Result<Self, OptionError> {
        let failures = Arc::new(Failing::default());
        let context = Context(Arc::clone(&failures));
        let producer = options
            .client(&DEFAULTS, &FIXED)
            .create_with_context(context)
            .map_err(|error| OptionError::of_client(&error))?;
        Ok(Self {
            inner: Arc::new(producer),
            failures,
        })
    }

    /// Queues a record and returns at once. One that can never be delivered (too large, say) is taken
    /// and counted among the failures.
    ///
    /// # Errors
    /// The queue is full.
    pub fn try_send(&self, topic: &str, key: Option<&[u8]>, payload: &[u8]) -> Result<(), Full> {
        self.try_send_with(topic, key, payload, &[])
    }

    /// Likewise, with headers.
    ///
    /// # Errors
    /// The queue is full.
    pub fn try_send_with(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        payload: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<(), Full> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(payload);
        if let Some(key) = key {
            record = record.key(key);
        }
        if !headers.is_empty() {
            let headers = headers.iter().fold(
                OwnedHeaders::new_with_capacity(headers.len()),
                |all, (key, value)| {
                    let value = Some(*value);
                    all.insert(Header { key, value })
                },
            );
            record = record.headers(headers);
        }
        match self.inner.send(record) {
            Ok(()) => Ok(()),
            Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                Err(Full)
            }
            Err((error, _)) => {
                self.failures.add(&error);
                Ok(())
            }
        }
    }

    /// Waits until all that was queued is delivered or given up.
    ///
    /// # Errors
    /// Some is neither at `deadline`.
    pub async fn flush(&self, deadline: Instant) -> Result<(), Unflushed> {
        let inner = Arc::clone(&self.inner);
        let wait = deadline.saturating_duration_since(Instant::now());
        let flushing = tokio::task::spawn_blocking(move || {
            // Its only failure is the time, which what is left tells as well.
            let _ = inner.flush(wait.max(Duration::from_millis(1)));
            usize::try_from(inner.in_flight_count()).unwrap_or(0)
        });
        match flushing.await.unwrap_or(0) {
            0 => Ok(()),
            records => Err(Unflushed { records }),
        }
    }

    /// What was given up since the start.
    pub fn failures(&self) -> Failures {
        Failures {
            records: self.failures.records.load(Relaxed),
            last: self.failures.last.lock().clone(),
        }
    }
}

impl Failing {
    fn add(&self, error: &KafkaError) {
        *self.last.lock() = Some(error.to_string());
        self.records.fetch_add(1, Relaxed);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::options::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("Kafka: {error}: {reason}");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.add(error);
        }
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}
