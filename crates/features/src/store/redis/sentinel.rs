//! A master that sentinels watch: who it is now.
//!
//! Asked at every new connection, so a failover is followed as soon as the old connections fail: the
//! dead master's break, a demoted one's are closed by the sentinels, and what one still takes of
//! writes it refuses as a replica (`READONLY`), which counts as broken too. All sentinels are asked
//! side by side and most of them decide: one that was cut off may name a master of the past.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::{AsyncConnectionConfig, Client, RedisError, Value, cmd};
use futures::future::join_all;

use super::explain::explain;
use super::url::Watched;
use super::{server_pool, take};
use crate::store::link::WireError;

/// How long one sentinel may take.
const ASK: Duration = Duration::from_millis(500);

pub(in crate::store) struct Sentinels {
    watched: Watched,
    /// The master that was named last, and connections to it.
    master: Mutex<Option<(String, deadpool_redis::Pool)>>,
}

impl Sentinels {
    pub(super) fn new(watched: Watched) -> Self {
        Sentinels {
            watched,
            master: Mutex::new(None),
        }
    }

    /// Connections to the present master.
    pub(super) async fn lend(&self) -> Result<Vec<deadpool_redis::Connection>, WireError> {
        let url = self
            .watched
            .server(&self.master_address().await.map_err(broken)?);
        let mut connections = take(&self.pool(url).map_err(broken)?).await?;
        if let Some(connection) = connections.first_mut() {
            check_role(connection).await?;
        }
        Ok(connections)
    }

    fn pool(&self, url: String) -> Result<deadpool_redis::Pool, String> {
        let mut master = self.master.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, pool)) = &*master
            && *known == url
        {
            return Ok(pool.clone());
        }
        let pool = server_pool(&url, None)?;
        *master = Some((url, pool.clone()));
        Ok(pool)
    }

    /// `host:port`, as most sentinels say.
    async fn master_address(&self) -> Result<String, String> {
        let asked = self.watched.sentinels.iter().map(|urls| self.ask(urls));
        let mut votes: HashMap<String, usize> = HashMap::new();
        let mut unknown = false;
        let mut why = String::new();
        for answer in join_all(asked).await {
            match answer {
                Ok(Some(address)) => *votes.entry(address).or_default() += 1,
                Ok(None) => unknown = true,
                Err(error) => why = error,
            }
        }
        let name = &self.watched.master;
        match votes.into_iter().max_by_key(|(_, votes)| *votes) {
            Some((address, _)) => Ok(address),
            None if unknown => Err(format!("the sentinels watch no master called `{name}`")),
            None => Err(format!("no sentinel says who `{name}` is: {why}")),
        }
    }

    /// What one sentinel says: it may want the login of the servers, or none.
    async fn ask(&self, urls: &[String; 2]) -> Result<Option<String>, String> {
        let [without, with] = urls;
        match self.ask_at(without).await {
            Err(error) if error.code() == Some("NOAUTH") && with != without => {
                self.ask_at(with).await
            }
            answer => answer,
        }
        .map_err(|error| explain(&error))
    }

    async fn ask_at(&self, url: &str) -> Result<Option<String>, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ASK))
            .set_response_timeout(Some(ASK));
        let client = Client::open(url)?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let address: Option<(String, u16)> = cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.watched.master)
            .query_async(&mut connection)
            .await?;
        Ok(address.map(|(host, port)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }))
    }
}

/// Refuses a server that is no master any more, or not yet.
async fn check_role(connection: &mut deadpool_redis::Connection) -> Result<(), WireError> {
    let role: Result<Vec<Value>, RedisError> = cmd("ROLE").query_async(connection).await;
    match role {
        Ok(role) => match role.first() {
            Some(Value::BulkString(role)) if role != b"master" => Err(broken(format!(
                "the sentinels name a server whose role is {}: a failover is under way",
                String::from_utf8_lossy(role)
            ))),
            _ => Ok(()),
        },
        // A user that may not ask: a replica will refuse its writes.
        Err(error) if error.code() == Some("NOPERM") => Ok(()),
        Err(error) => Err(broken(explain(&error))),
    }
}

fn broken(why: String) -> WireError {
    WireError::broken(why)
}
