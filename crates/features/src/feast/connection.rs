//! The connection string of Feast's Redis, as a store URL of ours.
//!
//! Feast splits it at commas: a part without `=` is a `host:port`; one with it is an option for
//! redis-py, whose value is read as JSON where it is JSON. So `ssl=false` is off, and `ssl=False`,
//! being a text, is on. What Gavel would do otherwise than Feast is refused with a sentence.
//! Source: Feast 0.67.0, `feast/infra/online_stores/redis.py`.

use serde_json::Value as Json;

/// How Feast is told that Redis is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RedisType {
    Server,
    Cluster,
    /// The nodes are sentinels, which watch the master of this name.
    Sentinel {
        master: String,
    },
}

/// Options that say how redis-py waits and keeps connections. Gavel bounds every read by the
/// decision's slice, so they change nothing here.
const OF_NO_EFFECT: [&str; 8] = [
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "retry_on_timeout",
    "health_check_interval",
    "max_connections",
    "skip_full_coverage_check",
    "client_name",
];

#[derive(Default)]
struct Options {
    tls: bool,
    username: String,
    password: String,
    db: u32,
    authority: Option<String>,
}

/// The URL for [`Store::open`](crate::Store::open). `trusted` is the file of `SSL_CERT_FILE`, which
/// a cluster's connections go by.
///
/// # Errors
/// What is wrong with the string, without a password.
pub(super) fn store_url(
    redis_type: &RedisType,
    connection_string: &str,
    trusted: Option<&str>,
) -> Result<String, String> {
    if connection_string.contains("://") {
        return Err(
            "is a URL: Feast takes host:port and options, such as \"redis:6379,ssl=true\"".into(),
        );
    }
    let mut nodes = Vec::new();
    let mut options = Options::default();
    for part in connection_string.split(',') {
        if part.trim() != part {
            return Err("has spaces around a comma, which Feast takes as part of a name".into());
        }
        match part.split_once('=') {
            Some((name, value)) => options.set(name, value)?,
            None => nodes.push(node(part)?),
        }
    }
    let authority = options.authority.as_deref().filter(|_| options.tls);
    if let Some(authority) = authority
        && *redis_type != RedisType::Server
        && trusted != Some(authority)
    {
        return Err(format!(
            "names ssl_ca_certs={authority}: for a cluster Gavel trusts what SSL_CERT_FILE names, so start it with SSL_CERT_FILE={authority}"
        ));
    }
    let scheme = if options.tls { "rediss" } else { "redis" };
    let login = options.login();
    match (redis_type, nodes.as_slice()) {
        (_, []) => Err("names no host:port".into()),
        (RedisType::Server, [node]) => {
            let authority = authority.map_or_else(String::new, |file| format!("?ca={file}"));
            let path = options.path();
            Ok(format!("{scheme}://{login}{node}{path}{authority}"))
        }
        (RedisType::Server, _) => Err(
            "names several nodes, of which Feast uses the first: write `redis_type: redis_cluster` if it is a cluster; a password cannot hold a comma"
                .into(),
        ),
        (RedisType::Cluster, _) if options.db != 0 => {
            Err("has db: a cluster has only database 0".into())
        }
        (RedisType::Cluster, nodes) => {
            Ok(format!("{scheme}-cluster://{login}{}", nodes.join(",")))
        }
        (RedisType::Sentinel { .. }, _) if options.tls => Err(
            "has ssl=true with sentinels, whom Feast then asks without TLS, and Gavel would ask with: write a feature_store.yaml for Gavel that names the master itself, with `redis_type: redis`"
                .into(),
        ),
        (RedisType::Sentinel { master }, nodes) => Ok(format!(
            "redis-sentinel://{login}{}/{master}{}",
            nodes.join(","),
            options.path()
        )),
    }
}

fn node(part: &str) -> Result<&str, String> {
    let port = part
        .split_once(':')
        .map(|(host, port)| (host, port.parse::<u16>()));
    match port {
        Some((host, Ok(_))) if !host.is_empty() => Ok(part),
        // The part may be the end of a password that holds a comma.
        _ => Err(
            "has a part that is neither host:port nor option=value; a password cannot hold a comma"
                .into(),
        ),
    }
}

impl Options {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let json: Option<Json> = serde_json::from_str(value).ok();
        match name {
            "ssl" => {
                self.tls = match json {
                    Some(Json::Bool(on)) => on,
                    _ => {
                        return Err(format!(
                            "has ssl={value}, which turns TLS on in Feast whatever it says: write ssl=true, or ssl=false in lower case"
                        ));
                    }
                }
            }
            "username" => self.username = text(name, value, json)?,
            "password" => self.password = text(name, value, json)?,
            "db" => {
                self.db = value
                    .parse()
                    .map_err(|_| format!("has db={value}, which is not a number"))?;
            }
            "ssl_ca_certs" => self.authority = Some(text(name, value, json)?),
            "ssl_cert_reqs" if matches!(&*text(name, value, json)?, "required") => {}
            "ssl_cert_reqs" => {
                return Err(format!(
                    "has ssl_cert_reqs={value}: Gavel always verifies the server; name a private authority's certificate with ssl_ca_certs=FILE"
                ));
            }
            "ssl_check_hostname" if value == "true" => {}
            known if OF_NO_EFFECT.contains(&known) => {}
            other => {
                return Err(format!(
                    "has the option {other}, which Gavel does not know: it knows ssl, ssl_ca_certs, ssl_cert_reqs, username, password and db"
                ));
            }
        }
        Ok(())
    }

    /// Of a URL, for a database that is not the first.
    fn path(&self) -> String {
        match self.db {
            0 => String::new(),
            db => format!("/{db}"),
        }
    }

    fn login(&self) -> String {
        if self.username.is_empty() && self.password.is_empty() {
            return String::new();
        }
        format!("{}:{}@", escape(&self.username), escape(&self.password))
    }
}

