//! What the client is told about the cluster: its brokers, and librdkafka's own options by their names
//! (<https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>).

use std::{collections::BTreeMap, fmt};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError, types::RDKafkaConfRes};

/// Where Kafka is and how it is spoken to; every option is one that librdkafka knows.
#[derive(Clone)]
pub struct Options {
    brokers: String,
    set: BTreeMap<String, String>,
}

/// Why an option is none. `Display` is a full sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Kafka's option `{option}` {why}")]
pub struct OptionError {
    /// Its name, as written.
    pub option: String,
    why: String,
}

/// What decides whether a record is lost or counted twice is not an option.
const OURS: [&str; 12] = [
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "metadata.broker.list",
    "request.required.acks",
    "statistics.interval.ms",
    "transactional.id",
];

impl Options {
    /// `brokers` is `host:port,host:port`; `set` holds librdkafka's options by name.
    ///
    /// # Errors
    /// An option that librdkafka does not have, a value that it does not take, one that Gavel sets
    /// itself, or TLS in a build without it.
    pub fn new(brokers: &str, set: BTreeMap<String, String>) -> Result<Self, OptionError> {
        for (name, value) in &set {
            check(name, value).map_err(|why| OptionError {
                option: name.clone(),
                why,
            })?;
        }
        Ok(Self {
            brokers: brokers.to_owned(),
            set,
        })
    }

    /// Other brokers, with the same options.
    pub fn set_brokers(&mut self, brokers: String) {
        self.brokers = brokers;
    }

    /// `host:port,host:port`.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// A client's configuration: `defaults`, over them the options, over them what is `fixed`.
    pub(crate) fn client(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        let set = self.set.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in defaults.iter().copied().chain(set) {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        config
    }
}

impl Default for Options {
    /// A broker on this machine.
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".into(),
            set: BTreeMap::new(),
        }
    }
}

impl OptionError {
    /// Options that are right one by one and wrong together.
    pub(crate) fn of_client(error: &KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, why, option, _) => Self {
                option: option.clone(),
                why: format!("is not taken: {why}"),
            },
            error => Self {
                option: "…".into(),
                why: format!("contradicts another: {error}"),
            },
        }
    }
}

/// librdkafka's own lines: what matters of them is told by us, once.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    if (level as i32) < (RDKafkaLogLevel::Error as i32) {
        tracing::error!("librdkafka: {facility}: {message}");
    } else {
        tracing::debug!("librdkafka: {facility}: {message}");
    }
}

impl fmt::Debug for Options {
    /// Without values: some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("brokers", &self.brokers)
            .field("set", &self.set.keys())
            .finish()
    }
}

fn check(name: &str, value: &str) -> Result<(), String> {
    if OURS.contains(&name) {
        return Err("is set by Gavel itself: leave it out".into());
    }
    let encrypted = name.starts_with("ssl.")
        || (name == "security.protocol" && value.to_ascii_lowercase().ends_with("ssl"));
    if encrypted && !cfg!(feature = "tls") {
        return Err(
            "asks for TLS, which this build does not have: build Gavel with `--features kafka-tls` (it needs OpenSSL)"
                .into(),
        );
    }
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => Err(
            "is not one that librdkafka has: its CONFIGURATION.md lists them, with dots, such as `security.protocol`"
                .into(),
        ),
        Err(KafkaError::ClientConfig(_, why, ..)) => Err(format!("is not taken: {why}")),
        Err(error) => Err(format!("is not taken: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(name: &str, value: &str) -> String {
        let set = [(name.to_owned(), value.to_owned())].into();
        Options::new("127.0.0.1:9092", set).unwrap_err().to_string()
    }

    #[test]
    fn what_librdkafka_does_not_have_or_take_is_named() {
        assert!(error("sesion.timeout.ms", "1").contains("`sesion.timeout.ms` is not one"));
        assert!(error("session.timeout.ms", "soon").contains("`session.timeout.ms` is not taken"));
        assert!(error("acks", "0").contains("is set by Gavel itself"));
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn tls_without_tls_says_how_to_get_it() {
        for (name, value) in [
            ("security.protocol", "SASL_SSL"),
            ("security.protocol", "ssl"),
            ("ssl.ca.location", "/ca.pem"),
        ] {
            assert!(
                error(name, value).contains("--features kafka-tls"),
                "{name}"
            );
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let set = [("sasl.password".to_owned(), "hunter2".to_owned())].into();
        let options = Options::new("a:1", set).unwrap();
        let shown = format!("{options:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"));
    }
}
