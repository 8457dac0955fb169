//! Store URLs that name a Redis.
//!
//! | URL | |
//! |---|---|
//! | `redis://[user:password@]host[:port][/db]` | one server |
//! | `rediss://…` | the same over TLS |
//! | `redis-cluster://[user:password@]host:port,host:port…` | a cluster, by some of its nodes |
//! | `rediss-cluster://…` | the same over TLS |
//!
//! TLS verifies the server's certificate and name against the system's root certificates, or against
//! those in the file that the environment variable `SSL_CERT_FILE` names (PEM): that is how a
//! private authority is trusted. User and password are percent-encoded.

use deadpool_redis::redis::{ConnectionAddr, IntoConnectionInfo};

/// Where to connect, as URLs that the Redis client has accepted.
#[derive(Debug, PartialEq)]
pub(in crate::store) enum Address {
    Server(String),
    Cluster(Vec<String>),
}

impl Address {
    pub(in crate::store) fn kind(&self) -> &'static str {
        match self {
            Address::Server(_) => "redis",
            Address::Cluster(_) => "redis-cluster",
        }
    }
}

pub(in crate::store) const SCHEMES: [&str; 4] = [
    "redis://",
    "rediss://",
    "redis-cluster://",
    "rediss-cluster://",
];

pub(in crate::store) fn is_redis(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

/// Reads a URL for which [`is_redis`] holds.
///
/// # Errors
/// What is wrong with it, without its password.
pub(in crate::store) fn parse(url: &str) -> Result<Address, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let Some(scheme) = scheme.strip_suffix("-cluster") else {
        check(url)?;
        return Ok(Address::Server(url.to_owned()));
    };
    if rest.contains(['/', '?', '#']) {
        return Err(
            "a cluster's URL ends with its nodes: it has no path and no options".to_owned(),
        );
    }
    let (login, nodes) = match rest.rsplit_once('@') {
        Some((login, nodes)) => (format!("{login}@"), nodes),
        None => (String::new(), rest),
    };
    let urls: Vec<String> = nodes
        .split(',')
        .map(|node| format!("{scheme}://{login}{node}"))
        .collect();
    urls.iter().try_for_each(|url| check(url))?;
    Ok(Address::Cluster(urls))
}

fn check(url: &str) -> Result<(), String> {
    let info = url
        .into_connection_info()
        .map_err(|error| error.to_string())?;
    if let ConnectionAddr::TcpTls { .. } = info.addr() {
        use_ring();
    }
    Ok(())
}

/// rustls takes the process's default for its cryptography, and has none where two are compiled in.
fn use_ring() {
    // An error says that there is a default already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The URL without its login, fit for messages and logs.
pub(in crate::store) fn redact(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        (None, Some((_, rest))) => format!("…@{rest}"),
        (_, None) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_understood() {
        let server = |url: &str| Address::Server(url.to_owned());
        for url in [
            "redis://h",
            "rediss://u:p%40@h:7000/2",
            "redis://[::1]:6379",
        ] {
            assert_eq!(parse(url), Ok(server(url)));
        }
        assert_eq!(
            parse("rediss-cluster://u:p@a:1,b:2"),
            Ok(Address::Cluster(vec![
                "rediss://u:p@a:1".to_owned(),
                "rediss://u:p@b:2".to_owned()
            ]))
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "redis://",
            "redis-cluster://a:1,",
            "redis-cluster://a:1/2",
            "redis://h/secret",
            "redis://h:x",
        ] {
            let why = parse(url).expect_err(url);
            assert!(!why.contains("secret"), "{why}");
        }
        assert_eq!(redact("redis://u:secret@h:1/2"), "redis://…@h:1/2");
        assert_eq!(redact("redis://h"), "redis://h");
    }
}
