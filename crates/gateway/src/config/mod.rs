//! What the process is told at start: `gavel.toml`, overridden by the environment, overridden by flags.
//!
//! Each part is its own type, and a module is handed its part alone. What a decision is lives in
//! `decision`, not here.

pub(crate) mod reader;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use self::reader::{Problems, Table};
use crate::diagnostic::Report;

/// Everything a process is told at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The public and the admin port.
    pub server: ServerConfig,
    /// Where Triton is and how it is judged.
    pub triton: TritonConfig,
    /// The online store's URL.
    pub store_url: String,
    /// Models served in process.
    pub models: ModelsConfig,
    /// The folder of decision files.
    pub decisions: PathBuf,
    /// Who may ask; empty lets anyone.
    pub clients: Vec<ClientConfig>,
    /// How to log.
    pub log: LogConfig,
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
    /// The decisions it may ask for; empty is all.
    pub decisions: Vec<String>,
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
            models: ModelsConfig {
                repository: "model_repository".into(),
                config_name: None,
                onnxruntime: None,
            },
            decisions: "decisions".into(),
            clients: Vec::new(),
            log: LogConfig { format: LogFormat::Text, level: "info".into() },
        }
    }
}

impl Config {
    /// Reads `file` over the defaults. Problems go to `report`; what they touch keeps its default.
    pub fn read(file: &Path, report: &mut Report) -> Self {
        let mut config = Self::default();
        let source = match std::fs::read_to_string(file) {
            Ok(source) => source,
            Err(error) => {
                report.error(file, format!("cannot read the configuration: {error}"), None);
                return config;
            }
        };
        report.add_source(file, source.as_str());
        let mut problems = Problems::new(file, report);
        let mut root = reader::parse(&source, &mut problems);
        config.server.read(root.table("server", &mut problems), &mut problems);
        config.triton.read(root.table("triton", &mut problems), &mut problems);
        let mut store = root.table("store", &mut problems);
        set(&mut config.store_url, store.string("url", &mut problems).map(|u| u.value));
        store.finish(&mut problems);
        config.models.read(root.table("models", &mut problems), &mut problems);
        let mut decisions = root.table("decisions", &mut problems);
        set(&mut config.decisions, decisions.string("directory", &mut problems).map(|d| d.value.into()));
        decisions.finish(&mut problems);
        config.log.read(root.table("log", &mut problems), &mut problems);
        config.clients = root
            .tables("clients", &mut problems)
            .into_iter()
            .filter_map(|table| ClientConfig::read(table, &mut problems))
            .collect();
        root.finish(&mut problems);
        config
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl ServerConfig {
    fn read(&mut self, mut table: Table<'_>, p: &mut Problems<'_>) {
        set(&mut self.listen, address(&mut table, "listen", p));
        set(&mut self.admin_listen, address(&mut table, "admin_listen", p));
        set(&mut self.max_in_flight, table.integer("max_in_flight", 1..=1_000_000, p).map(|n| n as usize));
        set(
            &mut self.max_body_bytes,
            table.integer("max_body_bytes", 1024..=64 * 1024 * 1024, p).map(|n| n as usize),
        );
        set(&mut self.body_timeout, table.duration("body_timeout", p).map(|d| d.value));
        set(&mut self.drain_timeout, table.duration("drain_timeout", p).map(|d| d.value));
        table.finish(p);
    }
}

fn address(table: &mut Table<'_>, name: &'static str, p: &mut Problems<'_>) -> Option<SocketAddr> {
    let text = table.string(name, p)?;
    let parsed = text.value.parse();
    if parsed.is_err() {
        let key = table.key(name);
        let message = format!("`{key}` is \"{}\", expected ADDRESS:PORT", text.value);
        p.error(text.span, key, message, Some("for example \"0.0.0.0:8080\"".into()));
    }
    parsed.ok()
}

impl TritonConfig {
    fn read(&mut self, mut table: Table<'_>, p: &mut Problems<'_>) {
        let endpoints = table.strings("endpoints", p);
        set(&mut self.endpoints, endpoints.map(|list| list.into_iter().map(|e| e.value).collect()));
        set(&mut self.slow_call, table.duration("slow_call", p).map(|d| d.value));
        set(&mut self.max_in_flight, table.integer("max_in_flight", 1..=100_000, p).map(|n| n as usize));
        table.finish(p);
    }
}

impl ModelsConfig {
    fn read(&mut self, mut table: Table<'_>, p: &mut Problems<'_>) {
        set(&mut self.repository, table.string("repository", p).map(|r| r.value.into()));
        self.config_name = table.string("config_name", p).map(|n| n.value);
        self.onnxruntime = table.string("onnxruntime", p).map(|o| o.value.into());
        table.finish(p);
    }
}

impl LogConfig {
    fn read(&mut self, mut table: Table<'_>, p: &mut Problems<'_>) {
        if let Some(format) = table.string("format", p) {
            match format.value.as_str() {
                "text" => self.format = LogFormat::Text,
                "json" => self.format = LogFormat::Json,
                other => p.error(
                    format.span,
                    table.key("format"),
                    format!("`log.format` is \"{other}\", expected \"text\" or \"json\""),
                    None,
                ),
            }
        }
        if let Some(level) = table.string("level", p) {
            match level.value.parse::<tracing_subscriber::EnvFilter>() {
                Ok(_) => self.level = level.value,
                Err(error) => p.error(
                    level.span,
                    table.key("level"),
                    format!("`log.level` is not a log filter: {error}"),
                    Some("for example \"info\" or \"gateway=debug,info\"".into()),
                ),
            }
        }
        table.finish(p);
    }
}

impl ClientConfig {
    fn read(mut table: Table<'_>, p: &mut Problems<'_>) -> Option<Self> {
        let name = table.required_string("name", p);
        let key = table.required_string("key_sha256", p);
        let decisions = table.strings("decisions", p).unwrap_or_default();
        let rate = table.integer("requests_per_second", 1..=10_000_000, p);
        let digest = key.and_then(|key| {
            let digest = parse_sha256(&key.value);
            if digest.is_none() {
                p.error(
                    key.span,
                    table.key("key_sha256"),
                    format!("`{}` is not 64 hexadecimal digits", table.key("key_sha256")),
                    Some("printf %s \"$KEY\" | sha256sum".into()),
                );
            }
            digest
        });
        table.finish(p);
        Some(Self {
            name: name?.value,
            key_sha256: digest?,
            decisions: decisions.into_iter().map(|d| d.value).collect(),
            requests_per_second: rate.map(|r| r as u32),
        })
    }
}

fn parse_sha256(hex: &str) -> Option<[u8; 32]> {
    let hex = hex.as_bytes();
    let mut digest = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        let high = (pair[0] as char).to_digit(16)?;
        let low = (pair[1] as char).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Config, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gavel.toml");
        std::fs::write(&file, text).unwrap();
        let mut report = Report::default();
        let config = Config::read(&file, &mut report);
        (config, report.diagnostics().iter().map(|d| d.message.clone()).collect())
    }

    #[test]
    fn what_is_not_written_keeps_its_default() {
        let (config, problems) = read("[server]\nlisten = '0.0.0.0:80'\n");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(config.server.listen.port(), 80);
        assert_eq!(config.server.admin_listen.port(), 9090);
    }

    #[test]
    fn all_problems_of_a_file_are_found_together() {
        let (_, problems) = read(
            "[server]\nlisten = 'nowhere'\nmax_in_flight = 0\n[log]\nformat = 'xml'\n[stor]\nurl = 'x'\n\
             [[clients]]\nname = 'shop'\nkey_sha256 = 'abc'\n",
        );
        assert_eq!(problems.len(), 5, "{problems:#?}");
    }

    #[test]
    fn a_missing_file_is_said_to_be_missing() {
        let mut report = Report::default();
        Config::read(Path::new("/nonexistent/gavel.toml"), &mut report);
        assert!(report.diagnostics()[0].message.contains("cannot read the configuration"));
    }
}
