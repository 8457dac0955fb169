//! What could not be read as an event is kept with its reason: in a file, or in a topic.
//!
//! A letter is kept before the position behind it is committed, so a crash in between keeps it twice;
//! its source and offset tell.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use broker::Producer;
use serde_json::json;
use tokio::time::Instant;

use super::types::Poison;
use crate::serve::Failure;

/// The most of a payload that a letter holds, in bytes.
const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// How long a topic may take before it is said that it takes long.
const FLUSH: Duration = Duration::from_secs(5);

/// Where dead letters go.
#[derive(Clone, Debug)]
pub enum DeadLetterTarget {
    /// To the end of a file, a line of JSON each.
    File(PathBuf),
    /// To a topic, with headers.
    Topic(String),
}

/// A payload that is no event.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) poison: Poison,
    /// `topic[partition]`, or a file's path.
    pub(crate) source: String,
    pub(crate) offset: i64,
    /// At most [`MAX_PAYLOAD_BYTES`] of it.
    payload: Vec<u8>,
    /// Its whole length.
    size: u64,
}

/// Keeps letters.
#[derive(Debug)]
pub(crate) enum DeadLetters {
    File { path: PathBuf, file: Option<File> },
    Topic { topic: String, producer: Producer },
}

impl Letter {
    /// A letter about a payload of `size` bytes, of which `payload` is the beginning or all.
    pub(crate) fn new(
        poison: Poison,
        source: String,
        offset: i64,
        mut payload: Vec<u8>,
        size: u64,
    ) -> Self {
        payload.truncate(MAX_PAYLOAD_BYTES);
        Self {
            poison,
            source,
            offset,
            payload,
            size,
        }
    }

    fn is_cut(&self) -> bool {
        (self.payload.len() as u64) < self.size
    }