/// A text, as redis-py would be handed it.
fn text(name: &str, value: &str, json: Option<Json>) -> Result<String, String> {
    match json {
        None => Ok(value.to_owned()),
        Some(Json::String(text)) => Ok(text),
        Some(Json::Number(number)) if number.to_string() == value => Ok(value.to_owned()),
        Some(Json::Null) => Ok(String::new()),
        Some(_) => Err(format!(
            "has a {name} that is JSON but no text: put double quotes around it"
        )),
    }
}

/// Percent-encodes all but letters and digits.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Result<String, String> {
        store_url(&RedisType::Server, text, None)
    }

    #[test]
    fn each_option_says_what_it_says_to_feast() {
        for (text, url) in [
            ("localhost:6379", "redis://localhost:6379"),
            ("h:1,ssl=true", "rediss://h:1"),
            ("h:1,ssl=false", "redis://h:1"),
            ("ssl=true,h:1,db=2", "rediss://h:1/2"),
            ("h:1,db=0", "redis://h:1"),
            (
                "h:1,username=u,password=p%@:/ü",
                "redis://u:p%25%40%3A%2F%C3%BC@h:1",
            ),
            ("h:1,password=a=b", "redis://:a%3Db@h:1"),
            ("h:1,password=\"quoted\"", "redis://:quoted@h:1"),
            ("h:1,password=12345", "redis://:12345@h:1"),
            ("h:1,password=null", "redis://h:1"),
            (
                "h:1,ssl=true,ssl_ca_certs=/ca.pem,db=2",
                "rediss://h:1/2?ca=/ca.pem",
            ),
            ("h:1,ssl_ca_certs=/ca.pem", "redis://h:1"),
            ("h:1,ssl=true,ssl_cert_reqs=required", "rediss://h:1"),
            ("h:1,socket_timeout=0.5", "redis://h:1"),
        ] {
            assert_eq!(server(text).as_deref(), Ok(url), "{text}");
        }
        assert_eq!(
            store_url(&RedisType::Cluster, "a:1,b:2,password=p,ssl=true", None).as_deref(),
            Ok("rediss-cluster://:p@a:1,b:2")
        );
        let watched = RedisType::Sentinel {
            master: "m".to_owned(),
        };
        for (text, url) in [
            ("a:1,b:2,password=p", "redis-sentinel://:p@a:1,b:2/m"),
            ("a:1,db=3,ssl=false", "redis-sentinel://a:1/m/3"),
        ] {
            assert_eq!(
                store_url(&watched, text, None).as_deref(),
                Ok(url),
                "{text}"
            );
        }
        let refused = store_url(&watched, "a:1,ssl=true", None).unwrap_err();
        assert!(refused.contains("names the master itself"), "{refused}");
    }

    #[test]
    fn what_gavel_would_do_otherwise_is_refused_without_the_password() {
        for (text, why) in [
            ("h:1,ssl=False", "turns TLS on in Feast whatever it says"),
            ("h:1,ssl=yes", "turns TLS on"),
            ("h:1,ssl=", "turns TLS on"),
            ("h:1, ssl=true", "spaces around a comma"),
            ("redis://h:1", "is a URL"),
            ("h", "neither host:port"),
            ("h:1:2", "neither host:port"),
            (":1", "neither host:port"),
            ("", "neither host:port"),
            ("h:1,password=sec,ret", "neither host:port"),
            ("h:1,password=sec,ret:9", "several nodes"),
            (
                "h:1,password=true,db=1",
                "password that is JSON but no text",
            ),
            ("h:1,password=1e5", "password that is JSON but no text"),
            ("ssl=true", "names no host:port"),
            ("h:1,db=one", "db=one"),
            ("h:1,ssl_cert_reqs=none", "Gavel always verifies"),
            ("h:1,decode_responses=true", "the option decode_responses"),
        ] {
            let found = server(text).expect_err(text);
            assert!(found.contains(why), "{text}: {found}");
            assert!(!found.contains("sec") && !found.contains("1e5"), "{found}");
        }
        let text = "a:1,ssl=true,ssl_ca_certs=/ca.pem";
        let trusted = |trusted| store_url(&RedisType::Cluster, text, trusted);
        assert!(trusted(Some("/ca.pem")).is_ok());
        let other = trusted(Some("/other.pem")).unwrap_err();
        assert!(other.contains("SSL_CERT_FILE=/ca.pem"), "{other}");
        let cluster = store_url(&RedisType::Cluster, "a:1,db=1", None);
        assert!(cluster.unwrap_err().contains("only database 0"));
    }
}
