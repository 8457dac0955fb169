//! The `gavel` binary: flags, environment and file become a [`Config`]; a subcommand runs.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use gateway::{
    check,
    config::{Config, LogFormat},
    decision,
    diagnostic::{Report, count},
    load,
    serve::{self, Failure},
    telemetry::logs,
};

/// Decisions inside a latency budget, in front of NVIDIA Triton.
///
/// Flags win over the environment, the environment over gavel.toml, gavel.toml over the defaults.
#[derive(Debug, Parser)]
#[command(name = "gavel", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve decisions: HTTP and gRPC on one port, metrics and probes on another.
    Serve,
    /// Check gavel.toml, decisions, features, rules and the model repository, without serving.
    Check,
    /// The online store.
    #[command(subcommand)]
    Features(Features),
}

#[derive(Debug, Subcommand)]
enum Features {
    /// Load rows of JSON lines: {"view":"card","entity":{"card_id":"1"},"values":{"txn_count_24h":3}}
    Load {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Settings {
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
    /// The form of log lines.
    #[arg(long, env = "GAVEL_LOG_FORMAT", global = true)]
    log_format: Option<LogFormat>,
    /// A log filter, such as info or gateway=debug,info.
    #[arg(long, env = "GAVEL_LOG_LEVEL", global = true, value_parser = logs::parse_level)]
    log_level: Option<String>,
}

impl Settings {
    /// The whole configuration. Problems of the file go to `report`.
    fn resolve(self, report: &mut Report) -> Config {
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
        set(&mut config.decisions, self.decisions);
        set(&mut config.models.repository, self.model_repository);
        config.models.config_name = self.model_config_name.or(config.models.config_name);
        config.models.onnxruntime = self.onnxruntime.or(config.models.onnxruntime);
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

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut report = Report::default();
    let config = cli.settings.resolve(&mut report);
    let outcome = match cli.command {
        Command::Serve => with_runtime(serve(config, &mut report)),
        Command::Check => check_files(&config, &mut report),
        Command::Features(Features::Load { file }) => {
            with_runtime(load_features(&config, &file, &mut report))
        }
    };
    // Problems first, then what they amount to. Whoever reads may have gone: that is no failure.
    let mut stderr = std::io::stderr();
    if !report.diagnostics().is_empty() {
        let _ = writeln!(stderr, "{}\n", report.render(stderr.is_terminal()));
    }
    match outcome {
        Ok(said) => {
            let _ = writeln!(std::io::stdout(), "{said}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(stderr, "gavel: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn with_runtime(run: impl Future<Output = Result<String, Failure>>) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(run)
}

async fn serve(config: Config, report: &mut Report) -> Result<String, Failure> {
    let _logs = logs::init(&config.log);
    if report.errors() > 0 {
        return Err(Failure("the configuration has problems".into()));
    }
    serve::run(config, report).await?;
    Ok("stopped".into())
}

fn check_files(config: &Config, report: &mut Report) -> Result<String, Failure> {
    let checked = check::run(config, report);
    let found = format!(
        "{} and {}",
        count(report.errors(), "error"),
        count(report.warnings(), "warning")
    );
    if report.errors() > 0 {
        return Err(Failure(format!("{found} in {checked}")));
    }
    Ok(format!("ok: {checked}; {found}"))
}

async fn load_features(
    config: &Config,
    file: &Path,
    report: &mut Report,
) -> Result<String, Failure> {
    let Some(decisions) =
        decision::read_folder(&config.decisions, report).filter(|_| report.errors() == 0)
    else {
        return Err(Failure("the features cannot be read".into()));
    };
    let store =
        features::Store::open(&config.store_url).map_err(|error| Failure(error.to_string()))?;
    let loaded = load::load(file, &decisions.catalog, &store, |line| {
        let _ = writeln!(std::io::stderr(), "{line}");
    })
    .await?;
    let written = format!(
        "{} written to the {} store",
        count(loaded.written, "row"),
        store.kind()
    );
    if loaded.refused > 0 {
        return Err(Failure(format!(
            "{}; {} refused",
            written,
            count(loaded.refused, "line")
        )));
    }
    Ok(written)
}
