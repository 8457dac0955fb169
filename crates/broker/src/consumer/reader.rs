//! The thread that polls librdkafka and hands out batches.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use rdkafka::{
    Message as _,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    Delivery, Partition, Record,
    context::{Context, Shared},
};

/// A batch is handed out when it holds so many records,
const BATCH_RECORDS: usize = 1000;
/// or so many bytes, or when nothing more is there at once.
const BATCH_BYTES: usize = 4 << 20;
/// How long a poll waits when there is nothing to hand out.
const IDLE: Duration = Duration::from_millis(100);
/// How long a poll waits while nobody takes what there is to hand out.
const BUSY: Duration = Duration::from_millis(5);

/// Starts the thread; it ends when the consumer is closed.
pub(super) fn start(
    consumer: Arc<BaseConsumer<Context>>,
    deliveries: mpsc::Sender<Delivery>,
    shared: Arc<Shared>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let reader = Reader {
        consumer,
        deliveries,
        shared,
        batch: Vec::new(),
        batch_bytes: 0,
        topics: BTreeSet::new(),
        paused: false,
    };
    std::thread::Builder::new()
        .name("kafka-reader".into())
        .spawn(move || reader.run())
}

struct Reader {
    consumer: Arc<BaseConsumer<Context>>,
    deliveries: mpsc::Sender<Delivery>,
    shared: Arc<Shared>,
    batch: Vec<Record>,
    batch_bytes: usize,
    /// Names, so that records of a topic share one.
    topics: BTreeSet<Arc<str>>,
    paused: bool,
}

impl Reader {
    fn run(mut self) {
        while !self.shared.closing.load(Relaxed) && !self.deliveries.is_closed() {
            let wait = match (self.batch.is_empty(), self.paused) {
                (true, _) => IDLE,
                (false, true) => BUSY,
                (false, false) => Duration::ZERO,
            };
            // A clone, so that the message does not borrow the reader.
            let consumer = Arc::clone(&self.consumer);
            let polled = consumer.poll(wait);
            self.drop_revoked();
            if self.shared.take_resumed() {
                self.paused = false;
            }
            let more = match polled {
                Some(polled) => self.take(polled),
                None => false,
            };
            let full = self.batch.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES;
            if full || !more {
                self.hand_out(full);
            }
        }
    }

    /// Whether a record was taken.
    fn take(&mut self, polled: KafkaResult<BorrowedMessage<'_>>) -> bool {
        match polled {
            Ok(message) => {
                let record = self.record(&message);
                self.batch_bytes += record.payload.len();
                self.batch.push(record);
                true
            }
            Err(KafkaError::MessageConsumptionFatal(code)) => {
                let why = format!("the Kafka consumer has given up: {code}");
                // Whoever takes deliveries will stop; there is nothing to wait for here.
                let _ = self.deliveries.blocking_send(Delivery::Failed(why));
                self.shared.closing.store(true, Relaxed);
                false
            }
            Err(error) => {
                self.shared.trouble(&error);
                false
            }
        }
    }

    fn record(&mut self, message: &BorrowedMessage<'_>) -> Record {
        let topic = match self.topics.get(message.topic()) {
            Some(topic) => Arc::clone(topic),
            None => {
                let topic: Arc<str> = message.topic().into();
                self.topics.insert(Arc::clone(&topic));
                topic
            }
        };
        Record {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().unwrap_or_default().to_vec(),
            timestamp_ms: message.timestamp().to_millis(),
        }
    }

    /// Gives back what was read of partitions that are another member's now.
    fn drop_revoked(&mut self) {
        let revoked = self.shared.take_revoked();
        if revoked.is_empty() {
            return;
        }
        self.batch.retain(|record| {
            let partition = Partition {
                topic: Arc::clone(&record.topic),
                number: record.partition,
            };
            !revoked.contains(&partition)
        });
        let left = self.batch.iter();
        self.batch_bytes = left.map(|record| record.payload.len()).sum();
    }

    fn hand_out(&mut self, full: bool) {
        if self.batch.is_empty() {
            self.pause(false);
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        match self.deliveries.try_send(Delivery::Records(batch)) {
            Ok(()) => {
                self.batch_bytes = 0;
                self.pause(false);
            }
            Err(TrySendError::Full(Delivery::Records(batch))) => {
                self.batch = batch;
                self.pause(full);
            }
            Err(_) => self.batch_bytes = 0,
        }
    }

    /// Stops or resumes reading; the group is kept by polling on.
    fn pause(&mut self, pause: bool) {
        if pause == self.paused {
            return;
        }
        let changed = self.consumer.assignment().and_then(|partitions| {
            if pause {
                self.consumer.pause(&partitions)
            } else {
                self.consumer.resume(&partitions)
            }
        });
        match changed {
            Ok(()) => self.paused = pause,
            Err(error) => tracing::debug!("Kafka: {error}"),
        }
    }
}
