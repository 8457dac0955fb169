//! Consumers and producers on a real broker (Tansu) and on a cluster whose topics outlive its brokers.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends here"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use broker::{
    Consumer, ConsumerError, Delivery, Full, Options, Partition, Position, Producer, Record, Start,
    Subscription,
};
use testkit::{Kafka, KafkaCluster};
use tokio::time::{Instant, timeout};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

fn options(brokers: &str) -> Options {
    options_with(brokers, &[])
}

/// A group is joined within half of its session timeout.
fn options_with(brokers: &str, more: &[(&str, &str)]) -> Options {
    let short = [("session.timeout.ms", "6000")];
    let set = short.iter().chain(more);
    let set: BTreeMap<String, String> = set
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Options::new(brokers, set).unwrap()
}

fn subscription(group: &str, topic: &str) -> Subscription {
    Subscription {
        group: group.into(),
        topics: vec![topic.into()],
        start: Start::Earliest,
    }
}

async fn send(producer: &Producer, topic: &str, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let payload = number.to_string();
        producer
            .try_send(topic, Some(payload.as_bytes()), payload.as_bytes())
            .unwrap();
    }
    producer.flush(Instant::now() + PATIENCE).await.unwrap();
    assert_eq!(producer.failures().records, 0, "{:?}", producer.failures());
}

fn number(record: &Record) -> u32 {
    String::from_utf8_lossy(&record.payload).parse().unwrap()
}

/// The position after the last of these records, in each partition.
fn positions(records: &[Record]) -> Vec<Position> {
    let mut last = BTreeMap::new();
    for record in records {
        let partition = Partition {
            topic: record.topic.clone(),
            number: record.partition,
        };
        last.insert(partition, record.offset + 1);
    }
    let position = |(partition, next)| Position { partition, next };
    last.into_iter().map(position).collect()
}

/// Every number below `count`, each once.
fn assert_each_once(numbers: impl Iterator<Item = u32>, count: u32) {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    let expected: Vec<u32> = (0..count).collect();
    assert!(
        numbers == expected,
        "{} numbers, {} of them missing",
        numbers.len(),
        expected
            .iter()
            .filter(|n| numbers.binary_search(n).is_err())
            .count()
    );
}

