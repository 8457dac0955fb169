//! `gavel.toml`, read over the defaults.

use std::{net::SocketAddr, path::Path};

use super::{
    ClientConfig, Config, LogConfig, LogFormat, ModelsConfig, ServerConfig, TritonConfig, kafka,
};
use crate::{
    diagnostic::Report,
    reader::{self, Problems, Table},
    telemetry::logs,
};

impl Config {
    /// Reads `file` over the defaults. Problems go to `report`; what they touch keeps its default.
    pub fn read(file: &Path, report: &mut Report) -> Self {
        let mut config = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        let source = match std::fs::read_to_string(file) {
            Ok(source) => source,
            Err(error) => {
                report.error(
                    file,
                    format!("cannot read the configuration: {error}"),
                    None,
                );
                return config;
            }
        };
        report.add_source(file, source.as_str());
        let mut problems = Problems::new(file, report);
        let mut root = reader::parse(&source, &mut problems);
        config
            .server
            .read(root.table("server", &mut problems), &mut problems);
        config
            .triton
            .read(root.table("triton", &mut problems), &mut problems);
        let mut store = root.table("store", &mut problems);
        set(
            &mut config.store_url,
            store.string("url", &mut problems).map(|u| u.value),
        );
        let mut cache = store.table("cache", &mut problems);
        set(
            &mut config.store_cache.bytes,
            cache
                .integer("bytes", 0..=64 * 1024 * 1024 * 1024, &mut problems)
                .map(|n| n as usize),
        );
        set(
            &mut config.store_cache.ttl,
            cache.duration("ttl", &mut problems).map(|d| d.value),
        );
        cache.finish(&mut problems);
        store.finish(&mut problems);
        config.kafka = kafka::read(root.table("kafka", &mut problems), &mut problems);
        config
            .models
            .read(root.table("models", &mut problems), &mut problems);
        let mut decisions = root.table("decisions", &mut problems);
        set(
            &mut config.decisions,
            decisions
                .string("directory", &mut problems)
                .map(|d| d.value.into()),
        );
        decisions.finish(&mut problems);
        config
            .log
            .read(root.table("log", &mut problems), &mut problems);
        config
            .decision_log
            .read(root.table("decision_log", &mut problems), &mut problems);
        config.clients = root
            .tables("clients", &mut problems)
            .into_iter()
            .filter_map(|table| ClientConfig::read(table, &mut problems))
            .collect();
        for (i, client) in config.clients.iter().enumerate() {
            let earlier = &config.clients[..i];
            let same =
                |c: &&ClientConfig| c.name == client.name || c.key_sha256 == client.key_sha256;
            if let Some(other) = earlier.iter().find(same) {
                let message = format!(
                    "the clients `{}` and `{}` share a name or a key",
                    other.name, client.name
                );
                let hint = "each client has a name and a key of its own".to_owned();
                problems.error(root.span_of("clients"), "clients", message, Some(hint));
            }
        }
        root.finish(&mut problems);
        config
    }
}

pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl ServerConfig {
    fn read(&mut self, mut table: Table<'_>, p: &mut Problems<'_>) {
        set(&mut self.listen, address(&mut table, "listen", p));
        set(
            &mut self.admin_listen,
            address(&mut table, "admin_listen", p),
        );
        set(
            &mut self.max_in_flight,
            table
                .integer("max_in_flight", 1..=1_000_000, p)
                .map(|n| n as usize),
        );
        set(
            &mut self.max_body_bytes,
            table
                .integer("max_body_bytes", 1024..=64 * 1024 * 1024, p)
                .map(|n| n as usize),
        );
        set(
            &mut self.body_timeout,
            table.duration("body_timeout", p).map(|d| d.value),
        );
        set(
            &mut self.drain_timeout,
            table.duration("drain_timeout", p).map(|d| d.value),
        );
        table.finish(p);
    }
}

fn address(table: &mut Table<'_>, name: &'static str, p: &mut Problems<'_>) -> Option<SocketAddr> {
    let text = table.string(name, p)?;
    let parsed = text.value.parse();
    if parsed.is_err() {
        let key = table.key(name);
        let message = format!("`{key}` is \"{}\", expected ADDRESS:PORT", text.value);
        p.error(
            text.span,
            key,
            message,
            Some("for example \"0.0.0.0:8080\"".into()),
        );
    }
    parsed.ok()
}

impl TritonConfig {
    fn read(&mut self, mut table: Table<'_>, p: &mut Problems<'_>) {
        let endpoints = table.strings("endpoints", p);
        set(
            &mut self.endpoints,
            endpoints.map(|list| list.into_iter().map(|e| e.value).collect()),
        );
        set(
            &mut self.slow_call,
            table.duration("slow_call", p).map(|d| d.value),
        );
        set(
            &mut self.max_in_flight,
            table
                .integer("max_in_flight", 1..=100_000, p)
                .map(|n| n as usize),
        );
        table.finish(p);
    }
}

impl ModelsConfig {
    fn read(&mut self, mut table: Table<'_>, p: &mut Problems<'_>) {
        set(
            &mut self.repository,
            table.string("repository", p).map(|r| r.value.into()),
        );
        self.config_name = table.string("config_name", p).map(|n| n.value);
        self.onnxruntime = table.string("onnxruntime", p).map(|o| o.value.into());
        table.finish(p);
    }
}

