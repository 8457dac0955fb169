//! What the process is told at start: `gavel.toml`, overridden by the environment, overridden by flags.
//!
//! Each part is its own type, and a module is handed its part alone. What a decision is lives in
//! `decision`, not here.

mod decision_log;
mod kafka;
mod read;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use features::CacheLimits;

pub use self::decision_log::DecisionLogConfig;

/// Everything a process is told at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from, for messages.
    pub file: PathBuf,
    /// The public and the admin port.
    pub server: ServerConfig,
    /// Where Triton is and how it is judged.
    pub triton: TritonConfig,
    /// The online store's URL.
    pub store_url: String,
    /// What is kept of what a store across the network has just answered.
    pub store_cache: CacheLimits,
    /// Where Kafka is and how it is spoken to.
    pub kafka: broker::Options,
    /// Models served in process.
    pub models: ModelsConfig,
    /// The folder of decision files.
    pub decisions: PathBuf,
    /// Who may ask; empty lets anyone.
    pub clients: Vec<ClientConfig>,
    /// How to log.
    pub log: LogConfig,
    /// What is kept of each decision.
    pub decision_log: DecisionLogConfig,
}

/// The two ports and the bounds on what comes in.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// HTTP/1.1, HTTP/2 and gRPC.
    pub listen: SocketAddr,
    /// `/metrics`, `/livez`, `/readyz`, `/admin/…`.
    pub admin_listen: SocketAddr,
    /// Requests decided at once; one more is refused with 429.
    pub max_in_flight: usize,
    /// The largest body read.
    pub max_body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long a shutdown waits for what is in flight.
    pub drain_timeout: Duration,
}

/// Where Triton is and how it is judged.
#[derive(Clone, Debug)]
pub struct TritonConfig {
    /// gRPC endpoints, `http://host:8001`; empty serves from in-process tiers alone.
    pub endpoints: Vec<String>,
    /// A call out for longer than this counts as failed for the breaker.
    pub slow_call: Duration,
    /// Calls out at once at one endpoint, those that nobody waits for any more included.
    pub max_in_flight: usize,
}

/// Models served in process.
#[derive(Clone, Debug)]
pub struct ModelsConfig {
    /// The same repository as Triton serves.
    pub repository: PathBuf,
    /// Which `configs/NAME.pbtxt` to read where a model has one.
    pub config_name: Option<String>,
    /// The ONNX Runtime library; `None` searches as the platform does.
    pub onnxruntime: Option<PathBuf>,
}

/// One caller that is known by its key.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Its name in logs and metrics.
    pub name: String,
    /// SHA-256 of its key.
    pub key_sha256: [u8; 32],
    /// The decisions it may ask for; `None` is all.
    pub decisions: Option<Vec<String>>,
    /// The types of events that it may send; `None` is all. Left out, it is none where `decisions` are
    /// named, and all where they are not.
    pub events: Option<Vec<String>>,
    /// Its rate; `None` is unlimited.
    pub requests_per_second: Option<u32>,
}

/// How to log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `gateway=debug`.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for a person.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: "gavel.toml".into(),
            server: ServerConfig {
                listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
                admin_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
                max_in_flight: 1024,
                max_body_bytes: 64 * 1024,
                body_timeout: Duration::from_secs(2),
                drain_timeout: Duration::from_secs(30),
            },
            triton: TritonConfig {
                endpoints: vec!["http://127.0.0.1:8001".into()],
                slow_call: Duration::from_millis(100),
                max_in_flight: 1024,
            },
            store_url: "embedded:data/features".into(),
            store_cache: CacheLimits {
                bytes: 16 * 1024 * 1024,
                ttl: Duration::from_millis(100),
            },
            kafka: broker::Options::default(),
            models: ModelsConfig {
                repository: "model_repository".into(),
                config_name: None,
                onnxruntime: None,
            },
            decisions: "decisions".into(),
            clients: Vec::new(),
            log: LogConfig {
                format: LogFormat::Text,
                level: "info".into(),
            },
            decision_log: DecisionLogConfig::default(),
        }
    }
}
