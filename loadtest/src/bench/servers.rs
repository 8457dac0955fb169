//! What a benchmark starts: Triton, Redis with the examples' payments, Gavel and the bare pipe, on
//! free ports. All of it is ended on drop.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Redis, Triton, free_port};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{self, Instant},
};

use crate::{
    os::ProcessGroup,
    questions::{self, Question, repository_root},
};

const START_LIMIT: Duration = Duration::from_secs(60);

/// The programs under test.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `gavel`.
    pub gavel: PathBuf,
    /// `bare-pipe`.
    pub pipe: PathBuf,
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or a process.
    #[error("{what}: {error}")]
    Io {
        /// Which.
        what: String,
        /// Why.
        error: io::Error,
    },
    /// It ended, or failed at what it was asked.
    #[error("{what}:\n{said}")]
    Failed {
        /// What.
        what: String,
        /// The end of its log.
        said: String,
    },
}

/// Which tiers a Gavel is started with: the reference of each is learnt from one that has it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Primary,
    Secondary,
    Rules,
}

/// A program of ours that serves; killed on drop.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    child: Child,
}

/// The servers that all systems share, and the folder of their files.
#[derive(Debug)]
pub(super) struct Backends {
    pub(super) triton: Triton,
    pub(super) redis: Redis,
    programs: Programs,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to learn from how it ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(super) fn group(&self) -> ProcessGroup {
        ProcessGroup(self.child.id())
    }
}

impl Backends {
    /// Starts Triton and Redis, and counts the payments as an operator would.
    pub(super) fn start(programs: Programs) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(|error| failed("a temporary folder", error))?;
        let backends = Self {
            triton: Triton::start(&repository_root().join("model_repository")),
            redis: Redis::start(),
            programs,
            folder,
        };
        backends.run_gavel(
            Command::new(&backends.programs.gavel)
                .arg("ingest")
                .arg(format!("--file={}=payment", payments().display()))
                .args(["--store", &backends.redis.url()]),
        )?;
        Ok(backends)
    }

    /// Runs a command of `gavel` that ends by itself.
    fn run_gavel(&self, command: &mut Command) -> Result<(), StartError> {
        let command = command
            .arg("--decisions")
            .arg(repository_root().join("decisions"))
            .current_dir(self.folder.path());
        let output = command.output().map_err(|error| failed("gavel", error))?;
        if output.status.success() {
            return Ok(());
        }
        Err(StartError::Failed {
            what: format!("{command:?}"),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The rows of the questions' cards and stores at their moment, for a pipe that knows no events.
    fn rows(&self) -> Result<PathBuf, StartError> {
        let file = |name: &str| self.folder.path().join(name);
        let (spine, rows) = (file("spine.jsonl"), file("rows.jsonl"));
        let questions = questions::read(repository_root()).map_err(|error| StartError::Failed {
            what: "the questions".into(),
            said: error.to_string(),
        })?;
        let lines: Vec<String> = questions.into_iter().map(spine_row).collect();
        fs::write(&spine, lines.join("\n")).map_err(|error| failed("a spine", error))?;
        self.run_gavel(
            Command::new(&self.programs.gavel)
                .args(["features", "history", "--views=card,store", "--status"])
                .arg(format!("--events={}=payment", payments().display()))
                .arg(format!("--spine={}", spine.display()))
                .arg(format!("--out={}", rows.display())),
        )?;
        Ok(rows)
    }

    /// Starts a Gavel whose first tier is `from`, and waits until it is ready.
    pub(super) async fn gavel(&self, from: From) -> Result<Server, StartError> {
        let triton = match from {
            From::Primary => &*self.triton.grpc_url,
            From::Secondary | From::Rules => "",
        };
        let repository = repository_root().join("model_repository");
        self.start_gavel(from, triton, &repository).await
    }

    /// Starts a Gavel in front of another Triton, which serves another model repository.
    pub(super) async fn gavel_before(
        &self,
        triton: &str,
        repository: &Path,
    ) -> Result<Server, StartError> {
        self.start_gavel(From::Primary, triton, repository).await
    }

    async fn start_gavel(
        &self,
        from: From,
        triton: &str,
        repository: &Path,
    ) -> Result<Server, StartError> {
        let (address, admin) = (free_address(), free_address());
        let mut command = Command::new(&self.programs.gavel);
        command
            .arg("serve")
            .args(["--listen", &address.to_string()])
            .args(["--admin-listen", &admin.to_string()])
            .args(["--store", &self.redis.url(), "--triton", triton])
            .args(["--model-config-name", "cpu"])
            .arg("--decisions")
            .arg(self.decisions(from)?)
            .arg("--model-repository")
            .arg(repository)
            .arg("--onnxruntime")
            .arg(onnxruntime()?);
        let server = self.serve("gavel", command, address)?;
        self.wait("gavel", server, || answers_200(admin, "/readyz"))
            .await
    }

    /// Starts the bare pipe, and waits until it accepts.
    pub(super) async fn pipe(&self) -> Result<Server, StartError> {
        let address = free_address();
        let mut command = Command::new(&self.programs.pipe);
        command
            .args(["--listen", &address.to_string()])
            .args(["--store", &self.redis.url()])
            .args(["--triton", &self.triton.grpc_url])
            .arg("--rows")
            .arg(self.rows()?);
        let server = self.serve("bare-pipe", command, address)?;
        let accepts = || async { TcpStream::connect(address).await.is_ok() };
        self.wait("bare-pipe", server, accepts).await
    }

    /// The repository's decisions, or a copy that begins with the rules.
    fn decisions(&self, from: From) -> Result<PathBuf, StartError> {
        let ours = repository_root().join("decisions");
        if from != From::Rules {
            return Ok(ours);
        }
        let copy = self.folder.path().join("decisions");
        let copied = copy_without_models(&ours, &copy);
        copied.map_err(|error| failed("a copy of the decisions", error))?;
        Ok(copy)
    }

    fn log(&self, what: &str) -> PathBuf {
        self.folder.path().join(format!("{what}.log"))
    }

    fn serve(
        &self,
        what: &str,
        mut command: Command,
        address: SocketAddr,
    ) -> Result<Server, StartError> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log(what));
        let (out, err) = log
            .and_then(|log| Ok((log.try_clone()?, log)))
            .map_err(|error| failed("a log", error))?;
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GAVEL_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0);
        let child = command.spawn().map_err(|error| failed(what, error))?;
        Ok(Server { address, child })
    }

    async fn wait<F: Future<Output = bool>>(
        &self,
        what: &str,
        mut server: Server,
        ready: impl Fn() -> F,
    ) -> Result<Server, StartError> {
        let limit = Instant::now() + START_LIMIT;
        while !ready().await {
            let ended = server.child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() > limit {
                return Err(StartError::Failed {
                    what: format!("{what} is not ready"),
                    said: fs::read_to_string(self.log(what)).unwrap_or_default(),
                });
            }
            time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }
}