/// Takes records until there are as many; commits them.
async fn take(consumer: &mut Consumer, wanted: usize) -> Vec<Record> {
    let mut taken = Vec::new();
    while taken.len() < wanted {
        match timeout(PATIENCE, consumer.next()).await {
            Ok(Delivery::Records(records)) => {
                consumer.commit(&positions(&records));
                taken.extend(records);
            }
            Ok(Delivery::Revoked(_)) => {}
            Ok(Delivery::Failed(why)) => panic!("{why}"),
            Err(_) => panic!("{} of {wanted} records came", taken.len()),
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_read_once_across_a_restart_of_their_consumer() {
    let kafka = Kafka::start();
    let options = options(&kafka.brokers());
    let producer = Producer::open(&options).unwrap();
    send(&producer, "payments", 0..500).await;
    let mut consumer = Consumer::open(&options, &subscription("g", "payments"))
        .await
        .unwrap();
    let first = take(&mut consumer, 500).await;
    assert_each_once(first.iter().map(number), 500);
    assert!(
        first[0]
            .timestamp_ms
            .is_some_and(|ms| ms > 1_600_000_000_000)
    );
    assert!(
        first
            .iter()
            .all(|record| record.key.as_ref() == Some(&record.payload))
    );
    consumer.close().await.unwrap();

    send(&producer, "payments", 500..510).await;
    let mut consumer = Consumer::open(&options, &subscription("g", "payments"))
        .await
        .unwrap();
    let second = take(&mut consumer, 10).await;
    assert!(second.iter().all(|record| number(record) >= 500));
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_named_with_those_that_are() {
    let kafka = Kafka::start();
    let options = options(&kafka.brokers());
    let producer = Producer::open(&options).unwrap();
    send(&producer, "payments", 0..1).await;
    let error = Consumer::open(&options, &subscription("g", "paymnts"))
        .await
        .unwrap_err();
    assert!(matches!(error, ConsumerError::NoTopic { .. }), "{error:?}");
    let said = error.to_string();
    assert!(
        said.contains("`paymnts`") && said.contains("it has `payments`"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_a_broker_is_frozen_arrives_when_it_goes_on() {
    let kafka = Kafka::start();
    let options = options(&kafka.brokers());
    let producer = Producer::open(&options).unwrap();
    send(&producer, "payments", 0..10).await;
    let mut consumer = Consumer::open(&options, &subscription("g", "payments"))
        .await
        .unwrap();
    take(&mut consumer, 10).await;
    kafka.stop();
    producer.try_send("payments", None, b"10").unwrap();
    let unflushed = producer
        .flush(Instant::now() + Duration::from_millis(300))
        .await;
    assert_eq!(unflushed.unwrap_err().records, 1);
    kafka.cont();
    producer.flush(Instant::now() + PATIENCE).await.unwrap();
    assert_eq!(number(&take(&mut consumer, 1).await[0]), 10);
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_is_waited_for_and_nothing_is_lost() {
    let cluster = KafkaCluster::start();
    cluster.create_topic("payments", 2);
    let options = options(&cluster.brokers());
    let producer = Producer::open(&options).unwrap();
    send(&producer, "payments", 0..100).await;
    cluster.down();
    // Opened while it is down: it waits.
    let asked = subscription("g", "payments");
    let (mut consumer, ()) = tokio::join!(
        async { Consumer::open(&options, &asked).await.unwrap() },
        async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            cluster.up();
        }
    );
    let mut numbers: Vec<u32> = take(&mut consumer, 100).await.iter().map(number).collect();
    cluster.down();
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.up();
    send(&producer, "payments", 100..200).await;
    numbers.extend(take(&mut consumer, 100).await.iter().map(number));
    // What was committed as the broker went may not have arrived: then it is read again.
    numbers.sort_unstable();
    numbers.dedup();
    assert_each_once(numbers.into_iter(), 200);
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_position_begins_where_it_is_told() {
    let cluster = KafkaCluster::start();
    cluster.create_topic("payments", 1);
    let options = options(&cluster.brokers());
    let producer = Producer::open(&options).unwrap();
    send(&producer, "payments", 0..5).await;
    // Nothing is as new as tomorrow, so this begins at the end, as `Latest` does.
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    for (group, start) in [("latest", Start::Latest), ("time", Start::At(tomorrow))] {
        let asked = Subscription {
            start,
            ..subscription(group, "payments")
        };
        let mut consumer = Consumer::open(&options, &asked).await.unwrap();
        let written = tokio::spawn({
            let producer = producer.clone();
            async move {
                // Until the group has joined, what is written is not after its end.
                loop {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    send(&producer, "payments", 77..78).await;
                }
            }
        });
        assert_eq!(number(&take(&mut consumer, 1).await[0]), 77, "{group}");
        written.abort();
        consumer.close().await.unwrap();
    }
    let mut consumer = Consumer::open(&options, &subscription("all", "payments"))
        .await
        .unwrap();
    assert_eq!(number(&take(&mut consumer, 1).await[0]), 0);
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_partitions_and_a_revocation_waits_for_what_is_in_flight() {
    let kafka = Kafka::start();
    let options = options(&kafka.brokers());
    let producer = Producer::open(&options).unwrap();
    send(&producer, "payments", 0..400).await;
    let asked = subscription("g", "payments");
    let mut first = Consumer::open(&options, &asked).await.unwrap();
    let mut numbers: Vec<u32> = Vec::new();
    // In flight: taken and not committed until the revocation.
    let mut in_flight = Vec::new();
    while in_flight.len() < 400 {
        match timeout(PATIENCE, first.next()).await.unwrap() {
            Delivery::Records(records) => in_flight.extend(records),
            other => panic!("{other:?}"),
        }
    }
    let mut second = Consumer::open(&options, &asked).await.unwrap();
    let revoked = loop {
        match timeout(PATIENCE, first.next()).await.unwrap() {
            Delivery::Revoked(revoked) => break revoked,
            Delivery::Records(records) => in_flight.extend(records),
            Delivery::Failed(why) => panic!("{why}"),
        }
    };
    assert!(!revoked.partitions.is_empty());
    numbers.extend(in_flight.iter().map(number));
    first.commit(&positions(&in_flight));
    drop(revoked);

    let written = tokio::spawn({
        let producer = producer.clone();
        async move { send(&producer, "payments", 400..800).await }
    });
    let mut by_second = 0;
    while numbers.len() < 800 {
        let (delivery, member) = tokio::select! {
            delivery = first.next() => (delivery, &first),
            delivery = second.next() => {
                by_second += 1;
                (delivery, &second)
            }
            () = tokio::time::sleep(PATIENCE) => panic!("{} of 800 came", numbers.len()),
        };
        if let Delivery::Records(records) = delivery {
            member.commit(&positions(&records));
            numbers.extend(records.iter().map(number));
        }
    }
    written.await.unwrap();
    assert_each_once(numbers.into_iter(), 800);
    assert!(by_second > 0, "the second member got nothing");
    let (first, second) = tokio::join!(first.close(), second.close());
    first.unwrap();
    second.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_deliveries_keeps_the_group_and_reads_on_later() {
    let cluster = KafkaCluster::start();
    cluster.create_topic("payments", 1);
    let options = options_with(&cluster.brokers(), &[("max.poll.interval.ms", "6000")]);
    let producer = Producer::open(&options).unwrap();
    send(&producer, "payments", 0..20_000).await;
    let mut consumer = Consumer::open(&options, &subscription("g", "payments"))
        .await
        .unwrap();
    take(&mut consumer, 1).await;
    // Longer than a member may go without polling.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let mut numbers = Vec::new();
    let mut seen = 0;
    while numbers.last() != Some(&19_999) {
        let Delivery::Records(records) = timeout(PATIENCE, consumer.next()).await.unwrap() else {
            panic!("it was put out of the group");
        };
        seen += records.len();
        numbers.extend(records.iter().map(number));
    }
    assert!(numbers.is_sorted() && seen > 0);
    let lag = consumer.lag();
    assert_eq!(lag.len(), 1, "{lag:?}");
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_and_a_record_that_is_too_large_are_told() {
    let cluster = KafkaCluster::start();
    cluster.create_topic("log", 1);
    cluster.down();
    let options = options_with(
        &cluster.brokers(),
        &[("queue.buffering.max.messages", "10")],
    );
    let producer = Producer::open(&options).unwrap();
    for _ in 0..10 {
        producer.try_send("log", None, b"x").unwrap();
    }
    assert_eq!(producer.try_send("log", None, b"x"), Err(Full));
    cluster.up();
    producer.flush(Instant::now() + PATIENCE).await.unwrap();
    producer.try_send("log", None, &vec![0; 2_000_000]).unwrap();
    let failures = producer.failures();
    assert_eq!(failures.records, 1);
    assert!(failures.last.unwrap().contains("too large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_wait_for_a_broker_that_is_gone() {
    let cluster = KafkaCluster::start();
    cluster.create_topic("payments", 1);
    let options = options(&cluster.brokers());
    let producer = Producer::open(&options).unwrap();
    send(&producer, "payments", 0..10).await;
    let mut consumer = Consumer::open(&options, &subscription("g", "payments"))
        .await
        .unwrap();
    let records = match timeout(PATIENCE, consumer.next()).await {
        Ok(Delivery::Records(records)) => records,
        other => panic!("{other:?}"),
    };
    cluster.down();
    consumer.commit(&positions(&records));
    let closed = timeout(PATIENCE, consumer.close()).await;
    let told = closed.unwrap().unwrap_err().to_string();
    assert!(
        told.contains("could not commit its last positions"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_stopped_reading_reads_on_after_a_rebalance() {
    for strategy in ["range", "cooperative-sticky"] {
        let cluster = KafkaCluster::start();
        cluster.create_topic("payments", 2);
        let options = options_with(
            &cluster.brokers(),
            &[("partition.assignment.strategy", strategy)],
        );
        let producer = Producer::open(&options).unwrap();
        send(&producer, "payments", 0..20_000).await;
        let asked = subscription("g", "payments");
        let mut first = Consumer::open(&options, &asked).await.unwrap();
        let mut numbers: BTreeSet<u32> = BTreeSet::new();
        numbers.extend(take(&mut first, 1).await.iter().map(number));
        // What is read is taken too slowly, so reading stops; meanwhile the members become two.
        let mut second = Consumer::open(&options, &asked).await.unwrap();
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            match timeout(PATIENCE, first.next()).await.unwrap() {
                Delivery::Revoked(_) => break,
                Delivery::Records(records) => {
                    first.commit(&positions(&records));
                    numbers.extend(records.iter().map(number));
                }
                Delivery::Failed(why) => panic!("{why}"),
            }
        }
        assert!(numbers.len() < 20_000, "{strategy}");
        while numbers.len() < 20_000 {
            let (delivery, member) = tokio::select! {
                delivery = first.next() => (delivery, &first),
                delivery = second.next() => (delivery, &second),
                () = tokio::time::sleep(PATIENCE) => {
                    panic!("{strategy}: {} of 20000 came", numbers.len())
                }
            };
            if let Delivery::Records(records) = delivery {
                member.commit(&positions(&records));
                numbers.extend(records.iter().map(number));
            }
        }

        // And they become one again.
        // What it may not commit in the middle of a rebalance is read again.
        let _ = second.close().await;
        send(&producer, "payments", 20_000..20_010).await;
        while numbers.len() < 20_010 {
            numbers.extend(take(&mut first, 1).await.iter().map(number));
        }
        first.close().await.unwrap();
    }
}
