//! Redis: one server or a cluster, with or without TLS.
//!
//! All rows of a request are read with one `MGET`; on a cluster it is still one call of the client,
//! which asks the nodes side by side. Writes compare and set inside the server, with a script of many
//! keys; on a cluster, with one a key, side by side.
//!
//! A pool (deadpool-redis) owns the connections, and the link borrows a few of them for as long as
//! it is up: a pool checks a connection with a `PING` whenever it lends it, so lending one to each
//! request would double its round trips. Requests share the borrowed connections, which are
//! multiplexed: replies are matched to calls in order, and a call whose caller has left still takes
//! its reply off the wire, so the next caller never sees it. Given back after a failure, a
//! connection that still answers is lent again, and a dead one is replaced.

mod script;
mod url;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisError, cmd};
use deadpool_redis::{PoolError, Runtime, cluster};
use futures::future::try_join_all;

use super::change::Change;
use super::link::{Dial, Values, Wire, WireError};
use crate::key::Keys;
use script::By;
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
/// Nothing else is served while a script runs: this many keys take a fraction of a millisecond.
const KEYS_PER_SCRIPT: usize = 32;

/// Pools of connections; nothing is connected yet.
pub(super) enum RedisDial {
    Server(deadpool_redis::Pool),
    Cluster(cluster::Pool),
}

impl RedisDial {
    pub(super) fn new(address: Address) -> Result<Self, String> {
        let describe = |error: RedisError| error.to_string();
        match address {
            Address::Server(url) => {
                // The link bounds every call by itself: reads by their slices.
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT))
                    .set_response_timeout(None)
                    .set_pipeline_buffer_size(PIPELINE);
                let manager = deadpool_redis::Manager::new_with_config(url, config);
                let pool = deadpool_redis::Pool::builder(manager.map_err(describe)?)
                    .max_size(2 * CONNECTIONS)
                    .runtime(Runtime::Tokio1)
                    .wait_timeout(Some(CONNECT))
                    .create_timeout(Some(CONNECT))
                    .recycle_timeout(Some(CHECK));
                pool.build()
                    .map(RedisDial::Server)
                    .map_err(|error| error.to_string())
            }
            Address::Cluster(urls) => {
                let manager = cluster::Manager::new(urls, false).map_err(describe)?;
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
            RedisDial::Server(pool) => {
                let mut connections = Vec::with_capacity(CONNECTIONS);
                for _ in 0..CONNECTIONS {
                    connections.push(pool.get().await.map_err(not_lent)?);
                }
                Ok(Lent::Server {
                    connections,
                    next: AtomicUsize::new(0),
                })
            }
            // Multiplexed, and with a connection to each node by itself.
            RedisDial::Cluster(pool) => Ok(Lent::Cluster(pool.get().await.map_err(not_lent)?)),
        }
    }
}

/// Connections on loan from a pool, shared by requests.
pub(super) enum Lent {
    Server {
        connections: Vec<deadpool_redis::Connection>,
        next: AtomicUsize,
    },
    Cluster(cluster::Connection),
}

impl Wire for Lent {
    async fn read(&self, keys: &Keys) -> Result<Values, WireError> {
        let mut command = cmd("MGET");
        for key in keys.iter() {
            command.arg(key);
        }
        let values: Values = self.query(&command).await?;
        if values.len() == keys.len() {
            return Ok(values);
        }
        let why = format!("{} values came for {} keys", values.len(), keys.len());
        Err(WireError { why, broken: true })
    }

    /// Asks for a key that is never written, as the requests' user and in their way: an answer to a
    /// `PING` would say less. A cluster has proved itself by listing its slots, and is as good as
    /// those of its nodes that answer: one key's node has no vote.
    async fn probe(&self) -> Result<(), WireError> {
        match self {
            Lent::Server { .. } => self.read(&Keys::probe()).await.map(drop),
            Lent::Cluster(_) => Ok(()),
        }
    }

    async fn write(&self, changes: &[Change<'_>]) -> Result<Vec<bool>, WireError> {
        // The keys of one call have to lie on one node.
        let keys_per_call = match self {
            Lent::Server { .. } => KEYS_PER_SCRIPT,
            Lent::Cluster(_) => 1,
        };
        let calls = changes
            .chunks(keys_per_call)
            .map(|changes| self.run(changes));
        Ok(try_join_all(calls).await?.into_iter().flatten().collect())
    }
}

impl Lent {
    /// Makes changes whose keys are on one server.
    async fn run(&self, changes: &[Change<'_>]) -> Result<Vec<bool>, WireError> {
        let mut answer = self.send(&script::call(changes, By::Digest)).await;
        // The server has not seen the script yet, or has forgotten it: it has done nothing.
        if let Err(error) = &answer
            && error.code() == Some("NOSCRIPT")
        {
            answer = self.send(&script::call(changes, By::Text)).await;
        }
        let done: Vec<bool> = answer.map_err(|error| self.failed(&error))?;
        if done.len() == changes.len() {
            return Ok(done);
        }
        let why = format!("{} answers came for {} keys", done.len(), changes.len());
        Err(WireError { why, broken: true })
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, WireError> {
        self.send(command)
            .await
            .map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &RedisError) -> WireError {
        WireError {
            // A cluster's connection replaces the broken ones within by itself.
            broken: matches!(self, Lent::Server { .. }) && error.is_unrecoverable_error(),
            why: error.to_string(),
        }
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            Lent::Server { connections, next } => {
                let turn = next.fetch_add(1, Ordering::Relaxed) % connections.len();
                let mut connection = (*connections[turn]).clone();
                command.query_async(&mut connection).await
            }
            Lent::Cluster(connection) => {
                let mut connection = (**connection).clone();
                command.query_async(&mut connection).await
            }
        }
    }
}

fn not_lent(error: PoolError) -> WireError {
    let why = match error {
        PoolError::Backend(error) => error.to_string(),
        PoolError::Timeout(_) => "the connection was not made in time".to_owned(),
        error => error.to_string(),
    };
    WireError { why, broken: true }
}