    fn line(&self, now: SystemTime) -> String {
        let mut line = json!({
            "kind": self.poison.kind,
            "why": self.poison.why,
            "source": self.source,
            "offset": self.offset,
            "at": humantime::format_rfc3339_millis(now).to_string(),
            "size": self.size,
        });
        // A cut may go through a character: what is before it is still text.
        let text = match std::str::from_utf8(&self.payload) {
            Ok(text) => Some(text),
            Err(error) if self.is_cut() && error.error_len().is_none() => {
                std::str::from_utf8(&self.payload[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        match text {
            Some(text) => line["payload"] = text.into(),
            None => line["payload_base64"] = STANDARD.encode(&self.payload).into(),
        }
        format!("{line}\n")
    }
}

impl DeadLetters {
    /// Keeps letters at the end of a file, which is made when the first one comes.
    pub(crate) fn file(path: PathBuf) -> Self {
        Self::File { path, file: None }
    }

    /// Keeps letters in a topic.
    pub(crate) fn topic(topic: String, producer: Producer) -> Self {
        Self::Topic { topic, producer }
    }

    /// Keeps letters. On return they are on the disk, or acknowledged by all replicas.
    ///
    /// # Errors
    /// They can't be kept: ingestion has to stop, or they would be lost.
    pub(crate) async fn keep(&mut self, letters: &[Letter]) -> Result<(), Failure> {
        if letters.is_empty() {
            return Ok(());
        }
        match self {
            Self::File { path, file } => append(path, file, letters).map_err(|error| {
                Failure(format!(
                    "a dead letter cannot be kept in {}: {error}; ingestion stops before it, so nothing is lost: make room or choose another place with --dead-letter, and start again",
                    path.display()
                ))
            }),
            Self::Topic { topic, producer } => send(topic, producer, letters).await,
        }
    }
}

/// Rare, and small: on the thread that it is called on.
fn append(path: &Path, file: &mut Option<File>, letters: &[Letter]) -> std::io::Result<()> {
    let file = match file {
        Some(file) => file,
        None => file.insert(open(path)?),
    };
    let now = SystemTime::now();
    let lines: String = letters.iter().map(|letter| letter.line(now)).collect();
    let before = file.metadata()?.len();
    let written = file
        .write_all(lines.as_bytes())
        .and_then(|()| file.sync_data());
    if written.is_err() {
        // A part of a line is no letter. If it can't be cut off, the next start ends the line.
        let _ = file.set_len(before);
    }
    written
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = File::options();
    let mut file = options.create(true).read(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    if length > 0 {
        let mut last = [0];
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

async fn send(topic: &str, producer: &Producer, letters: &[Letter]) -> Result<(), Failure> {
    let failed_before = producer.failures().records;
    for letter in letters {
        let (offset, size) = (letter.offset.to_string(), letter.size.to_string());
        let headers = [
            ("gavel.kind", letter.poison.kind),
            ("gavel.why", &letter.poison.why),
            ("gavel.source", &letter.source),
            ("gavel.offset", &offset),
            ("gavel.size", &size),
        ];
        while producer
            .try_send_with(topic, None, &letter.payload, &headers)
            .is_err()
        {
            flush(topic, producer).await;
        }
    }
    flush(topic, producer).await;
    let failures = producer.failures();
    if failures.records == failed_before {
        return Ok(());
    }
    Err(Failure(format!(
        "a dead letter cannot be kept in the topic {topic}: {}; ingestion stops before it, so nothing is lost: mend the topic, and start again",
        failures.last.unwrap_or_default()
    )))
}

/// Waits until all is delivered or given up.
async fn flush(topic: &str, producer: &Producer) {
    let mut said = false;
    while let Err(error) = producer.flush(Instant::now() + FLUSH).await {
        if !said {
            said = true;
            tracing::warn!(topic, "dead letters: {error}; waiting, nothing is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn letter(payload: &[u8], size: usize) -> Letter {
        let poison = Poison {
            kind: "not_json",
            why: "it is not".into(),
        };
        Letter::new(
            poison,
            "payments[3]".into(),
            42,
            payload.to_vec(),
            size as u64,
        )
    }

    fn line(payload: &[u8], size: usize) -> Value {
        let line = letter(payload, size).line(SystemTime::UNIX_EPOCH);
        assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_letter_says_what_where_and_why() {
        let line = line(b"{\n", 2);
        assert_eq!(line["kind"], "not_json");
        assert_eq!(line["why"], "it is not");
        assert_eq!(line["source"], "payments[3]");
        assert_eq!(line["offset"], 42);
        assert_eq!(line["payload"], "{\n");
        assert_eq!(line["size"], 2);
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_too_and_a_long_payload_is_cut() {
        assert_eq!(line(&[0xff, 0], 2)["payload_base64"], "/wA=");
        let long = line(&vec![b'x'; 5 << 20], 5 << 20);
        assert_eq!(long["payload"].as_str().unwrap().len(), MAX_PAYLOAD_BYTES);
        assert_eq!(long["size"], 5 << 20);
        // The cut goes through an é.
        let mut text = "x".repeat(MAX_PAYLOAD_BYTES - 1);
        text.push('é');
        let cut = line(text.as_bytes(), text.len());
        assert_eq!(
            cut["payload"].as_str().unwrap().len(),
            MAX_PAYLOAD_BYTES - 1
        );
    }

    #[tokio::test]
    async fn letters_are_appended_and_a_torn_line_is_ended_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/dead.jsonl");
        let mut letters = DeadLetters::file(path.clone());
        letters.keep(&[letter(b"1", 1)]).await.unwrap();
        std::fs::write(
            &path,
            [std::fs::read(&path).unwrap(), b"{\"torn".to_vec()].concat(),
        )
        .unwrap();
        let mut letters = DeadLetters::file(path.clone());
        letters
            .keep(&[letter(b"2", 1), letter(b"3", 1)])
            .await
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let read = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let payloads: Vec<String> = read
            .map(|line| line["payload"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(payloads, ["1", "2", "3"]);
    }

    #[tokio::test]
    async fn a_full_disk_stops_with_a_sentence() {
        let mut letters = DeadLetters::file("/dev/full".into());
        let failure = letters.keep(&[letter(b"1", 1)]).await.unwrap_err();
        let said = failure.to_string();
        assert!(
            said.contains("/dev/full") && said.contains("--dead-letter"),
            "{said}"
        );
    }
}
