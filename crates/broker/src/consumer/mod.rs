//! Reading topics as a member of a group: positions are committed by hand, after the work.
//!
//! ```text
//!            ┌─ a thread of its own ─────────────────┐
//! librdkafka │ reader: poll ─► batch ─► bounded queue │ ──► Consumer::next ─► Delivery
//!            │   └ rebalance: Revoked ─► waits ◄──────│──── dropped once its work is committed
//!            └───────────────────────────────────────┘      Consumer::commit
//! ```
//! When nobody takes deliveries (the store is down), partitions are paused and the group is kept.

mod context;
mod reader;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use self::context::{Context, Shared};
use crate::options::{OptionError, Options};

/// How long one attempt to reach the cluster takes at most.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Deliveries that wait to be taken.
const QUEUE: usize = 4;
/// How long closing waits for the cluster.
const CLOSE: Duration = Duration::from_secs(10);
/// Names of topics that a message shows.
const SHOWN: usize = 20;

const DEFAULTS: [(&str, &str); 5] = [
    // A connection that went silent is given up; librdkafka's own is a minute.
    ("socket.timeout.ms", "10000"),
    // A broker that comes back is found soon; librdkafka's own is 10 s.
    ("reconnect.backoff.max.ms", "2000"),
    ("queued.max.messages.kbytes", "32768"),
    ("fetch.wait.max.ms", "100"),
    ("topic.metadata.refresh.interval.ms", "60000"),
];

/// What is read, and from where on.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The group's name: members share the topics' partitions.
    pub group: String,
    /// The topics' names.
    pub topics: Vec<String>,
    /// Where a partition begins in which the group has no position.
    pub start: Start,
}

/// Where a partition begins in which the group has no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
    /// At the first record that was written at this time or later.
    At(SystemTime),
}

/// A member of a group.
pub struct Consumer {
    inner: Arc<BaseConsumer<Context>>,
    shared: Arc<Shared>,
    deliveries: mpsc::Receiver<Delivery>,
    cluster: String,
    reader: Option<std::thread::JoinHandle<()>>,
}

/// What [`Consumer::next`] hands out.
#[derive(Debug)]
pub enum Delivery {
    /// Records, in the order of their offsets within each partition.
    Records(Vec<Record>),
    /// Partitions that go to another member, once this is dropped.
    Revoked(Revoked),
    /// The client has given up, and says why; nothing follows.
    Failed(String),
}

/// One record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The number of its partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Its key, where it has one.
    pub key: Option<Vec<u8>>,
    /// What it holds; a record without a value (a tombstone) is empty.
    pub payload: Vec<u8>,
    /// When it was written, in milliseconds since the Unix epoch, where the broker knows.
    pub timestamp_ms: Option<i64>,
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its number.
    pub number: i32,
}

/// How far a partition has been worked off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: Partition,
    /// The offset of the next record to read.
    pub next: i64,
}

/// How far the broker is ahead of what was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub partition: Partition,
    /// Records that are there and not committed.
    pub records: u64,
}

/// Partitions that are given up. The group waits (a minute, at most) until this is dropped: finish what
/// is in flight of them and [`commit`](Consumer::commit) it, or leave it to the next owner.
#[derive(Debug)]
pub struct Revoked {
    /// Which.
    pub partitions: BTreeSet<Partition>,
    /// Dropped with this, which is what the reader waits for.
    pub(crate) _held: std::sync::mpsc::Sender<()>,
}

/// Why topics cannot be read. Each is a full sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumerError {
    /// An option is wrong.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A topic does not exist.
    #[error(
        "there is no topic `{topic}` on the Kafka cluster at {brokers}; {known}. Make the topic, or mend its name"
    )]
    NoTopic {
        /// Its name.
        topic: String,
        /// The cluster that was asked.
        brokers: String,
        /// What it has.
        known: String,
    },
    /// The client does not start, or stopped.
    #[error("the Kafka consumer {0}")]
    Client(String),
}

