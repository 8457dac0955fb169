//! A real Redis cluster of three masters, with or without replicas.

use std::{
    process::{Command, Output},
    time::{Duration, SystemTime},
};

use crate::{
    port::free_port,
    process::pause,
    redis::{MISSING, Redis},
};

const FORM_LIMIT: Duration = Duration::from_secs(30);

const FAILOVER_LIMIT: Duration = Duration::from_secs(30);
const MASTERS: usize = 3;
/// A master that is silent for a second is given up, and a new replica is brought up to date at
/// once.
const FAILS_OVER: [&str; 4] = [
    "--cluster-node-timeout",
    "1000",
    "--repl-diskless-sync-delay",
    "0",
];

/// Three masters on free ports, all slots covered, and perhaps a replica each. They are killed on
/// drop.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters, then their replicas.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts the masters and waits until every one of them sees a whole cluster.
    ///
    /// # Panics
    /// If redis-server or redis-cli is missing, or the cluster does not form in time.
    pub fn start() -> Self {
        Self::form(0)
    }

    /// Likewise, with a replica for each master that takes its place when it dies: a second or two
    /// later, because a master is given up after a second.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_with_replicas() -> Self {
        Self::form(1)
    }

    fn form(replicas: usize) -> Self {
        // The default bus port, 10,000 above the node's, may be an outgoing connection's.
        let count = MASTERS * (1 + replicas);
        let bus_ports: Vec<_> = (0..count).map(|_| free_port()).collect();
        let extra: &[&str] = if replicas > 0 { &FAILS_OVER } else { &[] };
        let nodes: Vec<_> = bus_ports
            .iter()
            .map(|bus_port| Redis::start_node(*bus_port, extra))
            .collect();
        let mut create = vec!["--cluster".to_owned(), "create".to_owned()];
        create.extend(
            nodes
                .iter()
                .zip(bus_ports)
                .map(|(node, bus_port)| format!("127.0.0.1:{}@{bus_port}", node.port())),
        );
        create.extend(["--cluster-replicas".to_owned(), replicas.to_string()]);
        create.push("--cluster-yes".to_owned());
        let created = cli(&create);
        if !created.status.success() {
            panic!(
                "the cluster was not created: {}",
                String::from_utf8_lossy(&created.stdout)
            );
        }
        let started = SystemTime::now();
        while !nodes.iter().all(|node| sees_whole_cluster(node, count)) {
            if started.elapsed().unwrap_or_default() > FORM_LIMIT {
                panic!("the cluster did not form within {FORM_LIMIT:?}");
            }
            pause(Duration::from_millis(50));
        }
        Self { nodes }
    }

    /// Waits until a replica has taken the place of a node that was killed, and every node left
    /// knows it.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn wait_for_failover(&self, killed: usize) {
        let port = self.nodes[killed].port();
        let started = SystemTime::now();
        let others = || self.nodes.iter().filter(|node| node.port() != port);
        while !others().all(|node| sees_failover(node, port)) {
            if started.elapsed().unwrap_or_default() > FAILOVER_LIMIT {
                panic!("no replica took over within {FAILOVER_LIMIT:?}");
            }
            pause(Duration::from_millis(50));
        }
    }

    /// `redis-cluster://127.0.0.1:PORT,127.0.0.1:PORT,…`
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis-cluster://{}", nodes.join(","))
    }
}

fn sees_whole_cluster(node: &Redis, count: usize) -> bool {
    let info = ask(node, &["cluster", "info"]);
    info.contains("cluster_state:ok")
        && info.contains(&format!("cluster_known_nodes:{count}"))
        // A replica that has never had its master's rows cannot take its place.
        && !ask(node, &["info", "replication"]).contains("master_link_status:down")
}

/// Whether a node knows that the one on `port` failed, and that no slot is without a master.
fn sees_failover(node: &Redis, port: u16) -> bool {
    let nodes = ask(node, &["cluster", "nodes"]);
    let dead = nodes
        .lines()
        .find(|line| line.contains(&format!(":{port}@")));
    // id, address, flags, master, ping, pong, epoch, link, and then the slots that it has.
    let has_none = dead.is_some_and(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.len() == 8 && words[2].split(',').any(|flag| flag == "fail")
    });
    has_none && ask(node, &["cluster", "info"]).contains("cluster_state:ok")
}

fn ask(node: &Redis, question: &[&str]) -> String {
    let port = node.port().to_string();
    let words = [&["-p", &port], question].concat();
    let words: Vec<_> = words.into_iter().map(str::to_owned).collect();
    String::from_utf8_lossy(&cli(&words).stdout).into_owned()
}

fn cli(arguments: &[String]) -> Output {
    match Command::new("redis-cli").args(arguments).output() {
        Ok(output) => output,
        Err(error) => panic!("redis-cli cannot be run ({error}): {MISSING}"),
    }
}
