//! `gavel serve` as a process: started on free ports with files of its own, killed on drop.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use testkit::free_port;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{PATIENCE, ask, files};

/// What to start. Unless said otherwise: the repository's decisions and models, no Triton, and an
/// empty embedded store of its own.
#[derive(Debug)]
pub(crate) struct Setup {
    folder: TempDir,
    port: u16,
    admin_port: u16,
    flags: Vec<(String, String)>,
    /// The most that a file may hold, in KiB.
    most_kib: Option<u32>,
}

/// A gateway that runs.
#[derive(Debug)]
pub(crate) struct Gateway {
    setup: Setup,
    child: Child,
}

/// What a process said that ended by itself.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    /// Standard output and standard error together.
    pub(crate) said: String,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin_port) = (free_port(), free_port());
        let store = format!("embedded:{}", folder.path().join("features").display());
        let setup = Self {
            folder,
            port,
            admin_port,
            flags: Vec::new(),
            most_kib: None,
        };
        setup
            .flag("listen", format!("127.0.0.1:{port}"))
            .flag("admin-listen", format!("127.0.0.1:{admin_port}"))
            .flag("store", &store)
            .flag("triton", "")
            .flag("decisions", files::root("decisions"))
            .flag("model-repository", files::root("model_repository"))
            .flag("onnxruntime", files::onnxruntime())
    }

    /// Sets a flag, in place of what it was.
    pub(crate) fn flag(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.flags.retain(|(earlier, _)| earlier != name);
        let value = value.as_ref().to_str().unwrap().to_owned();
        self.flags.push((name.to_owned(), value));
        self
    }

    /// Without a flag.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.flags.retain(|(earlier, _)| earlier != name);
        self
    }

    /// With a configuration file.
    pub(crate) fn config(self, toml: &str) -> Self {
        let file = self.folder.path().join("gavel.toml");
        fs::write(&file, toml).unwrap();
        self.flag("config", file)
    }

    /// With a copy of the repository's decisions that `change` is given to edit.
    pub(crate) fn decisions(self, change: impl FnOnce(&Path)) -> Self {
        let folder = self.folder.path().join("decisions");
        files::copy(&files::root("decisions"), &folder);
        change(&folder);
        self.flag("decisions", folder)
    }

    /// With a copy of the repository's models that `change` is given to edit.
    pub(crate) fn models(self, change: impl FnOnce(&Path)) -> Self {
        let folder = self.folder.path().join("model_repository");
        files::copy(&files::root("model_repository"), &folder);
        change(&folder);
        self.flag("model-repository", folder)
    }

    /// With a disk that is full for every file of so many KiB: writing more fails, as `ulimit -f` has it.
    pub(crate) fn files_of_at_most(mut self, kib: u32) -> Self {
        self.most_kib = Some(kib);
        self
    }

    /// A folder that lives as long as this.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("gavel.log")
    }

    fn command(&self, words: &[&str]) -> Command {
        let gavel = env!("CARGO_BIN_EXE_gavel");
        let mut command = match self.most_kib {
            None => Command::new(gavel),
            Some(kib) => {
                let limited = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
                let mut bash = Command::new("bash");
                bash.args(["-c", &limited, gavel]);
                bash
            }
        };
        command.args(words).current_dir(self.folder.path());
        for (name, value) in &self.flags {
            command.arg(format!("--{name}")).arg(value);
        }
        for (name, _) in std::env::vars_os() {
            let ours = name.to_string_lossy().starts_with("GAVEL_");
            if ours || name == "ORT_DYLIB_PATH" {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn spawn(&self) -> Child {
        self.spawn_words(&["serve"])
    }

    /// Starts `gavel` with these words; what it says goes to the end of the log.
    pub(crate) fn spawn_words(&self, words: &[&str]) -> Child {
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.unwrap();
        let mut command = self.command(words);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command.spawn().unwrap()
    }

    /// Everything that was said so far by what was started with this.
    pub(crate) fn said(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Serves, and waits until `/readyz` says so.
    pub(crate) async fn start(self) -> Gateway {
        let child = self.spawn();
        let mut gateway = Gateway { setup: self, child };
        gateway.wait_until_ready().await;
        gateway
    }

    /// Runs `gavel` with these words, which must end by itself.
    pub(crate) async fn run(&self, words: &[&str]) -> Outcome {
        let output = timeout(PATIENCE, self.command(words).output()).await;
        let output = output
            .unwrap_or_else(|_| panic!("gavel {} went on running", words.join(" ")))
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        Outcome {
            status: output.status,
            said: String::from_utf8_lossy(&said).into_owned(),
        }
    }

    /// Writes the rows of a file to the store, with `gavel features load`.
    pub(crate) async fn load(&self, file: &Path) {
        let loaded = self
            .run(&["features", "load", file.to_str().unwrap()])
            .await;
        assert!(loaded.status.success(), "{}", loaded.said);
    }

    /// Counts the payments of a file, with `gavel ingest`.
    pub(crate) async fn ingest(&self, file: &Path) {
        let words = format!("--file={}=payment", file.display());
        let ingested = self.run(&["ingest", &words]).await;
        assert!(ingested.status.success(), "{}", ingested.said);
    }

    /// Counts the examples' payments: the store then knows the examples' cards and stores.
    pub(crate) async fn load_examples(&self) {
        self.ingest(&files::root("examples/payments.jsonl")).await;
    }
}

impl Gateway {
    async fn wait_until_ready(&mut self) {
        let url = format!("{}/readyz", self.admin_url());
        let limit = tokio::time::Instant::now() + PATIENCE;
        while ask::get(&url)
            .await
            .is_none_or(|answer| answer.status != 200)
        {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("gavel ended ({status}):\n{}", self.log());
            }
            let waiting = tokio::time::Instant::now() < limit;
            assert!(waiting, "gavel was not ready in time:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `127.0.0.1:PORT` of the public port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.setup.port)
    }

    /// `http://127.0.0.1:PORT` of the public port.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `http://127.0.0.1:PORT` of the admin port.
    pub(crate) fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.setup.admin_port)
    }

    /// What it was started with.
    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Everything that it has said.
    #[expect(
        clippy::disallowed_methods,
        reason = "lines are written by a thread of their own, soon after what they tell of"
    )]
    pub(crate) fn log(&self) -> String {
        std::thread::sleep(std::time::Duration::from_millis(500));
        self.setup.said()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let pid = self.child.id().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// Kills it, SIGKILL, and gives back what it was started with, its store included.
    pub(crate) async fn kill(mut self) -> Setup {
        self.child.kill().await.unwrap();
        self.setup
    }

    /// Asks it to end: SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().expect("it runs");
        let kill = std::process::Command::new("kill")
            .args(["-TERM", &pid.to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("gavel did not end:\n{}", self.log()),
        }
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it and gives back what it was started with, its store included.
    pub(crate) async fn stop(mut self) -> Setup {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "{status}:\n{}", self.log());
        self.setup
    }

    /// Kills it: SIGKILL. Gives back what it was started with.
    pub(crate) async fn kill9(mut self) -> Setup {
        self.child.kill().await.unwrap();
        self.setup
    }

    /// It runs, is ready, and has not panicked.
    pub(crate) async fn assert_well(&mut self) {
        assert!(self.runs(), "it ended:\n{}", self.log());
        let ready = ask::get(&format!("{}/readyz", self.admin_url())).await;
        assert_eq!(ready.map(|answer| answer.status), Some(200));
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}
