//! What librdkafka calls back: partitions come and go, positions are committed, brokers fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc as blocking,
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    types::{RDKafkaErrorCode, RDKafkaRespErr},
};
use tokio::{sync::mpsc, time::Instant};

use super::{Delivery, Lag, Partition, Position, Revoked, Start, list};

/// How long a rebalance waits for what is in flight. After it the partitions are given back as they
/// were last committed.
const FINISH: Duration = Duration::from_secs(60);
/// The pause between questions that fail.
const AGAIN: Duration = Duration::from_millis(200);
/// How long one question to the cluster takes at most.
const ATTEMPT: Duration = Duration::from_secs(2);

/// What the reader's thread, the callbacks and the consumer's owner share.
pub(super) struct Shared {
    pub(super) brokers: String,
    /// The consumer is being closed: nobody takes deliveries any more.
    pub(super) closing: AtomicBool,
    /// The partitions that this member has, with the position to commit, once there is one.
    assigned: Mutex<BTreeMap<Partition, Option<i64>>>,
    /// Taken away, and to be taken out of what the reader still holds.
    revoked: Mutex<BTreeSet<Partition>>,
    /// Partitions came, and all are read from again, whatever the reader had paused.
    resumed: AtomicBool,
    lag: Mutex<Vec<Lag>>,
    /// What was said already.
    troubles: Mutex<Vec<Option<RDKafkaErrorCode>>>,
}

pub(super) struct Context {
    start: Start,
    deliveries: mpsc::Sender<Delivery>,
    shared: Arc<Shared>,
}

impl Shared {
    pub(super) fn new(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            closing: AtomicBool::new(false),
            assigned: Mutex::default(),
            revoked: Mutex::default(),
            resumed: AtomicBool::new(false),
            lag: Mutex::default(),
            troubles: Mutex::default(),
        }
    }

    /// Remembers positions, and gives those that may be committed.
    pub(super) fn note(&self, positions: &[Position]) -> TopicPartitionList {
        let mut assigned = self.assigned.lock();
        let ours = positions.iter().filter(|position| {
            let place = assigned.get_mut(&position.partition);
            place.is_some_and(|place| {
                *place = Some(position.next);
                true
            })
        });
        list(ours.map(|position| (&position.partition, position.next)))
    }

    /// The positions of all partitions that this member has.
    pub(super) fn positions(&self) -> TopicPartitionList {
        let assigned = self.assigned.lock();
        list(
            assigned
                .iter()
                .filter_map(|(partition, next)| Some((partition, (*next)?))),
        )
    }

    pub(super) fn lag(&self) -> Vec<Lag> {
        self.lag.lock().clone()
    }

    /// The partitions that were taken away since the last call.
    pub(super) fn take_revoked(&self) -> BTreeSet<Partition> {
        std::mem::take(&mut *self.revoked.lock())
    }

    /// Whether reading was resumed since the last call.
    pub(super) fn take_resumed(&self) -> bool {
        self.resumed.swap(false, Relaxed)
    }

    /// Says what is wrong, once until it is right again.
    pub(super) fn trouble(&self, error: &KafkaError) {
        let code = error.rdkafka_error_code();
        {
            let mut troubles = self.troubles.lock();
            if troubles.contains(&code) {
                return;
            }
            troubles.push(code);
        }
        let brokers = &self.brokers;
        let why = code.map_or_else(|| error.to_string(), |code| code.to_string());
        match code {
            Some(code) if is_unreachable(code) => {
                tracing::warn!(
                    "the Kafka cluster at {brokers} cannot be reached: {why}; waiting for it, nothing is lost"
                );
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                tracing::warn!(
                    "a topic is gone from the Kafka cluster at {brokers}; waiting for it"
                );
            }
            _ => tracing::warn!("the Kafka cluster at {brokers} says: {why}; going on"),
        }
    }

    /// A cluster that was out of reach is there again.
    pub(super) fn recovered(&self) {
        let mut troubles = self.troubles.lock();
        if !troubles.is_empty() {
            troubles.clear();
            tracing::info!("the Kafka cluster at {} answers again", self.brokers);
        }
    }

    fn reachable(&self) {
        let mut troubles = self.troubles.lock();
        let before = troubles.len();
        troubles.retain(|code| !code.is_some_and(is_unreachable));
        if troubles.len() < before {
            tracing::info!("the Kafka cluster at {} answers again", self.brokers);
        }
    }
}

fn is_unreachable(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
    )
}

