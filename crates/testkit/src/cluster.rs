//! A real Redis cluster of three masters.

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

/// Three masters on free ports, all slots covered. They are killed on drop.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts the masters and waits until every one of them sees a whole cluster.
    ///
    /// # Panics
    /// If redis-server or redis-cli is missing, or the cluster does not form in time.
    pub fn start() -> Self {
        // The default bus port, 10,000 above the node's, may be an outgoing connection's.
        let bus_ports: [_; 3] = std::array::from_fn(|_| free_port());
        let nodes: Vec<_> = bus_ports.map(Redis::start_node).into();
        let mut create = vec!["--cluster".to_owned(), "create".to_owned()];
        create.extend(
            nodes
                .iter()
                .zip(bus_ports)
                .map(|(node, bus_port)| format!("127.0.0.1:{}@{bus_port}", node.port())),
        );
        create.push("--cluster-yes".to_owned());
        let created = cli(&create);
        if !created.status.success() {
            panic!(
                "the cluster was not created: {}",
                String::from_utf8_lossy(&created.stdout)
            );
        }
        let started = SystemTime::now();
        while !nodes.iter().all(sees_whole_cluster) {
            if started.elapsed().unwrap_or_default() > FORM_LIMIT {
                panic!("the cluster did not form within {FORM_LIMIT:?}");
            }
            pause(Duration::from_millis(50));
        }
        Self { nodes }
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

fn sees_whole_cluster(node: &Redis) -> bool {
    let port = node.port().to_string();
    let info = cli(&[
        "-p".to_owned(),
        port,
        "cluster".to_owned(),
        "info".to_owned(),
    ]);
    let info = String::from_utf8_lossy(&info.stdout);
    info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
}

fn cli(arguments: &[String]) -> Output {
    match Command::new("redis-cli").args(arguments).output() {
        Ok(output) => output,
        Err(error) => panic!("redis-cli cannot be run ({error}): {MISSING}"),
    }
}
