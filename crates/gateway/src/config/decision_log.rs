//! `[decision_log]`: what is kept of each decision, where, and how much of it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::read::set;
use crate::reader::{Problems, Table};

/// The folder, unless another is named.
const DIRECTORY: &str = "data/decisions";
const MIN_SEGMENT_BYTES: u64 = 64 * 1024;

/// What is kept of each decision.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionLogConfig {
    /// Whether anything is.
    pub enabled: bool,
    /// The folder of segments.
    pub directory: PathBuf,
    /// Whether somebody named another folder than the default: then it must be one that can be written
    /// to.
    pub is_named: bool,
    /// When all segments together are larger, the oldest are deleted.
    pub max_bytes: u64,
    /// A segment of so many bytes is closed.
    pub segment_bytes: u64,
    /// So is one that was begun so long ago.
    pub segment_age: Duration,
    /// The share of entities whose decisions are kept, from 0 to 1. Degraded and late ones are always.
    pub sample: f64,
    /// By which entity decisions are told apart for that; `None` is the decision's first.
    pub sample_by: Option<String>,
    /// The Kafka topic that records go to as well.
    pub topic: Option<String>,
}

impl Default for DecisionLogConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: DIRECTORY.into(),
            is_named: false,
            max_bytes: 1024 * 1024 * 1024,
            segment_bytes: 64 * 1024 * 1024,
            segment_age: Duration::from_secs(3600),
            sample: 1.0,
            sample_by: None,
            topic: None,
        }
    }
}

impl DecisionLogConfig {
    /// Another folder; an empty name turns the log off.
    pub fn set_directory(&mut self, directory: PathBuf) {
        self.enabled = !directory.as_os_str().is_empty();
        if self.enabled {
            self.is_named = directory != Path::new(DIRECTORY);
            self.directory = directory;
        }
    }

    pub(super) fn read(&mut self, mut table: Table<'_>, p: &mut Problems<'_>) {
        if let Some(directory) = table.string("directory", p) {
            self.set_directory(directory.value.into());
        }
        if let Some(enabled) = table.boolean("enabled", p) {
            self.enabled = enabled;
        }
        set(
            &mut self.max_bytes,
            table.size("max_bytes", p).map(|s| s.value),
        );
        let segment = table.size("segment_bytes", p);
        if let Some(segment) = segment {
            if segment.value < MIN_SEGMENT_BYTES {
                let key = table.key("segment_bytes");
                let message = format!("`{key}` is {}, expected at least 64 KiB", segment.value);
                p.error(segment.span, key, message, None);
            } else {
                self.segment_bytes = segment.value;
            }
        }
        if self.segment_bytes > self.max_bytes {
            let key = table.key("max_bytes");
            let message = format!(
                "`{key}` is {}, which is less than one segment of {} bytes",
                self.max_bytes, self.segment_bytes
            );
            let hint = "raise it, or lower `segment_bytes` as well";
            p.error(table.span_of("max_bytes"), key, message, Some(hint.into()));
        }
        set(
            &mut self.segment_age,
            table.duration("segment_age", p).map(|d| d.value),
        );
        if let Some(sample) = table.number("sample", p) {
            if (0.0..=1.0).contains(&sample.value) {
                self.sample = sample.value;
            } else {
                let key = table.key("sample");
                let message = format!("`{key}` is {}, expected a share from 0 to 1", sample.value);
                let hint = "sample = 0.1 keeps the decisions of every tenth entity";
                p.error(sample.span, key, message, Some(hint.into()));
            }
        }
        self.sample_by = table.string("sample_by", p).map(|by| by.value);
        let mut kafka = table.table("kafka", p);
        self.topic = kafka.string("topic", p).map(|topic| topic.value);
        kafka.finish(p);
        table.finish(p);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{diagnostic::Report, reader};

    fn read(source: &str) -> (DecisionLogConfig, Vec<String>) {
        let mut report = Report::default();
        let mut problems = Problems::new(Path::new("gavel.toml"), &mut report);
        let mut root = reader::parse(source, &mut problems);
        let mut config = DecisionLogConfig::default();
        config.read(root.table("decision_log", &mut problems), &mut problems);
        root.finish(&mut problems);
        let said = report.diagnostics().iter().map(|d| d.message.clone());
        (config, said.collect())
    }

    #[test]
    fn it_is_on_unless_it_is_turned_off() {
        let (config, problems) = read("");
        assert!(problems.is_empty(), "{problems:?}");
        assert!(config.enabled && !config.is_named);
        assert!(!read("decision_log.enabled = false").0.enabled);
        assert!(!read("decision_log.directory = ''").0.enabled);
    }

    #[test]
    fn sizes_ages_and_shares_are_read_with_their_units() {
        let (config, problems) = read(
            "[decision_log]\ndirectory = '/var/log/decisions'\nmax_bytes = '2GiB'\nsegment_bytes = '1 MiB'\n\
             segment_age = '5m'\nsample = 0.25\nsample_by = 'card_id'\nkafka.topic = 'decisions'\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let expected = DecisionLogConfig {
            enabled: true,
            directory: "/var/log/decisions".into(),
            is_named: true,
            max_bytes: 2 << 30,
            segment_bytes: 1 << 20,
            segment_age: Duration::from_secs(300),
            sample: 0.25,
            sample_by: Some("card_id".into()),
            topic: Some("decisions".into()),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (source, expected) in [
            ("sample = 1.5", "a share from 0 to 1"),
            ("max_bytes = '1MB'", "a size"),
            ("max_bytes = '1MiB'", "less than one segment"),
            ("segment_bytes = 10", "at least 64 KiB"),
            ("max_byte = '1GiB'", "unknown key"),
        ] {
            let (_, problems) = read(&format!("[decision_log]\n{source}\n"));
            assert!(
                problems.iter().any(|said| said.contains(expected)),
                "{source}: {problems:?}"
            );
        }
    }
}