impl LogConfig {
    fn read(&mut self, mut table: Table<'_>, p: &mut Problems<'_>) {
        if let Some(format) = table.string("format", p) {
            match format.value.as_str() {
                "text" => self.format = LogFormat::Text,
                "json" => self.format = LogFormat::Json,
                other => p.error(
                    format.span,
                    table.key("format"),
                    format!("`log.format` is \"{other}\", expected \"text\" or \"json\""),
                    None,
                ),
            }
        }
        if let Some(level) = table.string("level", p) {
            match logs::parse_level(&level.value) {
                Ok(level) => self.level = level,
                Err(error) => p.error(
                    level.span,
                    table.key("level"),
                    format!("`log.level` is not a log filter: {error}"),
                    Some("for example \"info\" or \"gateway=debug,info\"".into()),
                ),
            }
        }
        table.finish(p);
    }
}

impl ClientConfig {
    fn read(mut table: Table<'_>, p: &mut Problems<'_>) -> Option<Self> {
        let name = table.required_string("name", p);
        let key = table.required_string("key_sha256", p);
        let decisions = table.strings("decisions", p);
        let events = table.strings("events", p);
        if decisions.as_ref().is_some_and(Vec::is_empty) {
            let key = table.key("decisions");
            let message = format!("`{key}` is empty, so this client may ask for nothing");
            let hint = "leave the key out for all decisions, or remove the client";
            p.error(table.span(), key, message, Some(hint.into()));
        }
        let decisions: Option<Vec<String>> =
            decisions.map(|list| list.into_iter().map(|d| d.value).collect());
        // Who is held to decisions is not to change what those see, unless that is said.
        let unsaid = decisions.is_some().then(Vec::new);
        let events = events.map(|list| list.into_iter().map(|e| e.value).collect());
        let rate = table.integer("requests_per_second", 1..=10_000_000, p);
        let digest = key.and_then(|key| {
            let digest = parse_sha256(&key.value);
            if digest.is_none() {
                p.error(
                    key.span,
                    table.key("key_sha256"),
                    format!("`{}` is not 64 hexadecimal digits", table.key("key_sha256")),
                    Some("printf %s \"$KEY\" | sha256sum".into()),
                );
            }
            digest
        });
        table.finish(p);
        Some(Self {
            name: name?.value,
            key_sha256: digest?,
            events: events.or(unsaid),
            decisions,
            requests_per_second: rate.map(|r| r as u32),
        })
    }
}

fn parse_sha256(hex: &str) -> Option<[u8; 32]> {
    let hex = hex.as_bytes();
    let mut digest = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        let high = (pair[0] as char).to_digit(16)?;
        let low = (pair[1] as char).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Config, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gavel.toml");
        std::fs::write(&file, text).unwrap();
        let mut report = Report::default();
        let config = Config::read(&file, &mut report);
        (
            config,
            report
                .diagnostics()
                .iter()
                .map(|d| d.message.clone())
                .collect(),
        )
    }

    #[test]
    fn what_is_not_written_keeps_its_default() {
        let (config, problems) = read("[server]\nlisten = '0.0.0.0:80'\n");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(config.server.listen.port(), 80);
        assert_eq!(config.server.admin_listen.port(), 9090);
    }

    #[test]
    fn a_client_that_would_be_let_in_by_mistake_is_refused() {
        let client = |name: &str, digit: &str, rest: &str| {
            format!(
                "[[clients]]\nname = '{name}'\nkey_sha256 = '{}'\n{rest}\n",
                digit.repeat(64)
            )
        };
        assert!(read(&client("a", "1", "")).1.is_empty());
        for (text, expected) in [
            (client("a", "1", "decisions = []"), "may ask for nothing"),
            (
                client("a", "1", "") + &client("b", "1", ""),
                "share a name or a key",
            ),
            (
                client("a", "1", "") + &client("a", "2", ""),
                "share a name or a key",
            ),
        ] {
            let (_, problems) = read(&text);
            assert!(
                problems.iter().any(|m| m.contains(expected)),
                "{text}: {problems:?}"
            );
        }
    }

    #[test]
    fn a_client_that_is_held_to_decisions_sends_no_events_unless_it_says_which() {
        let events = |rest: &str| {
            let digest = "1".repeat(64);
            let text = format!("[[clients]]\nname = 'a'\nkey_sha256 = '{digest}'\n{rest}\n");
            let (config, problems) = read(&text);
            assert!(problems.is_empty(), "{problems:?}");
            config.clients[0].events.clone()
        };
        let none = Some(vec![]);
        let payments = Some(vec!["payment".to_owned()]);
        assert_eq!(events(""), None);
        assert_eq!(events("decisions = ['fraud']"), none);
        assert_eq!(
            events("decisions = ['fraud']\nevents = ['payment']"),
            payments
        );
        assert_eq!(events("events = ['payment']"), payments);
        assert_eq!(events("events = []"), none);
    }

    #[test]
    fn all_problems_of_a_file_are_found_together() {
        let (_, problems) = read(
            "[server]\nlisten = 'nowhere'\nmax_in_flight = 0\n[log]\nformat = 'xml'\n[stor]\nurl = 'x'\n\
             [[clients]]\nname = 'shop'\nkey_sha256 = 'abc'\n",
        );
        assert_eq!(problems.len(), 5, "{problems:#?}");
    }

    #[test]
    fn a_missing_file_is_said_to_be_missing() {
        let mut report = Report::default();
        Config::read(Path::new("/nonexistent/gavel.toml"), &mut report);
        assert!(
            report.diagnostics()[0]
                .message
                .contains("cannot read the configuration")
        );
    }
}