impl Consumer {
    /// Joins a group. Waits until the cluster is reached, and says so once.
    ///
    /// # Errors
    /// The options are wrong, or a topic is not there.
    pub async fn open(
        options: &Options,
        subscription: &Subscription,
    ) -> Result<Self, ConsumerError> {
        let reset = match subscription.start {
            Start::Latest => "latest",
            Start::Earliest | Start::At(_) => "earliest",
        };
        let fixed = [
            ("group.id", subscription.group.as_str()),
            ("auto.offset.reset", reset),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("statistics.interval.ms", "1000"),
        ];
        let (sender, deliveries) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::new(options.brokers()));
        let context = Context::new(subscription.start, sender.clone(), Arc::clone(&shared));
        let inner: BaseConsumer<Context> = options
            .client(&DEFAULTS, &fixed)
            .create_with_context(context)
            .map_err(|error| OptionError::of_client(&error))?;
        let inner = Arc::new(inner);
        let cluster = await_topics(&inner, &shared, subscription).await?;
        let topics: Vec<&str> = subscription.topics.iter().map(String::as_str).collect();
        inner
            .subscribe(&topics)
            .map_err(|error| ConsumerError::Client(format!("cannot subscribe: {error}")))?;
        let reader = reader::start(Arc::clone(&inner), sender, Arc::clone(&shared))
            .map_err(|error| ConsumerError::Client(format!("cannot start its thread: {error}")))?;
        Ok(Self {
            inner,
            shared,
            deliveries,
            cluster,
            reader: Some(reader),
        })
    }

    /// The next delivery; waits for as long as there is none.
    pub async fn next(&mut self) -> Delivery {
        let stopped = || Delivery::Failed("the Kafka consumer has stopped".to_owned());
        self.deliveries.recv().await.unwrap_or_else(stopped)
    }

    /// Commits positions and returns at once. A commit that does not arrive is made up for by the next;
    /// positions in partitions that this member no longer has are left out.
    pub fn commit(&self, positions: &[Position]) {
        let list = self.shared.note(positions);
        if list.count() == 0 {
            return;
        }
        if let Err(error) = self.inner.commit(&list, CommitMode::Async) {
            tracing::debug!("Kafka: positions were not committed: {error}");
        }
    }

    /// The cluster's own name for itself; empty where it has none.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// How far the broker is ahead, as of a second ago.
    pub fn lag(&self) -> Vec<Lag> {
        self.shared.lag()
    }

    /// Commits the last positions for good and leaves the group. Deliveries that were not taken go to
    /// the next owner.
    ///
    /// # Errors
    /// The positions could not be committed: what they cover is read again by the next owner.
    pub async fn close(mut self) -> Result<(), ConsumerError> {
        self.shared.closing.store(true, Relaxed);
        self.deliveries.close();
        let reader = self.reader.take();
        let (inner, shared) = (Arc::clone(&self.inner), Arc::clone(&self.shared));
        drop(self);
        let (done, closed) = oneshot::channel();
        // On a thread that nobody waits for: without a broker, librdkafka tries for ever.
        let closing = std::thread::Builder::new().name("kafka-close".into());
        let closing = closing.spawn(move || {
            // A reader that panicked has nothing left to wait for.
            let _ = reader.map(std::thread::JoinHandle::join);
            let list = shared.positions();
            let committed = match list.count() {
                0 => Ok(()),
                _ => inner.commit(&list, CommitMode::Sync),
            };
            // Leaves the group.
            drop(inner);
            // Whoever waited may have given up.
            let _ = done.send(committed);
        });
        closing.map_err(|error| ConsumerError::Client(format!("cannot close: {error}")))?;
        let why = match timeout(CLOSE, closed).await {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) => "its thread broke off".to_owned(),
            Err(_) => format!("no answer within {CLOSE:?}"),
        };
        Err(ConsumerError::Client(format!(
            "could not commit its last positions: {why}; what they cover will be read again"
        )))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.closing.store(true, Relaxed);
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}

/// Waits for the cluster and checks that it has the topics. Gives the cluster's id.
async fn await_topics(
    consumer: &Arc<BaseConsumer<Context>>,
    shared: &Shared,
    subscription: &Subscription,
) -> Result<String, ConsumerError> {
    let (cluster, known) = loop {
        let asked = Arc::clone(consumer);
        let attempt = tokio::task::spawn_blocking(move || {
            let metadata = asked.fetch_metadata(None, ATTEMPT)?;
            let names = metadata
                .topics()
                .iter()
                .map(|topic| topic.name().to_owned());
            let names: Vec<String> = names.collect();
            let began = Instant::now();
            let cluster = asked.client().fetch_cluster_id(ATTEMPT);
            if cluster.is_none() && began.elapsed() >= ATTEMPT {
                // It may have one, by which states know its topics.
                return Err(KafkaError::MetadataFetch(
                    RDKafkaErrorCode::OperationTimedOut,
                ));
            }
            Ok((cluster.unwrap_or_default(), names))
        });
        match attempt.await {
            Ok(Ok(known)) => break known,
            Ok(Err(error)) => {
                shared.trouble(&error);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(ConsumerError::Client(format!("did not start: {error}"))),
        }
    };
    shared.recovered();
    for topic in &subscription.topics {
        if !known.contains(topic) {
            return Err(ConsumerError::NoTopic {
                topic: topic.clone(),
                brokers: shared.brokers.clone(),
                known: listed(known),
            });
        }
    }
    Ok(cluster)
}

fn listed(mut names: Vec<String>) -> String {
    names.retain(|name| !name.starts_with("__"));
    names.sort();
    if names.is_empty() {
        return "it has none at all".into();
    }
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("it has `{}`{more}", names.join("`, `"))
}

fn list<'p>(positions: impl Iterator<Item = (&'p Partition, i64)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, next) in positions {
        // Fails for offsets below zero, which no record has.
        let _ = list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(next));
    }
    list
}
