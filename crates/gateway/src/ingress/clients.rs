//! Who asks: keys, what each key may ask for, and how often.
//!
//! Keys are kept as SHA-256 digests. With no client configured anyone may ask.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    sync::Arc,
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::{
    config::ClientConfig,
    rejection::{Kind, Rejection},
};

/// All known callers.
#[derive(Debug)]
pub struct Clients {
    by_digest: HashMap<[u8; 32], Arc<Client>>,
    anyone: Option<Arc<Client>>,
}

/// One caller.
#[derive(Debug)]
pub struct Client {
    name: String,
    /// `None` is all.
    decisions: Option<HashSet<String>>,
    /// `None` is all.
    events: Option<HashSet<String>>,
    rate: Option<DefaultDirectRateLimiter>,
}

impl Clients {
    /// The callers of a configuration.
    pub fn new(configured: &[ClientConfig]) -> Self {
        let client = |config: &ClientConfig| Client {
            name: config.name.clone(),
            decisions: config
                .decisions
                .as_ref()
                .map(|list| list.iter().cloned().collect()),
            events: config
                .events
                .as_ref()
                .map(|list| list.iter().cloned().collect()),
            rate: config
                .requests_per_second
                .and_then(NonZeroU32::new)
                .map(|rate| RateLimiter::direct(Quota::per_second(rate))),
        };
        let anyone = Client {
            name: "anyone".into(),
            decisions: None,
            events: None,
            rate: None,
        };
        Self {
            by_digest: configured
                .iter()
                .map(|c| (c.key_sha256, Arc::new(client(c))))
                .collect(),
            anyone: configured.is_empty().then(|| Arc::new(anyone)),
        }
    }

    /// The caller whose key is in the headers, if it does not ask faster than agreed.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Arc<Client>, Rejection> {
        let client = self.authenticate(headers)?;
        client.count_request()?;
        Ok(client)
    }

    /// `authorization: Bearer KEY` or `x-api-key: KEY`.
    fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Client>, Rejection> {
        if let Some(anyone) = &self.anyone {
            return Ok(Arc::clone(anyone));
        }
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().split_at_checked(7))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
            .map(|(_, key)| key);
        let key = bearer.or_else(|| headers.get("x-api-key").map(|value| value.as_bytes()));
        let Some(key) = key else {
            let detail = "no key was sent: send `authorization: Bearer KEY` or `x-api-key: KEY`";
            return Err(Rejection::new(Kind::Unauthenticated, detail));
        };
        // The digest is looked up, not compared: what timing tells is about digests, not about keys.
        let digest: [u8; 32] = Sha256::digest(key).into();
        self.by_digest
            .get(&digest)
            .cloned()
            .ok_or_else(|| Rejection::new(Kind::Unauthenticated, "the key is not known here"))
    }
}

impl Client {
    /// Refuses a decision that this caller may not ask for.
    pub fn may_ask(&self, decision: &str) -> Result<(), Rejection> {
        if self
            .decisions
            .as_ref()
            .is_some_and(|list| !list.contains(decision))
        {
            let detail = format!("the client `{}` may not ask for `{decision}`", self.name);
            return Err(Rejection::new(Kind::Forbidden, detail));
        }
        Ok(())
    }

    /// Refuses an event of a type that this caller may not send.
    pub fn may_post(&self, kind: &str) -> Result<(), Rejection> {
        if self
            .events
            .as_ref()
            .is_some_and(|list| !list.contains(kind))
        {
            let detail = format!("the client `{}` may not send `{kind}` events", self.name);
            return Err(Rejection::new(Kind::Forbidden, detail));
        }
        Ok(())
    }

    fn count_request(&self) -> Result<(), Rejection> {
        let Some(rate) = &self.rate else {
            return Ok(());
        };
        rate.check().map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let detail = format!("the client `{}` asks faster than agreed", self.name);
            Rejection::new(Kind::RateLimited, detail).retry_after(wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> Clients {
        Clients::new(&[ClientConfig {
            name: "shop".into(),
            key_sha256: Sha256::digest(b"secret").into(),
            decisions: Some(vec!["fraud".into()]),
            events: Some(vec!["payment".into()]),
            requests_per_second: Some(1),
        }])
    }

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        [(
            http::HeaderName::from_static(name),
            http::HeaderValue::from_static(value),
        )]
        .into_iter()
        .collect()
    }

    #[test]
    fn without_clients_anyone_may_ask() {
        let client = Clients::new(&[]).authenticate(&HeaderMap::new()).unwrap();
        assert!(client.may_ask("anything").is_ok());
    }

    #[test]
    fn a_key_comes_in_either_header() {
        for headers in [
            headers("authorization", "bearer secret"),
            headers("x-api-key", "secret"),
        ] {
            assert!(clients().authenticate(&headers).is_ok());
        }
        for headers in [
            HeaderMap::new(),
            headers("x-api-key", "wrong"),
            headers("authorization", "Basic secret"),
        ] {
            assert_eq!(
                clients().authenticate(&headers).unwrap_err().kind,
                Kind::Unauthenticated
            );
        }
    }

    #[test]
    fn a_client_is_held_to_its_decisions_and_its_rate() {
        let (clients, headers) = (clients(), headers("x-api-key", "secret"));
        let client = clients.admit(&headers).unwrap();
        assert_eq!(client.may_ask("credit").unwrap_err().kind, Kind::Forbidden);
        assert!(client.may_ask("fraud").is_ok());
        assert_eq!(client.may_post("login").unwrap_err().kind, Kind::Forbidden);
        assert!(client.may_post("payment").is_ok());
        let refused = clients.admit(&headers).unwrap_err();
        assert_eq!(refused.kind, Kind::RateLimited);
        assert!(refused.retry_after.is_some());
    }
}
