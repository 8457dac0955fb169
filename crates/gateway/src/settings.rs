//! What every subcommand is told: flags and environment over the file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use gateway::{
    config::{Config, LogFormat},
    diagnostic::Report,
    telemetry::logs,
};

#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// The configuration file [default: gavel.toml, where there is one].
    #[arg(long, env = "GAVEL_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Address of the public port.
    #[arg(long, env = "GAVEL_LISTEN", global = true)]
    listen: Option<SocketAddr>,
    /// Address of the admin port.
    #[arg(long, env = "GAVEL_ADMIN_LISTEN", global = true)]
    admin_listen: Option<SocketAddr>,
    /// Triton's gRPC endpoints, separated by commas; "" serves without Triton.
    #[arg(long, env = "GAVEL_TRITON", global = true)]
    triton: Option<String>,
    /// The online store: embedded:PATH, redis://…, rediss://…, redis-cluster://host:port,host:port
    #[arg(long, env = "GAVEL_STORE", global = true)]
    store: Option<String>,
    /// Kafka's brokers, host:port,host:port.
    #[arg(long, env = "GAVEL_KAFKA", global = true)]
    kafka: Option<String>,
    /// The folder of decisions.
    #[arg(long, env = "GAVEL_DECISIONS", global = true)]
    decisions: Option<PathBuf>,
    /// The model repository that Triton serves.
    #[arg(long, env = "GAVEL_MODEL_REPOSITORY", global = true)]
    model_repository: Option<PathBuf>,
    /// Which configs/NAME.pbtxt to read where a model has one, as Triton's --model-config-name.
    #[arg(long, env = "GAVEL_MODEL_CONFIG_NAME", global = true)]
    model_config_name: Option<String>,
    /// The ONNX Runtime library (libonnxruntime).
    #[arg(long, env = "GAVEL_ONNXRUNTIME", global = true)]
    onnxruntime: Option<PathBuf>,
    /// The folder of the decision log; "" keeps no decision.
    #[arg(long, env = "GAVEL_DECISION_LOG", global = true)]
    decision_log: Option<String>,
    /// The form of log lines.
    #[arg(long, env = "GAVEL_LOG_FORMAT", global = true)]
    log_format: Option<LogFormat>,
    /// A log filter, such as info or gateway=debug,info.
    #[arg(long, env = "GAVEL_LOG_LEVEL", global = true, value_parser = logs::parse_level)]
    log_level: Option<String>,
}

impl Settings {
    /// The store that the command line or the environment names.
    pub(crate) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// The whole configuration. Problems of the file go to `report`.
    pub(crate) fn resolve(self, report: &mut Report) -> Config {
        let default_file = Path::new("gavel.toml");
        let mut config = match &self.config {
            Some(file) => Config::read(file, report),
            None if default_file.exists() => Config::read(default_file, report),
            None => Config::default(),
        };
        if let Some(triton) = self.triton {
            let endpoints = triton
                .split(',')
                .map(str::trim)
                .filter(|url| !url.is_empty());
            config.triton.endpoints = endpoints.map(str::to_owned).collect();
        }
        set(&mut config.server.listen, self.listen);
        set(&mut config.server.admin_listen, self.admin_listen);
        set(&mut config.store_url, self.store);
        if let Some(brokers) = self.kafka {
            config.kafka.set_brokers(brokers);
        }
        set(&mut config.decisions, self.decisions);
        set(&mut config.models.repository, self.model_repository);
        config.models.config_name = self.model_config_name.or(config.models.config_name);
        config.models.onnxruntime = self.onnxruntime.or(config.models.onnxruntime);
        if let Some(directory) = self.decision_log {
            config.decision_log.set_directory(directory.into());
        }
        set(&mut config.log.format, self.log_format);
        set(&mut config.log.level, self.log_level);
        config
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
