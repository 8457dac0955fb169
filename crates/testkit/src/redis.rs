//! A real redis-server, with or without TLS.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{port::free_port, process::Process};

const START_LIMIT: Duration = Duration::from_secs(20);
pub(crate) const MISSING: &str = "run `make test-deps`, which installs redis-server";

/// A redis-server on a free port, empty and, unless it is said, without persistence. It is killed
/// on drop.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    tls: Option<Certificates>,
    arguments: Vec<String>,
    process: Process,
    folder: TempDir,
}

#[derive(Debug)]
struct Certificates {
    authority: PathBuf,
}

impl Redis {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// If redis-server is missing, ends, or does not answer in time, with the end of its log.
    pub fn start() -> Self {
        Self::launch(folder(), None, &[])
    }

    /// Likewise, but whatever it has acknowledged is there again after a kill and
    /// [`restart`](Self::restart).
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_durable() -> Self {
        Self::launch(
            folder(),
            None,
            &["--appendonly", "yes", "--appendfsync", "always"],
        )
    }

    /// Likewise, with TLS only, on a certificate for `localhost` and `127.0.0.1` of an authority
    /// of its own ([`Self::certificate_authority`]).
    ///
    /// # Panics
    /// As [`Self::start`], and if openssl is missing.
    pub fn start_tls() -> Self {
        let folder = folder();
        let certificates = issue_certificates(folder.path());
        Self::launch(folder, Some(certificates), &[])
    }

    /// A node that waits to be made part of a cluster, whose nodes talk on `bus_port`, with more
    /// arguments for redis-server.
    pub(crate) fn start_node(bus_port: u16, extra: &[&str]) -> Self {
        let bus_port = bus_port.to_string();
        let node = ["--cluster-enabled", "yes", "--cluster-port", &bus_port];
        Self::launch(folder(), None, &[&node, extra].concat())
    }

    fn launch(folder: TempDir, tls: Option<Certificates>, extra: &[&str]) -> Self {
        let port = free_port();
        let directory = folder.path().display();
        let mut arguments = format!("--bind 127.0.0.1 --save --appendonly no --dir {directory}");
        match tls {
            None => arguments.push_str(&format!(" --port {port}")),
            Some(_) => arguments.push_str(&format!(
                " --port 0 --tls-port {port} --tls-auth-clients no \
                 --tls-cert-file {directory}/server.pem --tls-key-file {directory}/server.key \
                 --tls-ca-cert-file {directory}/ca.pem"
            )),
        }
        let arguments = arguments.split_whitespace().chain(extra.iter().copied());
        // `--save` takes an empty argument: no snapshots.
        let arguments: Vec<String> = arguments
            .flat_map(|word| {
                if word == "--save" {
                    vec![word, ""]
                } else {
                    vec![word]
                }
            })
            .map(str::to_owned)
            .collect();
        let process = run(&arguments, folder.path(), port, tls.is_some());
        Self {
            port,
            tls,
            arguments,
            process,
            folder,
        }
    }

    /// `redis://127.0.0.1:PORT`, or `rediss://localhost:PORT`.
    pub fn url(&self) -> String {
        match self.tls {
            None => format!("redis://127.0.0.1:{}", self.port),
            Some(_) => format!("rediss://localhost:{}", self.port),
        }
    }

    /// Its port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority's certificate (PEM); `None` without TLS.
    pub fn certificate_authority(&self) -> Option<&Path> {
        self.tls
            .as_ref()
            .map(|certificates| certificates.authority.as_path())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What redis-cli says when it is given these arguments, without TLS.
    ///
    /// # Panics
    /// If redis-cli is missing.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        match Command::new("redis-cli")
            .args(["-p", &port])
            .args(arguments)
            .output()
        {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(error) => panic!("redis-cli cannot be run ({error}): {MISSING}"),
        }
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

    /// Starts it again on the same port, empty unless it is durable, and waits until it answers.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = run(
            &self.arguments,
            self.folder.path(),
            self.port,
            self.tls.is_some(),
        );
    }
}

pub(crate) fn folder() -> TempDir {
    match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => panic!("no temporary folder can be made for Redis: {error}"),
    }
}

fn run(arguments: &[String], folder: &Path, port: u16, tls: bool) -> Process {
    let log = folder.join("redis.log");
    let mut command = Command::new("redis-server");
    let mut process = Process::start("redis-server", command.args(arguments), &log, MISSING);
    process.wait_until(
        START_LIMIT,
        || if tls { accepts(port) } else { answers(port) },
    );
    process
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1))
}

fn accepts(port: u16) -> bool {
    connect(port).is_ok()
}

fn answers(port: u16) -> bool {
    let ping = || {
        let mut stream = connect(port)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ping().is_ok_and(|answer| &answer == b"+PONG\r\n")
}

/// An authority, and a certificate of its for this machine, good for a day.
fn issue_certificates(folder: &Path) -> Certificates {
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    if let Err(error) = std::fs::write(folder.join("names"), names) {
        panic!("{} cannot be written: {error}", folder.display());
    }
    let new_key = "-nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
    for command in [
        format!("req -x509 {new_key} -keyout ca.key -out ca.pem -days 1 -subj /CN=test-authority"),
        format!("req {new_key} -keyout server.key -out server.csr -subj /CN=localhost"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 1 -extfile names".to_owned(),
    ] {
        let arguments = command.split_whitespace();
        match Command::new("openssl").args(arguments).current_dir(folder).output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => panic!("openssl {command}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => panic!("openssl cannot be run ({error}): install openssl"),
        }
    }
    Certificates {
        authority: folder.join("ca.pem"),
    }
}
