//! Endpoints behind a name: `dns://HOST:PORT` stands for every address that the name has, now.
//!
//! A headless Kubernetes service is such a name: its addresses are its ready pods. It is asked again
//! and again; who is new is given calls, who is gone finishes those that are out, unless somebody else
//! names it too. A name that cannot be resolved changes nothing: what was known is more likely to serve
//! than nobody.

use std::{collections::BTreeSet, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    dial::Dial,
    endpoint::Endpoint,
    error::EndpointError,
    members::{Members, Source},
    options::EndpointOptions,
};

/// How often a name is resolved.
const INTERVAL: Duration = Duration::from_secs(5);
/// How often while it has never been resolved.
const INTERVAL_UNKNOWN: Duration = Duration::from_millis(500);

/// A name and a port.
pub(crate) struct Name {
    host: String,
    port: u16,
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
            Ok(port @ 1..) => Ok(Self {
                host: host.to_ascii_lowercase(),
                port,
            }),
            _ => Err(wrong("its port is not a number from 1 to 65535")),
        })
    }

    /// Resolves it for ever, and lets the members follow.
    pub(crate) async fn follow<F>(&self, members: &Members, resolve: impl Fn(String, u16) -> F)
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>>,
    {
        let (host, port) = (&*self.host, self.port);
        let source = Source::Dns(format!("dns://{host}:{port}").into());
        let (mut known, mut failing) = (BTreeSet::new(), false);
        loop {
            match resolve(self.host.clone(), port).await {
                Ok(addresses) if !addresses.is_empty() => {
                    failing = false;
                    let now = addresses.into_iter().collect();
                    if now != known {
                        self.log_changes(&known, &now);
                        members.follow(&source, endpoints(&now, &members.options));
                        known = now;
                    }
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
            sleep(if known.is_empty() {
                INTERVAL_UNKNOWN
            } else {
                INTERVAL
            })
            .await;
        }
    }

    fn log_changes(&self, before: &BTreeSet<SocketAddr>, now: &BTreeSet<SocketAddr>) {
        let host = &*self.host;
        for gone in before.difference(now) {
            tracing::info!(host, %gone, "the name of Triton's endpoints has an address less");
        }
        for new in now.difference(before) {
            tracing::info!(host, %new, "the name of Triton's endpoints has another address");
        }
    }
}

fn endpoints(addresses: &BTreeSet<SocketAddr>, options: &EndpointOptions) -> Vec<Arc<Endpoint>> {
    // Each is a URL that names a server, but for one with a scope (`fe80::1%2`).
    let dials = addresses
        .iter()
        .filter_map(|address| Dial::to(&address.to_string(), options).ok());
    dials.map(|dial| dial.endpoint(options)).collect()
}

/// The system's resolver.
pub(crate) async fn system(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{select, task::yield_now, time::advance};

    use super::*;

    fn names(members: &Members) -> Vec<String> {
        let endpoints = members.endpoints();
        let names = endpoints.iter().map(|endpoint| endpoint.name().to_owned());
        names.collect()
    }

    fn addresses(addresses: &[&str]) -> Vec<SocketAddr> {
        let addresses = addresses.iter();
        addresses
            .map(|address| address.parse().expect("an address"))
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
        let name = Name::parse("dns://Triton:8001")
            .expect("a name")
            .expect("a good one");
        let members = Members::new(Vec::new(), EndpointOptions::default());
        let asked = AtomicUsize::new(0);
        let resolve = |host: String, port| {
            assert_eq!((&*host, port), ("triton", 8001));
            let answer = answers.get(asked.fetch_add(1, Ordering::Relaxed));
            async move { Ok(addresses(answer.unwrap_or(&answers[4]).0)) }
        };
        let follow = name.follow(&members, resolve);
        tokio::pin!(follow);
        for (index, (_, expected)) in answers.iter().enumerate() {
            select! {
                biased;
                () = &mut follow => unreachable!("it goes on for ever"),
                () = yield_now() => {}
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
            ("dns://triton:80011", "1 to 65535"),
            ("dns://triton:0", "1 to 65535"),
            ("dns://user@triton:8001", "host name is expected"),
        ] {
            let error = Name::parse(url).expect("a name").err().expect("a bad one");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
