//! Store URLs that name a Redis.
//!
//! | URL | |
//! |---|---|
//! | `redis://[user:password@]host[:port][/db]` | one server |
//! | `rediss://…[?ca=FILE]` | the same over TLS |
//! | `redis-cluster://[user:password@]host:port,host:port…` | a cluster, by some of its nodes |
//! | `rediss-cluster://…` | the same over TLS |
//! | `redis-sentinel://[user:password@]host[:port],host…/MASTER[/db]` | the master of that name, by its sentinels |
//! | `rediss-sentinel://…` | the same over TLS, to the sentinels as well |
//!
//! A login is the servers'; a sentinel gets it if it wants one. Sentinels are at port 26379 unless
//! another is named.
//!
//! TLS verifies the server's certificate and name against the system's root certificates, or against
//! those in the file that the environment variable `SSL_CERT_FILE` names (PEM): that is how a
//! private authority is trusted. One server may have its own, which are then trusted instead: what
//! follows `?ca=` is the path of a PEM file, as it is. User and password are percent-encoded.

use std::path::PathBuf;

use deadpool_redis::redis::{ConnectionAddr, IntoConnectionInfo};

/// Where to connect, as URLs that the Redis client has accepted.
#[derive(Debug, PartialEq)]
pub(in crate::store) enum Address {
    Server {
        url: String,
        /// The file of the authorities that are trusted, if it is the server's own.
        authority: Option<PathBuf>,
    },
    Cluster(Vec<String>),
    Sentinel(Watched),
}

/// A master that sentinels watch.
#[derive(Debug, PartialEq)]
pub(in crate::store) struct Watched {
    /// Of each sentinel, the URL without and with the login.
    pub(super) sentinels: Vec<[String; 2]>,
    pub(super) master: String,
    /// What comes before the address of a server, and what comes after.
    around: [String; 2],
}

impl Watched {
    /// The URL of the server at `address`.
    pub(super) fn server(&self, address: &str) -> String {
        let [before, after] = &self.around;
        format!("{before}{address}{after}")
    }
}

impl Address {
    pub(in crate::store) fn kind(&self) -> &'static str {
        match self {
            Address::Server { .. } => "redis",
            Address::Cluster(_) => "redis-cluster",
            Address::Sentinel(_) => "redis-sentinel",
        }
    }
}

pub(in crate::store) const SCHEMES: [&str; 6] = [
    "redis://",
    "rediss://",
    "redis-cluster://",
    "rediss-cluster://",
    "redis-sentinel://",
    "rediss-sentinel://",
];

pub(in crate::store) fn is_redis(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

/// Reads a URL for which [`is_redis`] holds.
///
/// # Errors
/// What is wrong with it, without its password.
pub(in crate::store) fn parse(url: &str) -> Result<Address, String> {
    if let Some((url, file)) = url.split_once("?ca=") {
        if !url.starts_with("rediss://") || file.is_empty() {
            return Err("`?ca=FILE` is for one server with TLS: rediss://HOST:PORT?ca=FILE. For a cluster or sentinels, name the file in SSL_CERT_FILE".to_owned());
        }
        check(url)?;
        return Ok(Address::Server {
            url: url.to_owned(),
            authority: Some(PathBuf::from(file)),
        });
    }
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (format!("{login}@"), rest),
        None => (String::new(), rest),
    };
    match scheme.split_once('-') {
        Some((scheme, "cluster")) => cluster(scheme, &login, rest),
        Some((scheme, _)) => sentinel(scheme, &login, rest),
        None => {
            check(url)?;
            Ok(Address::Server {
                url: url.to_owned(),
                authority: None,
            })
        }
    }
}

fn cluster(scheme: &str, login: &str, nodes: &str) -> Result<Address, String> {
    if nodes.contains(['/', '?', '#']) {
        return Err(
            "a cluster's URL ends with its nodes: it has no path and no options".to_owned(),
        );
    }
    let urls: Vec<String> = nodes
        .split(',')
        .map(|node| format!("{scheme}://{login}{node}"))
        .collect();
    urls.iter().try_for_each(|url| check(url))?;
    Ok(Address::Cluster(urls))
}

fn sentinel(scheme: &str, login: &str, rest: &str) -> Result<Address, String> {
    let shape = || {
        format!(
            "expected {scheme}-sentinel://HOST:PORT,HOST:PORT/MASTER, with the name of the master that the sentinels watch, and perhaps /DB"
        )
    };
    let mut parts = rest.split('/');
    let (Some(hosts), Some(master), db, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(shape());
    };
    if master.is_empty() || rest.contains(['?', '#']) {
        return Err(shape());
    }
    let sentinels = hosts.split(',').map(|host| {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
            !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let port = if has_port { "" } else { ":26379" };
        ["", login].map(|login| format!("{scheme}://{login}{host}{port}"))
    });
    let watched = Watched {
        sentinels: sentinels.collect(),
        master: master.to_owned(),
        around: [
            format!("{scheme}://{login}"),
            db.map_or_else(String::new, |db| format!("/{db}")),
        ],
    };
    watched
        .sentinels
        .iter()
        .flatten()
        .try_for_each(|url| check(url))?;
    check(&watched.server("host:1"))?;
    Ok(Address::Sentinel(watched))
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
        let server = |url: &str| Address::Server {
            url: url.to_owned(),
            authority: None,
        };
        for url in [
            "redis://h",
            "rediss://u:p%40@h:7000/2",
            "redis://[::1]:6379",
        ] {
            assert_eq!(parse(url), Ok(server(url)));
        }
        let own = Address::Server {
            url: "rediss://h:1/2".to_owned(),
            authority: Some("/my ca@x.pem".into()),
        };
        assert_eq!(parse("rediss://h:1/2?ca=/my ca@x.pem"), Ok(own));
        assert_eq!(
            parse("rediss-cluster://u:p@a:1,b:2"),
            Ok(Address::Cluster(vec![
                "rediss://u:p@a:1".to_owned(),
                "rediss://u:p@b:2".to_owned()
            ]))
        );
        let Ok(Address::Sentinel(watched)) = parse("redis-sentinel://u:p@a,[::1]:2/mymaster/3")
        else {
            panic!("no sentinel")
        };
        assert_eq!(
            watched.sentinels,
            [
                ["redis://a:26379", "redis://u:p@a:26379"],
                ["redis://[::1]:2", "redis://u:p@[::1]:2"],
            ]
        );
        assert_eq!(watched.master, "mymaster");
        assert_eq!(watched.server("m:1"), "redis://u:p@m:1/3");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "redis://",
            "redis-cluster://a:1,",
            "redis-cluster://a:1/2",
            "rediss-cluster://u:secret@a:1?ca=/x.pem",
            "redis://u:secret@h?ca=/x.pem",
            "rediss://u:secret@h?ca=",
            "redis-sentinel://u:secret@a:1",
            "redis-sentinel://u:secret@a:1/",
            "redis-sentinel://u:secret@a:1/m/x",
            "redis-sentinel://u:secret@a:1/m/1/2",
            "redis-sentinel://u:secret@a:1/m?x=1",
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
