//! A real Kafka broker (Tansu, through `scripts/tools.sh`), and a cluster whose topics outlive its
//! brokers (librdkafka's mock).
//!
//! Tansu keeps its topics in memory: a restart loses them. A consumer group of librdkafka joins after
//! about half its `session.timeout.ms`, so tests set 6000.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{port::free_port, process::Process};

const START_LIMIT: Duration = Duration::from_secs(20);
const MISSING: &str = "run `make test-deps`, which fetches the Kafka broker";

/// A broker on a free port, without topics; the first record written to one makes it. It is killed on
/// drop.
#[derive(Debug)]
pub struct Kafka {
    port: u16,
    process: Process,
    folder: TempDir,
}

impl Kafka {
    /// Starts one and waits until it accepts connections.
    ///
    /// # Panics
    /// If the broker is missing, ends, or is not there in time, with the end of its log.
    pub fn start() -> Self {
        let folder = match tempfile::tempdir() {
            Ok(folder) => folder,
            Err(error) => panic!("no temporary folder can be made for Kafka: {error}"),
        };
        let port = free_port();
        let process = run(folder.path(), port);
        Self {
            port,
            process,
            folder,
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Freezes it: SIGSTOP. Its connections stay up, silent.
    pub fn stop(&self) {
        self.process.signal(libc::SIGSTOP);
    }

    /// Lets it go on: SIGCONT.
    pub fn cont(&self) {
        self.process.signal(libc::SIGCONT);
    }

    /// Kills it: SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, without topics, and waits until it is there.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = run(self.folder.path(), self.port);
    }
}

fn run(folder: &Path, port: u16) -> Process {
    let url = format!("tcp://127.0.0.1:{port}");
    let mut command = Command::new(program());
    command.args(["broker", "--listener-url", &url]);
    command.args(["--advertised-listener-url", &url]);
    command.args(["--storage-engine", "memory://tansu/", "--silent"]);
    // It reads a file .env of its folder.
    command.current_dir(folder);
    let log = folder.join("kafka.log");
    let mut process = Process::start("tansu", &mut command, &log, MISSING);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let accepts = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
    process.wait_until(START_LIMIT, accepts);
    process
}

fn program() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/tools.sh");
    match Command::new(&script).args(["path", "tansu"]).output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().into()
        }
        Ok(_) => panic!("the Kafka broker is missing: {MISSING}"),
        Err(error) => panic!("{} cannot be run: {error}", script.display()),
    }
}

#[cfg(feature = "kafka-cluster")]
pub use cluster::KafkaCluster;

#[cfg(feature = "kafka-cluster")]
mod cluster {
    use std::fmt;

    use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

    /// A cluster of one broker in this process, reached over TCP as any other; its topics and its
    /// groups' positions outlive the broker. A partition keeps 5 MB.
    pub struct KafkaCluster {
        inner: MockCluster<'static, DefaultProducerContext>,
    }

    impl KafkaCluster {
        /// Starts it.
        ///
        /// # Panics
        /// If it cannot be started.
        pub fn start() -> Self {
            match MockCluster::new(1) {
                Ok(inner) => Self { inner },
                Err(error) => panic!("the mock cluster cannot be started: {error}"),
            }
        }

        /// `127.0.0.1:PORT`.
        pub fn brokers(&self) -> String {
            self.inner.bootstrap_servers()
        }

        /// Makes a topic.
        ///
        /// # Panics
        /// If the cluster refuses it.
        pub fn create_topic(&self, topic: &str, partitions: i32) {
            if let Err(error) = self.inner.create_topic(topic, partitions, 1) {
                panic!("the topic {topic} cannot be made: {error}");
            }
        }

        /// The broker closes its connections and takes no more.
        ///
        /// # Panics
        /// If the cluster refuses it.
        pub fn down(&self) {
            if let Err(error) = self.inner.broker_down(-1) {
                panic!("the broker cannot be stopped: {error}");
            }
        }

        /// The broker takes connections again.
        ///
        /// # Panics
        /// If the cluster refuses it.
        pub fn up(&self) {
            if let Err(error) = self.inner.broker_up(-1) {
                panic!("the broker cannot be started: {error}");
            }
        }
    }

    impl fmt::Debug for KafkaCluster {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("KafkaCluster").finish_non_exhaustive()
        }
    }
}
