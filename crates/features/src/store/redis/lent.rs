//! Connections on loan from a pool, shared by requests.

use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_redis::cluster;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Cmd, FromRedisValue, RedisError};
use futures::future::{try_join, try_join_all};

use super::explain::explain;
use super::script::By;
use super::{commands, script};
use crate::store::ask::{Ask, Reply, Values};
use crate::store::change::Change;
use crate::store::link::{Wire, WireError};

/// Nothing else is served while a script runs: this many keys take a fraction of a millisecond.
const KEYS_PER_SCRIPT: usize = 32;

pub(in crate::store) enum Lent {
    Server {
        connections: Vec<deadpool_redis::Connection>,
        next: AtomicUsize,
    },
    /// Multiplexed, and with a connection to each node by itself.
    Cluster(cluster::Connection),
}

impl Wire for Lent {
    async fn read(&self, ask: &Ask<'_>) -> Result<Reply, WireError> {
        let reply = match self {
            Lent::Server { .. } => self.read_from_server(ask).await,
            Lent::Cluster(_) => self.read_from_cluster(ask).await,
        };
        let reply = reply.map_err(|error| self.failed(&error))?;
        if commands::fits(ask, &reply) {
            return Ok(reply);
        }
        let why = "the answer does not fit the question".to_owned();
        Err(WireError::broken(why))
    }

    /// Asks for a key that is never written, as the requests' user and in their way: an answer to a
    /// `PING` would say less. A cluster has proved itself by listing its slots, and is as good as
    /// those of its nodes that answer: one key's node has no vote.
    async fn probe(&self) -> Result<(), WireError> {
        match self {
            Lent::Server { .. } => self.read(&Ask::probe()).await.map(drop),
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
    pub(super) fn server(connections: Vec<deadpool_redis::Connection>) -> Self {
        Lent::Server {
            connections,
            next: AtomicUsize::new(0),
        }
    }

    async fn read_from_server(&self, ask: &Ask<'_>) -> Result<Reply, RedisError> {
        // The most frequent case has no pipeline to pack and unpack.
        if ask.hash_count() == 0 {
            return Ok(Reply {
                rows: self.send(&commands::rows(ask)).await?,
                hashes: Vec::new(),
            });
        }
        let pipeline = commands::pipeline(ask);
        let answers = match self {
            Lent::Server { connections, next } => {
                let mut connection = in_turn(connections, next);
                pipeline.query_async(&mut connection).await
            }
            Lent::Cluster(connection) => pipeline.query_async(&mut (**connection).clone()).await,
        };
        commands::unpack(ask, answers?)
    }

    async fn read_from_cluster(&self, ask: &Ask<'_>) -> Result<Reply, RedisError> {
        let rows = async {
            match ask.rows.len() {
                0 => Ok(Values::new()),
                _ => self.send(&commands::rows(ask)).await,
            }
        };
        let hashes = ask.hashes().map(|(key, fields)| async move {
            commands::hash_answer(self.send(&commands::hash(key, fields)).await)
        });
        let (rows, hashes) = try_join(rows, try_join_all(hashes)).await?;
        Ok(Reply { rows, hashes })
    }

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
        Err(WireError::broken(why))
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            Lent::Server { connections, next } => {
                let mut connection = in_turn(connections, next);
                command.query_async(&mut connection).await
            }
            Lent::Cluster(connection) => command.query_async(&mut (**connection).clone()).await,
        }
    }

    fn failed(&self, error: &RedisError) -> WireError {
        // A replica that was the master: another server is to be asked for.
        let demoted = error.code() == Some("READONLY");
        WireError {
            // A cluster's connection replaces the broken ones within by itself.
            broken: matches!(self, Lent::Server { .. })
                && (demoted || error.is_unrecoverable_error()),
            // Not: a server that loads its data, that has no room, whose cluster is moving.
            refused: matches!(
                error.code(),
                Some("ERR" | "NOPERM" | "NOAUTH" | "WRONGPASS" | "WRONGTYPE")
            ),
            why: explain(error),
        }
    }
}

fn in_turn(
    connections: &[deadpool_redis::Connection],
    next: &AtomicUsize,
) -> MultiplexedConnection {
    let turn = next.fetch_add(1, Ordering::Relaxed) % connections.len();
    (*connections[turn]).clone()
}
