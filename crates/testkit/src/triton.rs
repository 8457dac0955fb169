//! A real tritonserver, through `scripts/triton.sh`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{http, port::free_port, process::Process};

/// Python models take seconds each to load, more on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(180);
/// Triton waits for what is in flight, at most half a minute unless told otherwise.
const EXIT_LIMIT: Duration = Duration::from_secs(60);
const MISSING: &str = "run `make test-deps`, which fetches Triton";

/// A tritonserver on free ports. It is killed on drop.
#[derive(Debug)]
pub struct Triton {
    /// `http://127.0.0.1:PORT` of gRPC.
    pub grpc_url: String,
    /// `http://127.0.0.1:PORT` of HTTP.
    pub http_url: String,
    /// `http://127.0.0.1:PORT/metrics`.
    pub metrics_url: String,
    priority: Priority,
    script: PathBuf,
    arguments: Vec<String>,
    http_port: u16,
    shared_memory: String,
    process: Process,
    log: TempDir,
}

/// What a process may claim of the processors.
#[derive(Debug, Clone, Copy)]
enum Priority {
    Usual,
    Behind,
}

impl Drop for Triton {
    fn drop(&mut self) {
        self.process.kill();
        let regions = std::fs::read_dir("/dev/shm")
            .into_iter()
            .flatten()
            .flatten();
        for region in regions {
            let name = region.file_name();
            if name.to_string_lossy().starts_with(&self.shared_memory) {
                let _ = std::fs::remove_file(region.path());
            }
        }
    }
}

impl Triton {
    /// Serves a model repository with the CPU configurations, and waits until all of it is ready.
    ///
    /// # Panics
    /// If the server is missing, ends, or is not ready in time, with the end of its log.
    pub fn start(repository: &Path) -> Self {
        Self::start_with(repository, &[])
    }

    /// Likewise, with more arguments for tritonserver, e.g. `--model-control-mode=explicit`.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_with(repository: &Path, extra: &[&str]) -> Self {
        Self::start_at(Priority::Usual, repository, extra)
    }

    /// Likewise, behind everything else on this machine: its start, which takes seconds of
    /// processor time, does not take them from whoever is measured meanwhile, as it would not if it
    /// had a machine of its own.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_behind(repository: &Path) -> Self {
        Self::start_at(Priority::Behind, repository, &[])
    }

    fn start_at(priority: Priority, repository: &Path, extra: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/triton.sh");
        let (grpc, http_port, metrics) = (free_port(), free_port(), free_port());
        let Ok(log) = tempfile::tempdir() else {
            panic!("no temporary folder can be made for Triton's log");
        };
        let mut arguments = vec!["serve".to_owned()];
        for (flag, port) in [
            ("--grpc-port", grpc),
            ("--http-port", http_port),
            ("--metrics-port", metrics),
        ] {
            arguments.extend([flag.to_owned(), port.to_string()]);
        }
        arguments.extend(["--repository".to_owned(), repository.display().to_string()]);
        // A killed server leaves its shared memory behind; a prefix of its own lets us remove it.
        let shared_memory = format!("gavel_test_{}_{grpc}_", std::process::id());
        arguments.push("--".to_owned());
        for backend in ["python", "onnxruntime"] {
            let prefix = format!("shm-region-prefix-name={shared_memory}");
            arguments.push(format!("--backend-config={backend},{prefix}"));
        }
        arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
        Self {
            grpc_url: format!("http://127.0.0.1:{grpc}"),
            http_url: format!("http://127.0.0.1:{http_port}"),
            metrics_url: format!("http://127.0.0.1:{metrics}/metrics"),
            process: launch(priority, &script, &arguments, http_port, log.path()),
            priority,
            script,
            arguments,
            http_port,
            shared_memory,
            log,
        }
    }

    /// The process id of tritonserver.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Freezes it: SIGSTOP. Its connections stay up, silent.
    pub fn stop(&self) {
        self.process.signal(libc::SIGSTOP);
    }

    /// Lets it go on: SIGCONT.
    pub fn cont(&self) {
        self.process.signal(libc::SIGCONT);
    }

    /// Asks it to end: SIGTERM.
    pub fn terminate(&self) {
        self.process.signal(libc::SIGTERM);
    }

    /// Waits until it has ended by itself, after [`Self::terminate`].
    ///
    /// # Panics
    /// If that takes too long, with the end of its log.
    pub fn wait_for_exit(&mut self) {
        self.process.wait_for_exit(EXIT_LIMIT);
    }

    /// Kills it with all its processes: SIGKILL.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same ports, killing it first if it still runs, and waits until it
    /// is ready.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = launch(
            self.priority,
            &self.script,
            &self.arguments,
            self.http_port,
            self.log.path(),
        );
    }

    /// Whether it still answers.
    pub fn is_alive(&self) -> bool {
        http::is_ok(self.http_port, "/v2/health/live")
    }

    /// Waits until a model is ready.
    ///
    /// # Panics
    /// If that takes too long, with the end of its log.
    pub fn wait_for_model(&mut self, model: &str) {
        let (port, path) = (self.http_port, format!("/v2/models/{model}/ready"));
        self.process
            .wait_until(START_LIMIT, || http::is_ok(port, &path));
    }
}

fn launch(
    priority: Priority,
    script: &Path,
    arguments: &[String],
    http_port: u16,
    log: &Path,
) -> Process {
    let mut command = match priority {
        Priority::Usual => Command::new(script),
        Priority::Behind => {
            let mut nice = Command::new("nice");
            nice.args(["-n", "10"]).arg(script);
            nice
        }
    };
    let log = log.join("triton.log");
    let mut process = Process::start("Triton", command.args(arguments), &log, MISSING);
    process.wait_until(START_LIMIT, || http::is_ok(http_port, "/v2/health/ready"));
    process
}
