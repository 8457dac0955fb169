//! `gavel ingest`.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use broker::Start;
use clap::Args;
use gateway::{
    config::Config,
    diagnostic::Report,
    ingest::{self, DeadLetterTarget, FileSource, Format, Job, Sources, TopicSource},
    serve::Failure,
    telemetry::logs,
};

/// Where a topic's metrics are, unless said otherwise.
const TOPIC_METRICS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9091);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A Kafka topic and the event type that it holds: payments=payment. Without a type, events say
    /// theirs in `type`. May be given several times.
    #[arg(long, value_name = "TOPIC[=TYPE]", value_parser = topic, required_unless_present = "file", conflicts_with = "file")]
    topic: Vec<TopicSource>,
    /// The consumer group: its members share the partitions.
    #[arg(long, default_value = "gavel", requires = "topic")]
    group: String,
    /// Where a partition begins in which the group has no position: earliest, latest, or a time
    /// (2026-01-31T10:00:00Z, or seconds since 1970).
    #[arg(long, default_value = "earliest", value_parser = start, requires = "topic")]
    from: Start,
    /// A file of events and their type: events.jsonl=payment; - is standard input. May be given
    /// several times: read one after the other.
    #[arg(long, value_name = "FILE[=TYPE]", value_parser = file, allow_hyphen_values = true)]
    file: Vec<FileSource>,
    /// How events are written down; in a protobuf file each message is behind its length.
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
    /// The file for what could not be read as an event, a line of JSON each.
    #[arg(long, default_value = "data/dead-letters.jsonl")]
    dead_letter: PathBuf,
    /// The Kafka topic for it, instead of a file.
    #[arg(long, conflicts_with = "dead_letter")]
    dead_letter_topic: Option<String>,
    /// Address of /metrics and /livez [default: 127.0.0.1:9091 for topics, none for files].
    #[arg(long, env = "GAVEL_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
}

/// Ingests to the end of the files, or until told to stop.
pub(crate) fn run(
    arguments: Arguments,
    config: &Config,
    report: &mut Report,
) -> Result<String, Failure> {
    let of_topics = arguments.file.is_empty();
    let sources = if of_topics {
        Sources::Topics {
            topics: arguments.topic,
            group: arguments.group,
            start: arguments.from,
        }
    } else {
        Sources::Files(arguments.file)
    };
    let dead_letters = match arguments.dead_letter_topic {
        Some(topic) => DeadLetterTarget::Topic(topic),
        None => DeadLetterTarget::File(arguments.dead_letter),
    };
    let job = Job {
        sources,
        format: arguments.format,
        dead_letters,
        metrics_listen: arguments
            .metrics_listen
            .or(of_topics.then_some(TOPIC_METRICS)),
    };
    super::with_runtime(async {
        let _logs = logs::init(&config.log);
        if report.errors() > 0 {
            return Err(Failure("the configuration has problems".into()));
        }
        ingest::run(config, job, report).await
    })
}

/// A name, and the type behind the last `=`.
fn named(written: &str) -> Result<(String, Option<String>), String> {
    let (name, kind) = match written.rsplit_once('=') {
        Some((name, kind)) => (name, Some(kind)),
        None => (written, None),
    };
    if name.is_empty() || kind.is_some_and(str::is_empty) {
        return Err("expected NAME or NAME=TYPE".into());
    }
    Ok((name.to_owned(), kind.map(str::to_owned)))
}

fn topic(written: &str) -> Result<TopicSource, String> {
    let (topic, kind) = named(written)?;
    Ok(TopicSource { topic, kind })
}

fn file(written: &str) -> Result<FileSource, String> {
    let (path, kind) = named(written)?;
    Ok(FileSource {
        path: path.into(),
        kind,
    })
}

fn start(written: &str) -> Result<Start, String> {
    match written {
        "earliest" => return Ok(Start::Earliest),
        "latest" => return Ok(Start::Latest),
        _ => {}
    }
    if let Ok(seconds) = written.parse::<u32>() {
        return Ok(Start::At(
            UNIX_EPOCH + Duration::from_secs(u64::from(seconds)),
        ));
    }
    let time: Result<SystemTime, _> = humantime::parse_rfc3339(written);
    time.map(Start::At).map_err(|_| {
        "expected earliest, latest, or a time such as 2026-01-31T10:00:00Z or seconds since 1970"
            .into()
    })
}
