//! Topics as a source: deliveries are read into batches; positions are committed behind them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use broker::{Consumer, Delivery, Options, Partition, Position, Record, Subscription};
use features::{Store, events::EventType};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    dead_letters::Letter,
    meters,
    observed::Observed,
    stage::{Ack, Batch, WAITING},
    types::{Format, Types},
    writer::Sourced,
};
use crate::serve::Failure;

/// How often positions are committed and lag is told.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// A topic, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSource {
    /// The topic's name.
    pub topic: String,
    /// The event type; `None` where events say it themselves.
    pub kind: Option<String>,
}

/// What reading topics needs.
#[derive(Debug)]
pub(crate) struct Topics {
    pub(crate) options: Options,
    pub(crate) subscription: Subscription,
    pub(crate) kinds: HashMap<String, Option<Arc<EventType>>>,
    pub(crate) format: Format,
    pub(crate) types: Types,
    /// Synced before positions are committed.
    pub(crate) store: Store,
    pub(crate) observed: Arc<Observed>,
}

struct Reading {
    topics: Topics,
    consumer: Consumer,
    batches: mpsc::Sender<Batch>,
    acks: mpsc::UnboundedReceiver<Ack>,
    /// Batches that are not acknowledged.
    out: usize,
    /// Written, and not committed.
    ready: BTreeMap<Partition, i64>,
    sources: HashMap<Partition, u64>,
    /// When the newest record of a partition was written, in milliseconds since the Unix epoch.
    newest_ms: HashMap<Partition, i64>,
}

impl Topics {
    /// Reads until `stop`, or until the writing stage has ended. What was read is then written and
    /// committed.
    ///
    /// # Errors
    /// A topic is not there, the client gives up, or the last positions can't be committed.
    pub(crate) async fn run(
        self,
        batches: mpsc::Sender<Batch>,
        acks: mpsc::UnboundedReceiver<Ack>,
        stop: CancellationToken,
    ) -> Result<(), Failure> {
        let opening = Consumer::open(&self.options, &self.subscription);
        let Some(opened) = stop.run_until_cancelled(opening).await else {
            return Ok(());
        };
        let consumer = opened.map_err(|error| Failure(error.to_string()))?;
        let group = &self.subscription.group;
        tracing::info!(brokers = self.options.brokers(), group, topics = ?self.subscription.topics, "reading");
        let reading = Reading {
            topics: self,
            consumer,
            batches,
            acks,
            out: 0,
            ready: BTreeMap::new(),
            sources: HashMap::new(),
            newest_ms: HashMap::new(),
        };
        reading.run(stop).await
    }
}

impl Reading {
    async fn run(mut self, stop: CancellationToken) -> Result<(), Failure> {
        let mut ticks = tokio::time::interval(COMMIT_EVERY);
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    self.commit().await;
                    self.tell_lag();
                }
                ack = self.acks.recv() => match ack {
                    Some(ack) => self.acknowledged(ack),
                    // The writing stage has ended, and says why.
                    None => break,
                },
                delivery = self.consumer.next(), if self.out < WAITING => match delivery {
                    Delivery::Records(records) => {
                        let batch = self.read(records);
                        self.out += 1;
                        if self.batches.send(batch).await.is_err() {
                            break;
                        }
                    }
                    Delivery::Revoked(revoked) => {
                        self.settle().await;
                        self.commit().await;
                        self.newest_ms.retain(|partition, _| !revoked.partitions.contains(partition));
                        drop(revoked);
                    }
                    Delivery::Failed(why) => {
                        outcome = Err(Failure(why));
                        break;
                    }
                },
            }
        }
        self.settle().await;
        self.commit().await;
        let closed = self.consumer.close().await;
        outcome.and(closed.map_err(|error| Failure(error.to_string())))
    }

    fn read(&mut self, records: Vec<Record>) -> Batch {
        let now = SystemTime::now();
        let mut batch = Batch {
            events: Vec::with_capacity(records.len()),
            ..Batch::default()
        };
        let mut next: HashMap<(Arc<str>, i32), i64> = HashMap::new();
        let mut last: Option<(Arc<str>, i32, u64)> = None;
        for record in records {
            let same = last.as_ref().filter(|(topic, number, _)| {
                Arc::ptr_eq(topic, &record.topic) && *number == record.partition
            });
            let source = match same {
                Some((.., source)) => *source,
                None => self.source(&record),
            };
            last = Some((Arc::clone(&record.topic), record.partition, source));
            next.insert(
                (Arc::clone(&record.topic), record.partition),
                record.offset + 1,
            );
            if let Some(ms) = record.timestamp_ms {
                let partition = Partition {
                    topic: Arc::clone(&record.topic),
                    number: record.partition,
                };
                self.newest_ms.insert(partition, ms);
            }
            let topics = &self.topics;
            let kind = topics.kinds.get(&*record.topic).and_then(Option::as_ref);
            match topics.types.read(topics.format, &record.payload, kind, now) {
                Ok(typed) => batch.events.push(Sourced {
                    typed,
                    origin: (source, record.offset),
                }),
                Err(poison) => {
                    let name = format!("{}[{}]", record.topic, record.partition);
                    let size = record.payload.len() as u64;
                    let letter = Letter::new(poison, name, record.offset, record.payload, size);
                    batch.letters.push(letter);
                }
            }
        }
        batch.positions = next
            .into_iter()
            .map(|((topic, number), next)| Position {
                partition: Partition { topic, number },
                next,
            })
            .collect();
        batch
    }

    /// What a state knows the partition by.
    fn source(&mut self, record: &Record) -> u64 {
        let partition = Partition {
            topic: Arc::clone(&record.topic),
            number: record.partition,
        };
        let cluster = self.consumer.cluster();
        let name = format!("kafka\0{cluster}\0{}\0{}", record.topic, record.partition);
        *self
            .sources
            .entry(partition)
            .or_insert_with(|| source(&name))
    }

    fn acknowledged(&mut self, ack: Ack) {
        self.out = self.out.saturating_sub(ack.batches);
        let positions = ack.positions.into_iter();
        self.ready
            .extend(positions.map(|position| (position.partition, position.next)));
    }

    /// Waits until all that was read is written, or the writing stage has ended.
    async fn settle(&mut self) {
        while self.out > 0 {
            match self.acks.recv().await {
                Some(ack) => self.acknowledged(ack),
                None => return,
            }
        }
    }

    async fn commit(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        if let Err(error) = self.topics.store.sync().await {
            tracing::warn!("positions are not committed yet: {error}");
            return;
        }
        let ready = std::mem::take(&mut self.ready).into_iter();
        let positions: Vec<Position> = ready
            .map(|(partition, next)| Position { partition, next })
            .collect();
        self.consumer.commit(&positions);
    }

    fn tell_lag(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
        let mut all = 0;
        for lag in self.consumer.lag() {
            all += lag.records;
            let newest = self.newest_ms.get(&lag.partition);
            let behind_ms = match (lag.records, newest) {
                (0, _) | (_, None) => 0,
                (_, Some(newest)) => now_ms.saturating_sub(*newest).max(0),
            };
            let Partition { topic, number } = &lag.partition;
            meters::lag(topic, *number, lag.records, behind_ms as f64 / 1e3);
        }
        self.topics.observed.lag(all);
    }
}

/// A source's number: stable across processes.
pub(crate) fn source(name: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(name).into();
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(head)
}
