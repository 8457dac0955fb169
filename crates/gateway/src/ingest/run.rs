//! `gavel ingest`: opens what it needs, joins a source and the writing stage, and ends well.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf, sync::Arc};

use broker::{Producer, Start, Subscription};
use features::{Store, events::EventType};
use tokio::{net::TcpListener, sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    dead_letters::{DeadLetterTarget, DeadLetters},
    file::{FileSource, Files},
    kafka::{TopicSource, Topics},
    meters,
    observed::{Counts, Observed},
    progress,
    stage::{Stage, WAITING},
    types::{Format, Types},
    writer::Writer,
};
use crate::{
    admin,
    config::Config,
    decision,
    diagnostic::Report,
    ingress::{gate::Gate, server},
    serve::{Failure, Signals, upkeep},
    telemetry,
};

/// States held in memory between batches, in bytes.
const HELD_BYTES: u64 = 256 << 20;

/// What is to be ingested.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where events come from.
    pub sources: Sources,
    /// How they are written down.
    pub format: Format,
    /// Where what is no event goes.
    pub dead_letters: DeadLetterTarget,
    /// Where metrics are served, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
}

/// Where events come from.
#[derive(Clone, Debug)]
pub enum Sources {
    /// Topics, for as long as the process runs.
    Topics {
        /// Which.
        topics: Vec<TopicSource>,
        /// The consumer group.
        group: String,
        /// Where a partition begins in which the group has no position.
        start: Start,
    },
    /// Files, one after the other, to their ends.
    Files(Vec<FileSource>),
}

/// Ingests until the sources end, or SIGTERM or SIGINT; what was read is then written. Says what came
/// of it.
///
/// # Errors
/// The files have problems, a type or a topic is not there, the store is somebody else's, a source
/// can't be read, or a dead letter can't be kept.
pub async fn run(config: &Config, job: Job, report: &mut Report) -> Result<String, Failure> {
    let mut signals = Signals::listen()?;
    let Some(decisions) =
        decision::read_folder(&config.decisions, report).filter(|_| report.errors() == 0)
    else {
        return Err(Failure("the features cannot be read".into()));
    };
    let types = Types::new(Arc::new(decisions.catalog));
    let store = Store::open(&config.store_url).map_err(|error| Failure(error.to_string()))?;
    let stop = CancellationToken::new();
    let stop_metrics = CancellationToken::new();
    serve_metrics(config, job.metrics_listen, &stop_metrics).await?;
    let observed = Arc::new(Observed::default());
    let endless = matches!(job.sources, Sources::Topics { .. });
    let stage = Stage {
        writer: Writer::new(store.clone(), types.shared_catalog(), HELD_BYTES),
        letters: dead_letters(config, job.dead_letters)?,
        observed: Arc::clone(&observed),
        told_replayed: false,
    };
    let (batches, waiting) = mpsc::channel(WAITING);
    let (acks, acknowledged) = mpsc::unbounded_channel();
    let opened = Instant::now();
    let reading = match job.sources {
        Sources::Topics {
            topics,
            group,
            start,
        } => {
            let kinds: Vec<(String, Option<Arc<EventType>>)> = topics
                .into_iter()
                .map(|source| Ok((source.topic, kind(&types, source.kind.as_deref())?)))
                .collect::<Result<_, Failure>>()?;
            let topics = Topics {
                options: config.kafka.clone(),
                subscription: Subscription {
                    group,
                    topics: kinds.iter().map(|(topic, _)| topic.clone()).collect(),
                    start,
                },
                kinds: HashMap::from_iter(kinds),
                format: job.format,
                types,
                store,
                observed: Arc::clone(&observed),
            };
            tokio::spawn(topics.run(batches, acknowledged, stop.clone()))
        }
        Sources::Files(files) => {
            drop(acknowledged);
            let files: Vec<(PathBuf, Option<Arc<EventType>>)> = files
                .into_iter()
                .map(|source| Ok((source.path, kind(&types, source.kind.as_deref())?)))
                .collect::<Result<_, Failure>>()?;
            let files = Files {
                files,
                format: job.format,
                types,
                store,
                observed: Arc::clone(&observed),
            };
            tokio::spawn(files.run(batches, stop.clone()))
        }
    };
    let writing = tokio::spawn(stage.run(waiting, acks));
    let showing = tokio::spawn(progress::show(
        Arc::clone(&observed),
        endless,
        stop_metrics.clone(),
    ));
    let ended = async {
        let (read, written) = tokio::join!(reading, writing);
        let broke = |error| Failure(format!("ingestion broke off: {error}"));
        // Why the writing stage ended says more than that reading did.
        written.map_err(broke)?.and(read.map_err(broke)?)
    };
    tokio::pin!(ended);
    let outcome = tokio::select! {
        outcome = &mut ended => outcome,
        () = signals.next() => {
            tracing::info!("stopping: writing what was read");
            stop.cancel();
            tokio::select! {
                outcome = &mut ended => outcome,
                () = tokio::time::sleep(config.server.drain_timeout) => Err(Failure(format!(
                    "what was read could not be written within {:?}; it will be read again",
                    config.server.drain_timeout
                ))),
                () = signals.next() => Err(Failure(
                    "told to stop at once; what was not written will be read again".into(),
                )),
            }
        }
    };
    stop_metrics.cancel();
    // It ends with the token.
    let _ = showing.await;
    outcome?;
    let counts = observed.counts();
    Ok(format!(
        "{} in {:.1?}",
        progress::words(&counts, &Counts::default(), opened.elapsed()),
        opened.elapsed()
    ))
}

/// The type of that name; without a name the only type, or each event's own.
fn kind(types: &Types, name: Option<&str>) -> Result<Option<Arc<EventType>>, Failure> {
    match name {
        Some(name) => {
            let found = types.find(name).map_err(|poison| Failure(poison.why))?;
            Ok(Some(Arc::clone(found)))
        }
        None => types.only().map_err(|poison| Failure(poison.why)),
    }
}

fn dead_letters(config: &Config, target: DeadLetterTarget) -> Result<DeadLetters, Failure> {
    match target {
        DeadLetterTarget::File(path) => Ok(DeadLetters::file(path)),
        DeadLetterTarget::Topic(topic) => {
            let producer = Producer::open(&config.kafka);
            let producer = producer.map_err(|error| Failure(error.to_string()))?;
            Ok(DeadLetters::topic(topic, producer))
        }
    }
}

/// Metrics and a probe, on a port of their own.
async fn serve_metrics(
    config: &Config,
    address: Option<SocketAddr>,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let Some(address) = address else {
        return Ok(());
    };
    let metrics =
        telemetry::install_recorder().map_err(|error| Failure(format!("metrics: {error}")))?;
    meters::describe();
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure(format!(
            "cannot listen on {address}: {error}; choose another address with --metrics-listen"
        ))
    })?;
    let gate = Gate::new();
    gate.open(admin::ingesting(metrics.clone()));
    let drain = config.server.drain_timeout;
    tokio::spawn(server::serve(listener, gate, stop.clone(), drain));
    tokio::spawn(upkeep(metrics, stop.clone()));
    Ok(())
}
