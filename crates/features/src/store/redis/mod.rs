//! Redis: one server, the master that sentinels watch, or a cluster, with or without TLS.
//!
//! All rows of a request are read with one `MGET`, and each hash with an `HMGET`, in one pipeline; on a
//! cluster they go side by side, and the client asks several nodes for the rows of one `MGET`. Writes
//! compare and set inside the server, with a script of many keys; on a cluster, with one a key, side
//! by side.
//!
//! A pool (deadpool-redis) owns the connections, and the link borrows a few of them for as long as
//! it is up: a pool checks a connection with a `PING` whenever it lends it, so lending one to each
//! request would double its round trips. Requests share the borrowed connections, which are
//! multiplexed: replies are matched to calls in order, and a call whose caller has left still takes
//! its reply off the wire, so the next caller never sees it. Given back after a failure, a
//! connection that still answers is lent again, and a dead one is replaced.

mod commands;
mod explain;
mod lent;
mod script;
mod sentinel;
mod url;

use std::fs;
use std::path::Path;
use std::time::Duration;

use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, TlsCertificates,
};
use deadpool_redis::{PoolError, Runtime, cluster};

use super::link::{Dial, WireError};
use explain::explain;
use lent::Lent;
use sentinel::Sentinels;
pub(super) use url::{Address, SCHEMES, is_redis, parse, redact};

/// Connections that requests share. More than one, so that a long reply does not hold up all. The
/// pools hold twice as many: late callers of the last session may still have theirs.
const CONNECTIONS: usize = 2;
const CONNECT: Duration = Duration::from_secs(1);
/// A cluster's client waits a second for a node that is frozen before it goes on without it.
const CONNECT_CLUSTER: Duration = Duration::from_secs(4);
const CHECK: Duration = Duration::from_millis(250);
/// Commands that may wait to be written to one connection.
const PIPELINE: usize = 1024;

/// Pools of connections; nothing is connected yet.
pub(super) enum RedisDial {
    Server(deadpool_redis::Pool),
    Cluster(cluster::Pool),
    Sentinel(Sentinels),
}

impl RedisDial {
    pub(super) fn new(address: Address) -> Result<Self, String> {
        match address {
            Address::Server { url, authority } => {
                server_pool(&url, authority.as_deref()).map(RedisDial::Server)
            }
            Address::Sentinel(watched) => Ok(RedisDial::Sentinel(Sentinels::new(watched))),
            Address::Cluster(urls) => {
                let manager =
                    cluster::Manager::new(urls, false).map_err(|error| error.to_string())?;
                let pool = cluster::Pool::builder(manager)
                    .max_size(2)
                    .runtime(Runtime::Tokio1)
                    .wait_timeout(Some(CONNECT))
                    .create_timeout(Some(CONNECT_CLUSTER))
                    .recycle_timeout(Some(CHECK));
                pool.build()
                    .map(RedisDial::Cluster)
                    .map_err(|error| error.to_string())
            }
        }
    }
}

impl Dial for RedisDial {
    type Wire = Lent;

    async fn dial(&self) -> Result<Lent, WireError> {
        match self {
            RedisDial::Server(pool) => Ok(Lent::server(take(pool).await?)),
            RedisDial::Sentinel(sentinels) => Ok(Lent::server(sentinels.lend().await?)),
            // Multiplexed, and with a connection to each node by itself.
            RedisDial::Cluster(pool) => Ok(Lent::Cluster(pool.get().await.map_err(not_lent)?)),
        }
    }
}

/// Connections to the server at `url`, which may have a file of authorities of its own; nothing is
/// connected yet.
fn server_pool(url: &str, authority: Option<&Path>) -> Result<deadpool_redis::Pool, String> {
    let info = match authority {
        Some(file) => trusting(url, file)?,
        None => url
            .into_connection_info()
            .map_err(|error| error.to_string())?,
    };
    // The link bounds every call by itself: reads by their slices.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(PIPELINE);
    let manager = deadpool_redis::Manager::new_with_config(info, config);
    let pool = deadpool_redis::Pool::builder(manager.map_err(|error| error.to_string())?)
        .max_size(2 * CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECT))
        .create_timeout(Some(CONNECT))
        .recycle_timeout(Some(CHECK));
    pool.build().map_err(|error| error.to_string())
}

fn trusting(url: &str, file: &Path) -> Result<ConnectionInfo, String> {
    let unusable = |why: String| {
        let file = file.display();
        format!("the authorities of {file} cannot be used: {why}")
    };
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(fs::read(file).map_err(|error| unusable(error.to_string()))?),
    };
    let client = Client::build_with_tls(url, certificates);
    let client = client.map_err(|error| unusable(error.to_string()))?;
    Ok(client.get_connection_info().clone())
}

async fn take(pool: &deadpool_redis::Pool) -> Result<Vec<deadpool_redis::Connection>, WireError> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(pool.get().await.map_err(not_lent)?);
    }
    Ok(connections)
}

fn not_lent(error: PoolError) -> WireError {
    let why = match error {
        PoolError::Backend(error) => explain(&error),
        PoolError::Timeout(_) => "the connection was not made in time".to_owned(),
        error => error.to_string(),
    };
    WireError::broken(why)
}