impl Context {
    pub(super) fn new(
        start: Start,
        deliveries: mpsc::Sender<Delivery>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            start,
            deliveries,
            shared,
        }
    }

    /// New partitions begin where the group was; where it never was, where the subscription says.
    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) {
        if let Start::At(time) = self.start {
            let found = persist(FINISH, || {
                let found = seek(consumer, partitions, time);
                if let Err(error) = &found {
                    self.shared.trouble(error);
                }
                found.is_ok() || self.shared.closing.load(Relaxed)
            });
            if !found {
                let why = format!(
                    "the Kafka cluster does not say which records were written since the time to begin at, for {FINISH:?}; start again when it does"
                );
                // Whoever takes deliveries will stop, as after every failure of the client.
                let _ = self.deliveries.blocking_send(Delivery::Failed(why));
                self.shared.closing.store(true, Relaxed);
            }
            if self.shared.closing.load(Relaxed) {
                return;
            }
        }
        let assigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
            _ => consumer.assign(partitions),
        };
        if let Err(error) = assigned {
            self.shared.trouble(&error);
            return;
        }
        // A partition that was paused is so still when it comes again, and one that comes while others
        // are paused is not: the reader begins anew.
        let resumed = consumer.assignment().and_then(|all| consumer.resume(&all));
        if let Err(error) = resumed {
            self.shared.trouble(&error);
        }
        self.shared.resumed.store(true, Relaxed);
        let names = names(partitions);
        tracing::info!(partitions = names.len(), "partitions were assigned");
        let mut ours = self.shared.assigned.lock();
        ours.extend(names.into_iter().map(|partition| (partition, None)));
    }

    /// What is in flight is finished and committed first, if that is done in time.
    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let names: BTreeSet<Partition> = names(partitions).into_iter().collect();
        // A member that was put out of the group has nothing left to commit there.
        let lost = consumer.assignment_lost();
        if !names.is_empty() && !lost && !self.shared.closing.load(Relaxed) {
            self.finish(names.clone());
        }
        let positions = {
            let mut ours = self.shared.assigned.lock();
            let positions = names.iter().filter_map(|partition| {
                let next = ours.remove(partition)??;
                Some((partition, next))
            });
            list(positions)
        };
        if positions.count() > 0
            && !lost
            && let Err(error) = consumer.commit(&positions, CommitMode::Sync)
        {
            tracing::debug!("Kafka: positions were not committed: {error}");
        }
        if !names.is_empty() {
            tracing::info!(partitions = names.len(), lost, "partitions were given up");
        }
        self.shared.revoked.lock().extend(names);
        let unassigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
            _ => consumer.unassign(),
        };
        if let Err(error) = unassigned {
            self.shared.trouble(&error);
        }
    }

    /// Hands out the revocation and waits until whoever took it has dropped it.
    fn finish(&self, partitions: BTreeSet<Partition>) {
        let (held, dropped) = blocking::channel();
        let mut delivery = Delivery::Revoked(Revoked {
            partitions,
            _held: held,
        });
        let pause = Duration::from_millis(10);
        let mut left = FINISH;
        while let Err(refused) = self.deliveries.try_send(delivery) {
            if left.is_zero() || self.shared.closing.load(Relaxed) || self.deliveries.is_closed() {
                return;
            }
            delivery = refused.into_inner();
            left = left.saturating_sub(pause);
            // Waits on a channel that nobody sends to: this thread is the reader's own.
            let _ = dropped.recv_timeout(pause);
        }
        while !left.is_zero() && !self.shared.closing.load(Relaxed) {
            let slice = left.min(Duration::from_millis(100));
            match dropped.recv_timeout(slice) {
                Err(blocking::RecvTimeoutError::Timeout) => left = left.saturating_sub(slice),
                Ok(()) | Err(blocking::RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Tries until it works, or `limit` has passed; says whether it did. Blocks: for the reader's thread.
fn persist(limit: Duration, mut works: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    // Waits on a channel that nobody sends to.
    let (_held, nothing) = blocking::channel::<()>();
    while !works() {
        if begun.elapsed() >= limit {
            return false;
        }
        let _ = nothing.recv_timeout(AGAIN);
    }
    true
}

/// Sets the offsets of partitions in which the group has no position to the first record since `time`.
fn seek(
    consumer: &BaseConsumer<Context>,
    partitions: &mut TopicPartitionList,
    time: SystemTime,
) -> KafkaResult<()> {
    let committed = consumer.committed_offsets(partitions.clone(), ATTEMPT)?;
    let ms = time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    let mut times = TopicPartitionList::new();
    for element in committed.elements() {
        if !matches!(element.offset(), Offset::Offset(_)) {
            times.add_partition_offset(element.topic(), element.partition(), Offset::Offset(ms))?;
        }
    }
    if times.count() == 0 {
        return Ok(());
    }
    let found = consumer.offsets_for_times(times, ATTEMPT)?;
    for element in found.elements() {
        element.error()?;
        // Nothing was written since: from the end on.
        let offset = match element.offset() {
            Offset::Offset(offset) => Offset::Offset(offset),
            _ => Offset::End,
        };
        partitions.set_partition_offset(element.topic(), element.partition(), offset)?;
    }
    Ok(())
}

fn names(partitions: &TopicPartitionList) -> Vec<Partition> {
    let partition = |topic: &str, number| Partition {
        topic: topic.into(),
        number,
    };
    let elements = partitions.elements();
    let elements = elements.iter();
    elements
        .map(|element| partition(element.topic(), element.partition()))
        .collect()
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::options::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("Kafka: {error}: {reason}");
        self.shared.trouble(&error);
    }

    /// Comes every second.
    fn stats(&self, statistics: Statistics) {
        if statistics
            .brokers
            .values()
            .any(|broker| broker.state == "UP")
        {
            self.shared.reachable();
        }
        let assigned = self.shared.assigned.lock();
        let mut lag = Vec::with_capacity(assigned.len());
        for (partition, next) in &*assigned {
            let topic = statistics.topics.get(&*partition.topic);
            let Some(known) = topic.and_then(|topic| topic.partitions.get(&partition.number))
            else {
                continue;
            };
            let from = next.unwrap_or(known.app_offset.max(known.lo_offset));
            let ahead = known.hi_offset.saturating_sub(from.max(0));
            lag.push(Lag {
                partition: partition.clone(),
                records: u64::try_from(ahead).unwrap_or(0),
            });
        }
        *self.shared.lag.lock() = lag;
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assign(consumer, partitions);
            }
            _ => self.revoke(consumer, partitions),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!("Kafka: positions were not committed: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_at_once_is_tried_again_after_a_pause_and_not_for_ever() {
        let limit = 3 * AGAIN;
        let mut tries = 0;
        let worked = persist(limit, || {
            tries += 1;
            false
        });
        assert!(!worked && (2..=5).contains(&tries), "{tries}");
        assert!(persist(Duration::ZERO, || true));
    }
}
