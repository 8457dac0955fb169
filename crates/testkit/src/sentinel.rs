//! A real Redis with a replica, and three sentinels that watch them.

use std::{
    fs,
    process::Command,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use crate::{
    port::free_port,
    process::{Process, pause},
    redis::{MISSING, Redis, folder},
};

const FORM_LIMIT: Duration = Duration::from_secs(30);
const SENTINELS: usize = 3;
const MASTER: &str = "features";
/// A master that is silent for so long is given up.
const DOWN_AFTER_MS: u32 = 500;

/// Two servers that want a password, the first of which is the master, and sentinels that put the
/// other in its place when it is silent for half a second. They are killed on drop.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The master, then its replica.
    pub servers: [Redis; 2],
    sentinels: Vec<Process>,
    ports: Vec<u16>,
    password: &'static str,
    _folder: TempDir,
}

impl RedisSentinel {
    /// Starts all and waits until every sentinel knows the replica and the other sentinels.
    ///
    /// # Panics
    /// If redis-server or redis-cli is missing, or they do not find each other in time.
    pub fn start() -> Self {
        let password = "correct-horse";
        let folder = folder();
        let servers = [Redis::start(), Redis::start()];
        let port = servers[0].port().to_string();
        servers[1].cli(&["REPLICAOF", "127.0.0.1", &port]);
        for server in &servers {
            server.cli(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
            server.cli(&["CONFIG", "SET", "masterauth", password]);
            server.cli(&["CONFIG", "SET", "requirepass", password]);
        }
        let ports: Vec<u16> = (0..SENTINELS).map(|_| free_port()).collect();
        let sentinels = ports.iter().map(|own| {
            let file = folder.path().join(format!("{own}.conf"));
            let lines = [
                format!("port {own}"),
                "bind 127.0.0.1".to_owned(),
                format!("dir {}", folder.path().display()),
                format!("sentinel monitor {MASTER} 127.0.0.1 {port} 2"),
                format!("sentinel auth-pass {MASTER} {password}"),
                format!("sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}"),
                format!("sentinel failover-timeout {MASTER} 1000"),
            ];
            if let Err(error) = fs::write(&file, lines.join("\n")) {
                panic!("{} cannot be written: {error}", file.display());
            }
            let log = folder.path().join(format!("{own}.log"));
            let mut command = Command::new("redis-server");
            let command = command.arg(&file).arg("--sentinel");
            Process::start("redis-server --sentinel", command, &log, MISSING)
        });
        let sentinels = sentinels.collect();
        let this = Self {
            servers,
            sentinels,
            ports,
            password,
            _folder: folder,
        };
        this.wait_until("the sentinels find all", || {
            this.ports.iter().all(|port| {
                let info = ask(*port, &["INFO", "sentinel"]);
                info.contains("slaves=1,sentinels=3")
            }) && this.servers[1]
                .cli(&["-a", password, "INFO", "replication"])
                .contains("master_link_status:up")
        });
        this
    }

    /// `redis-sentinel://:PASSWORD@127.0.0.1:PORT,…/features`
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        format!(
            "redis-sentinel://:{}@{}/{MASTER}",
            self.password,
            hosts.join(",")
        )
    }

    /// Asks for a failover although the master is well.
    pub fn fail_over(&self) {
        ask(self.ports[0], &["SENTINEL", "FAILOVER", MASTER]);
    }

    /// Waits until all sentinels that run name this server as the master.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn wait_for_master(&self, server: usize) {
        let port = self.servers[server].port().to_string();
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
        self.wait_until("the sentinels agree on a master", || {
            self.ports
                .iter()
                .all(|sentinel| ask(*sentinel, &question).contains(&port))
        });
    }

    /// Kills a sentinel: SIGKILL.
    pub fn kill_sentinel(&mut self, sentinel: usize) {
        self.sentinels[sentinel].kill();
    }

    fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let started = SystemTime::now();
        while !is_so() {
            if started.elapsed().unwrap_or_default() > FORM_LIMIT {
                panic!("not within {FORM_LIMIT:?}: {what}");
            }
            pause(Duration::from_millis(50));
        }
    }
}

fn ask(port: u16, question: &[&str]) -> String {
    let port = port.to_string();
    match Command::new("redis-cli")
        .args(["-p", &port])
        .args(question)
        .output()
    {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => panic!("redis-cli cannot be run ({error}): {MISSING}"),
    }
}