/// The examples' payments.
fn payments() -> PathBuf {
    repository_root().join("examples/payments.jsonl")
}

/// A question as `gavel features history` asks it.
fn spine_row(question: Question) -> String {
    let mut row = question.entities;
    let moment = question.inputs.get("timestamp").cloned();
    row.insert("time".into(), moment.unwrap_or_default());
    Value::Object(row).to_string()
}

/// Every table of tiers but that of the rules is left out of each decision.
fn copy_without_models(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let text = fs::read_to_string(entry.path())?;
        fs::write(to.join(entry.file_name()), without_models(&text))?;
    }
    Ok(())
}

fn without_models(decision: &str) -> String {
    let mut kept = String::new();
    for (i, table) in decision.split("[[tiers]]").enumerate() {
        // The first part comes before any tier; a tier's own text ends where the next table begins.
        if i == 0 {
            kept.push_str(table);
            continue;
        }
        let end = table.find("\n[").unwrap_or(table.len());
        if table[..end].contains("kind = \"rules\"") {
            kept.push_str("[[tiers]]");
            kept.push_str(table);
        } else {
            kept.push_str(&table[end..]);
        }
    }
    kept
}

fn onnxruntime() -> Result<PathBuf, StartError> {
    let script = repository_root().join("scripts/triton.sh");
    let output = Command::new(script)
        .arg("onnxruntime")
        .output()
        .map_err(|error| failed("scripts/triton.sh", error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    Err(StartError::Failed {
        what: "ONNX Runtime is not installed: run `make test-deps`".into(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

async fn answers_200(address: SocketAddr, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut start = [0; 12];
        stream.read_exact(&mut start).await?;
        io::Result::Ok(start.ends_with(b" 200"))
    };
    ask.await.unwrap_or(false)
}

fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

pub(super) fn failed(what: &str, error: io::Error) -> StartError {
    StartError::Io {
        what: what.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rules_are_left() {
        let decision = fs::read_to_string(repository_root().join("decisions/fraud.toml")).unwrap();
        let left = without_models(&decision);
        assert_eq!(left.matches("[[tiers]]").count(), 1);
        assert!(left.contains("kind = \"rules\"") && left.contains("[policy]"));
        assert!(!left.contains("\"onnx\"") && !left.contains("\"triton\""));
    }
}
