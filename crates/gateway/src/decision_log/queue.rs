//! The queue between the path and the writer's thread.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use decision_log::{LogWriter, Options};
use metrics::gauge;
use parking_lot::Mutex;

use super::{
    Basis,
    entry::{Entry, micros_since_epoch},
    sample::Sample,
    sink::{Counters, Sink},
    topic::Topic,
};
use crate::{answer::Answer, config::DecisionLogConfig, serve::Failure};

/// Records that may wait: the writer may be away for a second at 16,000 decisions a second. A place
/// that nobody waits in is a pointer.
const QUEUE: usize = 16_384;
/// How often the writer looks. Nobody wakes it: that would cost a request more than all else here.
const SWEEP: Duration = Duration::from_millis(50);

/// Keeps decisions, or does not: without a log, what is handed over is dropped.
#[derive(Debug, Default)]
pub struct DecisionLog {
    writing: Option<Writing>,
}

#[derive(Debug)]
struct Writing {
    queue: SyncSender<Box<Entry>>,
    sample: Sample,
    counters: Counters,
    topic: Option<Topic>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl DecisionLog {
    /// Keeps nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Keeps decisions as `config` says; `kafka` is where a topic is.
    ///
    /// # Errors
    /// The folder cannot be written to and was named by somebody. When it is the default one, that
    /// is said in the process's log, and records are lost until it can be.
    pub fn start(config: &DecisionLogConfig, kafka: &broker::Options) -> Result<Self, Failure> {
        if !config.enabled {
            return Ok(Self::off());
        }
        let options = Options {
            directory: config.directory.clone(),
            segment_bytes: config.segment_bytes,
            segment_age: config.segment_age,
            max_bytes: config.max_bytes,
        };
        let counters = Counters::new();
        let writer = LogWriter::new(options).map_err(|error| Failure(error.to_string()))?;
        let topic = config.topic.as_deref();
        let topic = topic.map(|topic| Topic::open(topic, config.sample_by.clone(), kafka));
        let topic = topic.transpose()?;
        let mut sink = Sink::new(writer, topic.clone(), counters.clone());
        if let Err(error) = sink.prepare() {
            let hint = "make it writable, name another with --decision-log, or turn the log off with --decision-log \"\"";
            if config.is_named {
                return Err(Failure(format!("{error}; {hint}")));
            }
            tracing::warn!(hint, "{error}; decisions are not kept until it can");
        }
        let (mut log, entries) = Self::queued(
            QUEUE,
            Sample::new(config.sample, config.sample_by.clone()),
            counters,
        );
        if let Some(writing) = &mut log.writing {
            writing.topic = topic;
            let stop = Arc::clone(&writing.stop);
            let thread = thread::Builder::new()
                .name("decision-log".into())
                .spawn(move || write(sink, &entries, &stop))
                .map_err(|error| {
                    Failure(format!("cannot start the decision log's thread: {error}"))
                })?;
            *writing.thread.lock() = Some(thread);
        }
        Ok(log)
    }

    fn queued(length: usize, sample: Sample, counters: Counters) -> (Self, Receiver<Box<Entry>>) {
        let (queue, entries) = sync_channel(length);
        let writing = Writing {
            queue,
            sample,
            counters,
            topic: None,
            stop: Arc::new(AtomicBool::new(false)),
            thread: Mutex::new(None),
        };
        let log = Self {
            writing: Some(writing),
        };
        (log, entries)
    }

    /// Hands a decision over. Returns at once, whatever becomes of it.
    pub(crate) fn keep(&self, answer: &Answer, basis: Basis, late: bool) {
        let Some(writing) = &self.writing else {
            return;
        };
        let in_sample = writing
            .sample
            .holds(&basis.schema, &basis.request.entities, &answer.id);
        if !in_sample && !answer.degraded && !late {
            writing.counters.sampled_out.increment(1);
            return;
        }
        let entry = Entry::new(answer, basis, late, in_sample);
        match writing.queue.try_send(Box::new(entry)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                writing.counters.dropped_full.increment(1);
            }
        }
    }

    /// Writes all that has been handed over, and closes the segment.
    pub async fn close(&self) {
        let Some(writing) = &self.writing else {
            return;
        };
        writing.stop.store(true, Ordering::Release);
        let Some(thread) = writing.thread.lock().take() else {
            return;
        };
        thread.thread().unpark();
        let joined = tokio::task::spawn_blocking(|| thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the decision log's thread has panicked");
        }
        if let Some(topic) = &writing.topic {
            topic.flush().await;
        }
    }
}

/// The writer's thread: until `stop`, and then all that is left.
fn write(mut sink: Sink, entries: &Receiver<Box<Entry>>, stop: &AtomicBool) {
    let depth = gauge!("gavel_decision_log_queue");
    loop {
        // Before the queue is emptied: what was handed over before the word came is written.
        let stopping = stop.load(Ordering::Acquire);
        let mut waited: u32 = 0;
        // As many as can wait: while more come as fast as they are written, it has to look up too.
        for entry in entries.try_iter().take(QUEUE) {
            waited += 1;
            sink.take(*entry, now_us());
        }
        depth.set(f64::from(waited));
        if stopping {
            return sink.close(now_us());
        }
        sink.tick(now_us());
        if (waited as usize) < QUEUE {
            thread::park_timeout(SWEEP);
        }
    }
}

fn now_us() -> i64 {
    micros_since_epoch(SystemTime::now())
}

#[cfg(test)]
mod tests;
