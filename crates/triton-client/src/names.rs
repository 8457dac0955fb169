//! Endpoints behind a name: `dns://HOST:PORT` stands for every address that the name has, now.
//!
//! A headless Kubernetes service is such a name: its addresses are its ready pods. It is asked again
//! and again; who is new is given calls, who is gone finishes those that are out. A name that cannot
//! be resolved changes nothing: what was known is more likely to serve than nobody.

use std::{collections::BTreeSet, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::sleep;

use crate::{dial::Dial, endpoint::Endpoint, error::EndpointError, members::Members};

/// How often a name is resolved.
const INTERVAL: Duration = Duration::from_secs(5);
/// How often while it has never been resolved.
const INTERVAL_UNKNOWN: Duration = Duration::from_millis(500);

/// A name, and the endpoints that it was last resolved to.
pub(crate) struct Name {
    host: String,
    port: u16,
    resolved: Mutex<BTreeSet<SocketAddr>>,
}

impl Name {
    /// Of `dns://HOST:PORT`; `None` if the URL is of another kind.
    pub(crate) fn parse(url: &str) -> Option<Result<Self, EndpointError>> {
        let rest = url.trim().strip_prefix("dns://")?;
        let wrong = |reason: &str| EndpointError::Url {
            url: url.trim().to_owned(),
            reason: reason.to_owned(),
        };
        let Some((host, port)) = rest.trim_end_matches('/').rsplit_once(':') else {
            return Some(Err(wrong("it names no port (Triton's gRPC port is 8001)")));
        };
        if host.is_empty() || host.contains(['/', '@', ':']) {
            return Some(Err(wrong(
                "a host name is expected, as in dns://triton:8001",
            )));
        }
        Some(match port.parse() {
            Ok(port) => Ok(Self {
                host: host.to_owned(),
                port,
                resolved: Mutex::new(BTreeSet::new()),
            }),
            Err(_) => Err(wrong("its port is not a number from 0 to 65535")),
        })
    }

    /// Resolves it for ever, and lets the members follow.
    pub(crate) async fn follow<F>(&self, members: &Members, resolve: impl Fn(String, u16) -> F)
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>>,
    {
        let (host, port) = (&*self.host, self.port);
        let mut failing = false;
        loop {
            match resolve(self.host.clone(), self.port).await {
                Ok(addresses) if !addresses.is_empty() => {
                    failing = false;
                    self.update(members, addresses.into_iter().collect());
                }
                outcome => {
                    let error = outcome.err().map(|error| error.to_string());
                    let error = error.unwrap_or_else(|| "it has no address".to_owned());
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(
                            host,
                            port,
                            error,
                            "the name of Triton's endpoints cannot be resolved; those known so far stay"
                        );
                    }
                }
            }
            let unknown = self.resolved.lock().is_empty();
            sleep(if unknown { INTERVAL_UNKNOWN } else { INTERVAL }).await;
        }
    }

    fn update(&self, members: &Members, now: BTreeSet<SocketAddr>) {
        let mut resolved = self.resolved.lock();
        if *resolved == now {
            return;
        }
        let name = |address: &SocketAddr| format!("http://{address}");
        members.change(|endpoints| {
            for gone in resolved.difference(&now).map(name) {
                tracing::info!(endpoint = gone, host = self.host, "endpoint is gone");
                endpoints.retain(|endpoint| endpoint.name() != gone);
            }
            for new in now.difference(&resolved).map(name) {
                // An address is a URL that names a server.
                let Ok(dial) = Dial::to(&new, &members.options) else {
                    continue;
                };
                tracing::info!(endpoint = new, host = self.host, "endpoint is new");
                if endpoints.iter().all(|known| known.name() != new) {
                    let options = members.options.clone();
                    endpoints.push(Endpoint::new(Arc::from(new), dial, options));
                }
            }
        });
        *resolved = now;
    }
}

/// The system's resolver.
pub(crate) async fn system(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::options::EndpointOptions;

    fn names(members: &Members) -> Vec<String> {
        let endpoints = members.endpoints();
        endpoints
            .iter()
            .map(|endpoint| endpoint.name().to_owned())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn members_follow_the_name_and_stay_when_it_cannot_be_resolved() {
        let answers: [(&[&str], &[&str]); 5] = [
            (&[], &[]),
            (
                &["10.0.0.1:8001", "10.0.0.2:8001"],
                &["http://10.0.0.1:8001", "http://10.0.0.2:8001"],
            ),
            (
                &["10.0.0.2:8001", "10.0.0.3:8001"],
                &["http://10.0.0.2:8001", "http://10.0.0.3:8001"],
            ),
            (&[], &["http://10.0.0.2:8001", "http://10.0.0.3:8001"]),
            (&["[::1]:8001"], &["http://[::1]:8001"]),
        ];
        let name = Name::parse("dns://triton:8001")
            .expect("a name")
            .expect("a good one");
        let members = Members::new(Vec::new(), Vec::new(), EndpointOptions::default());
        let asked = Mutex::new(0);
        let resolve = |host: String, port| {
            assert_eq!((&*host, port), ("triton", 8001));
            let mut asked = asked.lock();
            let index = *asked;
            *asked += 1;
            async move {
                let (addresses, _) = answers.get(index).copied().unwrap_or(answers[4]);
                Ok(addresses
                    .iter()
                    .map(|address| address.parse().expect("an address"))
                    .collect())
            }
        };
        let follow = name.follow(&members, resolve);
        tokio::pin!(follow);
        for (index, (_, expected)) in answers.iter().enumerate() {
            tokio::select! {
                biased;
                () = &mut follow => unreachable!("it goes on for ever"),
                () = tokio::task::yield_now() => {}
            }
            assert_eq!(names(&members), *expected, "after answer {index}");
            let interval = if index == 0 {
                INTERVAL_UNKNOWN
            } else {
                INTERVAL
            };
            advance(interval).await;
        }
    }

    #[test]
    fn other_urls_are_not_names_and_bad_names_are_refused_in_words() {
        assert!(Name::parse("http://triton:8001").is_none());
        for (url, words) in [
            ("dns://triton", "names no port"),
            ("dns://:8001", "host name is expected"),
            ("dns://triton:80011", "0 to 65535"),
            ("dns://user@triton:8001", "host name is expected"),
        ] {
            let error = Name::parse(url).expect("a name").err().expect("a bad one");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
