//! The writer's side: entries become records of segments, and what came of each is counted.

use decision_log::{LogWriter, OpenError, WriteError, Written};
use metrics::{Counter, counter, describe_counter, describe_gauge};

use super::{entry::Entry, topic::Topic};

/// What becomes of records, counted.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    pub(super) written: Counter,
    pub(super) sampled_out: Counter,
    pub(super) dropped_full: Counter,
    failed: Counter,
    bytes: Counter,
    deleted: Counter,
}

impl Counters {
    pub(super) fn new() -> Self {
        describe_counter!(
            "gavel_decision_log_records_total",
            "Decisions, by what became of their record (written, sampled_out, dropped_full, failed)."
        );
        describe_counter!(
            "gavel_decision_log_bytes_total",
            "Bytes of the decision log that were written."
        );
        describe_counter!(
            "gavel_decision_log_segments_deleted_total",
            "Old segments that were deleted because the log was larger than it may be."
        );
        describe_gauge!(
            "gavel_decision_log_queue",
            "Records that waited when the log's writer last looked."
        );
        let outcome = |outcome: &'static str| counter!("gavel_decision_log_records_total", "outcome" => outcome);
        Self {
            written: outcome("written"),
            sampled_out: outcome("sampled_out"),
            dropped_full: outcome("dropped_full"),
            failed: outcome("failed"),
            bytes: counter!("gavel_decision_log_bytes_total"),
            deleted: counter!("gavel_decision_log_segments_deleted_total"),
        }
    }
}

/// Where records go.
#[derive(Debug)]
pub(super) struct Sink {
    writer: LogWriter,
    topic: Option<Topic>,
    counters: Counters,
    /// It failed when it was last tried, which has been said.
    failing: bool,
}

impl Sink {
    pub(super) fn new(writer: LogWriter, topic: Option<Topic>, counters: Counters) -> Self {
        Self {
            writer,
            topic,
            counters,
            failing: false,
        }
    }

    /// Makes the folder ready.
    pub(super) fn prepare(&mut self) -> Result<(), OpenError> {
        let prepared = self.writer.prepare()?;
        self.counters.deleted.increment(prepared.deleted);
        Ok(())
    }

    /// Takes an entry, and writes if there is enough.
    pub(super) fn take(&mut self, entry: Entry, now_us: i64) {
        let record = entry.into_record();
        if let Some(topic) = &mut self.topic {
            topic.send(&record);
        }
        if !self.writer.push(&record, now_us) {
            self.counters.failed.increment(1);
            tracing::warn!("a record of the decision log is larger than 64 MiB and is not kept");
        }
        self.tick(now_us);
    }

    /// Writes what has waited long enough.
    pub(super) fn tick(&mut self, now_us: i64) {
        if self.writer.is_due(now_us) {
            self.topic.as_mut().map(Topic::count_failures);
            let written = self.writer.write(now_us);
            self.count(written);
        }
    }

    /// Writes all that is left and closes the segment.
    pub(super) fn close(&mut self, now_us: i64) {
        self.topic.as_mut().map(Topic::count_failures);
        let written = self.writer.close(now_us);
        self.count(written);
    }

    fn count(&mut self, written: Result<Written, WriteError>) {
        let done = match &written {
            Ok(written) => *written,
            Err(error) => error.written,
        };
        self.counters.written.increment(done.records);
        self.counters.bytes.increment(done.bytes);
        self.counters.deleted.increment(done.deleted);
        match written {
            Ok(_) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the decision log is written again");
                }
            }
            Err(error) => {
                self.counters.failed.increment(error.records);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the decision log cannot be written; decisions go on, and their records are lost meanwhile");
                }
            }
        }
    }
}
