//! What ingestion counts; the same names in `gavel ingest` and in the gateway.

use std::collections::HashMap;

use features::windows::Applied;
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use super::types::{Poison, Typed};

/// Says what the metrics are, once a process.
pub(crate) fn describe() {
    describe_counter!(
        "gavel_ingest_events_total",
        "Events, by type and outcome (counted, duplicate, replayed, late)."
    );
    describe_counter!(
        "gavel_ingest_dead_letters_total",
        "Payloads that were no events, by kind; they are in the dead letters."
    );
    describe_counter!(
        "gavel_ingest_rejected_total",
        "Posted events that were none, by kind; their sender was told."
    );
    describe_counter!(
        "gavel_ingest_conflicts_total",
        "States that another writer had changed meanwhile; they were read and written again."
    );
    describe_histogram!(
        "gavel_ingest_write_seconds",
        "How long the store takes to write the states of a batch."
    );
    describe_gauge!(
        "gavel_ingest_lag_records",
        "Records of a partition that are not in the features yet."
    );
    describe_gauge!(
        "gavel_ingest_lag_seconds",
        "How long ago the newest record that is in the features was written, where others follow it."
    );
}

pub(crate) fn conflicts() -> Counter {
    counter!("gavel_ingest_conflicts_total")
}

pub(crate) fn write_seconds() -> Histogram {
    histogram!("gavel_ingest_write_seconds")
}

/// Counts what became of a batch.
pub(crate) fn events<'t>(outcomes: impl Iterator<Item = (&'t Typed, Applied)>) {
    let mut counts: HashMap<(&str, Applied), u64> = HashMap::new();
    for (typed, applied) in outcomes {
        *counts.entry((typed.kind.name(), applied)).or_default() += 1;
    }
    for ((kind, applied), count) in counts {
        let labels = [
            ("type", kind.to_owned()),
            ("outcome", applied.label().to_owned()),
        ];
        counter!("gavel_ingest_events_total", &labels).increment(count);
    }
}

pub(crate) fn dead_letter(kind: &'static str) {
    counter!("gavel_ingest_dead_letters_total", "kind" => kind).increment(1);
}

/// Counts a posted event that is none.
pub(crate) fn count_rejected(poison: &Poison) {
    counter!("gavel_ingest_rejected_total", "kind" => poison.kind).increment(1);
}

/// Sets a partition's lag.
pub(crate) fn lag(topic: &str, partition: i32, records: u64, seconds: f64) {
    let labels = [
        ("topic", topic.to_owned()),
        ("partition", partition.to_string()),
    ];
    gauge!("gavel_ingest_lag_records", &labels).set(records as f64);
    gauge!("gavel_ingest_lag_seconds", &labels).set(seconds);
}
