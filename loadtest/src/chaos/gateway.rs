//! The gateway as a process, killed on drop.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use testkit::free_port;
use tokio::time::Instant;

use super::{http, pause};

const START_LIMIT: Duration = Duration::from_secs(10);
/// Longer than the gateway's own limit on a drain.
const END_LIMIT: Duration = Duration::from_secs(40);

/// What every gateway of the suite is started with.
#[derive(Debug, Clone)]
pub(super) struct Kit {
    /// The program.
    pub(super) gavel: PathBuf,
    /// The repository's root.
    pub(super) root: PathBuf,
    /// The ONNX Runtime library.
    pub(super) onnxruntime: PathBuf,
}

/// What one gateway is started with.
#[derive(Debug, Clone, Default)]
pub(super) struct Setup {
    /// gRPC endpoints of Tritons.
    pub(super) tritons: Vec<String>,
    /// The store's URL.
    pub(super) store: String,
    /// A folder of decisions in place of the repository's.
    pub(super) decisions: Option<PathBuf>,
    /// Environment variables.
    pub(super) environment: Vec<(String, String)>,
}

/// A gateway that serves.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) port: u16,
    pub(super) admin_port: u16,
    child: Child,
    kit: Kit,
    setup: Setup,
    log: PathBuf,
}

impl Gateway {
    /// Starts one whose lines go to the end of `log`, and waits until it is ready.
    ///
    /// # Errors
    /// If it ends, or is not ready in time.
    pub(super) fn start(kit: &Kit, setup: Setup, log: &Path) -> Result<Self, String> {
        let (port, admin_port) = (free_port(), free_port());
        let child = spawn(kit, &setup, (port, admin_port), log)?;
        let mut gateway = Self {
            port,
            admin_port,
            child,
            kit: kit.clone(),
            setup,
            log: log.to_owned(),
        };
        gateway.wait_until_ready()?;
        Ok(gateway)
    }

    /// Starts it again on the same ports, after it has ended.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(super) fn start_again(&mut self) -> Result<(), String> {
        self.child = spawn(
            &self.kit,
            &self.setup,
            (self.port, self.admin_port),
            &self.log,
        )?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while !matches!(http::ask(self.admin_port, "/readyz", None), Ok((200, _))) {
            if !self.runs() {
                return Err(format!("gavel ended:\n{}", self.log_tail()));
            }
            if began.elapsed() > START_LIMIT {
                return Err(format!("gavel is not ready:\n{}", self.log_tail()));
            }
            pause(Duration::from_millis(20));
        }
        Ok(())
    }

    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end: SIGTERM.
    ///
    /// # Errors
    /// If it cannot be sent.
    pub(super) fn terminate(&self) -> Result<(), String> {
        signal("TERM", self.child.id())
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// If that takes too long.
    pub(super) fn ended(&mut self) -> Result<ExitStatus, String> {
        let began = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if began.elapsed() < END_LIMIT => pause(Duration::from_millis(10)),
                Ok(None) => return Err(format!("gavel did not end within {END_LIMIT:?}")),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// What it has said.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Kit {
    /// Counts the payments of a file into a store, with `gavel ingest`.
    ///
    /// # Errors
    /// What it said, if it failed.
    pub(super) fn ingest(&self, store: &str, payments: &Path) -> Result<(), String> {
        let file = format!("--file={}=payment", payments.display());
        let setup = Setup {
            store: store.to_owned(),
            ..Setup::default()
        };
        self.run(&setup, &["ingest", &file])
    }

    /// Runs a command that ends by itself.
    ///
    /// # Errors
    /// What it said, if it failed.
    pub(super) fn run(&self, setup: &Setup, words: &[&str]) -> Result<(), String> {
        let mut command = self.command(setup);
        command.args(words);
        let output = command.output().map_err(|error| self.cannot_run(&error))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(String::from_utf8_lossy(&said).trim().to_owned())
    }

    /// The examples' payments.
    pub(super) fn payments(&self) -> PathBuf {
        self.root.join("examples/payments.jsonl")
    }

    fn command(&self, setup: &Setup) -> Command {
        let mut command = Command::new(&self.gavel);
        for (name, _) in std::env::vars_os() {
            let ours = name.to_string_lossy().starts_with("GAVEL_");
            if ours || name == "ORT_DYLIB_PATH" {
                command.env_remove(name);
            }
        }
        let decisions = setup.decisions.clone();
        command
            .arg("--onnxruntime")
            .arg(&self.onnxruntime)
            .arg("--decisions")
            .arg(decisions.unwrap_or_else(|| self.root.join("decisions")))
            .arg("--model-repository")
            .arg(self.root.join("model_repository"))
            .args(["--model-config-name", "cpu", "--store", &setup.store])
            .args(["--triton", &setup.tritons.join(",")])
            .envs(setup.environment.iter().cloned())
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null());
        command
    }

    fn cannot_run(&self, error: &std::io::Error) -> String {
        format!(
            "{} cannot be run ({error}): build it with cargo build --release -p gateway",
            self.gavel.display()
        )
    }
}

fn spawn(kit: &Kit, setup: &Setup, ports: (u16, u16), log: &Path) -> Result<Child, String> {
    let file = File::options().create(true).append(true).open(log);
    let lines = file.and_then(|file| Ok((file.try_clone()?, file)));
    let (out, err) = lines.map_err(|error| format!("{}: {error}", log.display()))?;
    kit.command(setup)
        .arg("serve")
        .arg("--decision-log")
        .arg(log.with_extension("decisions"))
        .args(["--listen", &format!("127.0.0.1:{}", ports.0)])
        .args(["--admin-listen", &format!("127.0.0.1:{}", ports.1)])
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(|error| kit.cannot_run(&error))
}

/// Sends a signal to a process.
///
/// # Errors
/// If there is no such process.
pub(super) fn signal(name: &str, pid: u32) -> Result<(), String> {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    match sent {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("there is no process {pid}")),
        Err(error) => Err(format!("kill cannot be run: {error}")),
    }
}
