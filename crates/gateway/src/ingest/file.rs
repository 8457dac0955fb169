//! Files as a source, and standard input.
//!
//! A file is known by its path and its first event; how far it was read is a note in the store, with
//! the states. So a file that grew is read on from there, and one that was read already is not counted
//! again. A file that ends inside an event is read up to it: the rest may be on its way. A file whose
//! beginning changed is another file; one that changed inside what was read is refused.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Stdin, stdin},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use features::{Store, events::EventType};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    dead_letters::Letter,
    framing::{self, End, Frame},
    kafka::source,
    observed::Observed,
    stage::{Batch, Note},
    types::{Format, MAX_EVENT_BYTES, Poison, Typed, Types},
    writer::Sourced,
};
use crate::serve::Failure;

/// Payloads in one batch, at most,
const BATCH_EVENTS: usize = 1000;
/// and their bytes.
const BATCH_BYTES: u64 = 4 << 20;
/// How much of what was read last is compared when reading goes on.
const TAIL_BYTES: u64 = 4096;

/// How long a store that is down is left alone.
const RETRY: Duration = Duration::from_millis(500);

/// A file, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSource {
    /// Its path; `-` is standard input.
    pub path: PathBuf,
    /// The event type; `None` where events say it themselves.
    pub kind: Option<String>,
}

/// What reading files needs.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) files: Vec<(PathBuf, Option<Arc<EventType>>)>,
    pub(crate) format: Format,
    pub(crate) types: Types,
    pub(crate) store: Store,
    pub(crate) observed: Arc<Observed>,
}

/// How far a file was read.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    path: String,
    /// Bytes.
    offset: u64,
    /// SHA-256 of the bytes before it, at most [`TAIL_BYTES`].
    tail: String,
    /// SHA-256 of the definitions of the views that it was read for.
    #[serde(default)]
    views: String,
}

/// One file that is read, on a thread of its own.
struct Reading<R> {
    input: R,
    path: PathBuf,
    name: Option<Arc<str>>,
    kind: Option<Arc<EventType>>,
    views: String,
    format: Format,
    types: Types,
    source: u64,
    offset: u64,
    /// Bytes of the files before this one.
    before: u64,
    batches: mpsc::Sender<Batch>,
    stop: CancellationToken,
}

impl Files {
    /// Reads the files, one after the other, until their ends or `stop`.
    ///
    /// # Errors
    /// A file can't be read, or is not the one that was read before.
    pub(crate) async fn run(
        self,
        batches: mpsc::Sender<Batch>,
        stop: CancellationToken,
    ) -> Result<(), Failure> {
        let mut before = 0;
        let sizes = self.files.iter().map(|(path, _)| size(path));
        self.observed.all_bytes(sizes.sum());
        for (path, kind) in self.files.clone() {
            let views = self.types.views_digest(kind.as_deref());
            let reading = |input, name, source, offset| Reading {
                input,
                path: path.clone(),
                name,
                kind,
                views: views.clone(),
                format: self.format,
                types: self.types.clone(),
                source,
                offset,
                before,
                batches: batches.clone(),
                stop: stop.clone(),
            };
            if path == Path::new("-") {
                // Nothing tells one run's input from another's: each is a source of its own.
                let once = format!("stdin\0{}\0{:?}", std::process::id(), SystemTime::now());
                let input = Input::Standard(BufReader::new(stdin()));
                on_a_thread(reading(input, None, source(&once), 0)).await?;
            } else {
                let opening = stop.run_until_cancelled(self.open(&path, before, &views));
                let Some(opened) = opening.await else {
                    break;
                };
                let (input, name, source, offset) = opened?;
                on_a_thread(reading(input, Some(name), source, offset)).await?;
            }
            before += size(&path);
            if stop.is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    /// Opens a file where it was left.
    async fn open(
        &self,
        path: &Path,
        before: u64,
        views: &str,
    ) -> Result<(Input, Arc<str>, u64, u64), Failure> {
        let failed = |error: io::Error| Failure(format!("cannot read {}: {error}", path.display()));
        let canonical = path.canonicalize().map_err(failed)?;
        let mut input = BufReader::new(File::open(path).map_err(failed)?);
        let first = framing::next(&mut input, self.format).map_err(failed)?;
        let first = first.map(|frame| Sha256::digest(&frame.payload));
        let identity = format!("file\0{}\0{first:x?}", canonical.display());
        let source = source(&identity);
        let name: Arc<str> = format!("ingest:file:{source:016x}").into();
        let note = self.note(&name).await;
        let progress = note.and_then(|note| serde_json::from_slice::<Progress>(&note).ok());
        let mut progress = progress.unwrap_or_default();
        if progress.offset > 0 && progress.views != views {
            tracing::info!(
                file = %path.display(),
                "its views are defined otherwise than when it was read: reading it from its beginning; what was counted stays counted once"
            );
            progress.offset = 0;
        }
        if progress.offset > 0 {
            let tail = tail(input.get_mut(), progress.offset).map_err(failed)?;
            if tail != progress.tail {
                return Err(Failure(format!(
                    "{} was read up to byte {}, and has changed before it since: what it held is in the features already. If it is another file, give it another name",
                    path.display(),
                    progress.offset
                )));
            }
            tracing::info!(file = %path.display(), byte = progress.offset, "going on where it was left");
        }
        self.observed.done_bytes(before + progress.offset);
        input
            .seek(SeekFrom::Start(progress.offset))
            .map_err(failed)?;
        Ok((Input::File(input), name, source, progress.offset))
    }
}

impl Files {
    /// A note of the store, which is waited for.
    async fn note(&self, name: &str) -> Option<Vec<u8>> {
        let mut said = false;
        loop {
            match self.store.read_note(name).await {
                Ok(note) => return note,
                Err(error) => {
                    if !said {
                        said = true;
                        tracing::warn!("{error}; waiting for it, nothing is lost");
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

/// The size of a file; 0 where it has none.
fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// The digest of what is before `offset`; of nothing if the file is shorter.
fn tail(file: &mut File, offset: u64) -> io::Result<String> {
    let length = offset.min(TAIL_BYTES);
    file.seek(SeekFrom::Start(offset - length))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    let whole = bytes.len() as u64 == length;
    Ok(if whole {
        format!("{:x}", Sha256::digest(&bytes))
    } else {
        String::new()
    })
}

/// On a thread that the runtime does not wait for: standard input may never end.
async fn on_a_thread(reading: Reading<Input>) -> Result<(), Failure> {
    let path = reading.path.display().to_string();
    let (done, ended) = oneshot::channel();
    let stop = reading.stop.clone();
    let thread = std::thread::Builder::new().name("ingest-file".into());
    let started = thread.spawn(move || {
        let outcome = reading.run();
        // Nobody listens once the process has been told to stop.
        let _ = done.send(outcome);
    });
    started.map_err(|error| Failure(format!("cannot start a thread: {error}")))?;
    tokio::select! {
        ended = ended => match ended {
            Ok(outcome) => outcome.map_err(|error| Failure(format!("cannot read {path}: {error}"))),
            Err(_) => Err(Failure(format!("reading {path} broke off"))),
        },
        () = stop.cancelled() => Ok(()),
    }
}

impl Reading<Input> {
    fn run(mut self) -> io::Result<()> {
        loop {
            let (batch, more) = self.read()?;
            let is_empty = batch.events.is_empty() && batch.letters.is_empty();
            if !is_empty && self.batches.blocking_send(batch).is_err() {
                return Ok(());
            }
            if !more || self.stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// A batch, and whether there may be more.
    fn read(&mut self) -> io::Result<(Batch, bool)> {
        let now = SystemTime::now();
        let mut batch = Batch::default();
        let start = self.offset;
        let mut more = true;
        while more
            && batch.events.len() + batch.letters.len() < BATCH_EVENTS
            && self.offset - start < BATCH_BYTES
        {
            let Some(frame) = framing::next(&mut self.input, self.format)? else {
                more = false;
                break;
            };
            let read = self.event(&frame, now);
            if self.is_unfinished(&frame, read.as_ref().and_then(|read| read.as_ref().err())) {
                more = false;
                break;
            }
            let offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
            self.offset += frame.taken;
            // After a piece of a message nothing can be told apart.
            more = self.format == Format::Json || frame.end == End::Whole;
            match read {
                // A blank line.
                None => continue,
                Some(Ok(typed)) => batch.events.push(Sourced {
                    typed,
                    origin: (self.source, offset),
                }),
                Some(Err(poison)) => {
                    let path = self.path.display().to_string();
                    let letter = Letter::new(poison, path, offset, frame.payload, frame.size);
                    batch.letters.push(letter);
                }
            }
            // What a person or a pipe writes slowly is counted as it comes.
            if self.input.is_drained() {
                break;
            }
        }
        batch.notes.extend(self.note()?);
        Ok((batch, more))
    }

    /// The event that a payload is; `None` for a blank line.
    fn event(&self, frame: &Frame, now: SystemTime) -> Option<Result<Typed, Poison>> {
        if self.format == Format::Json && frame.payload.trim_ascii().is_empty() {
            return None;
        }
        Some(
            if self.format == Format::Protobuf && frame.end != End::Whole {
                Err(Poison {
                    kind: "not_protobuf",
                    why: "its source ends inside this message, or its length is none".into(),
                })
            } else if frame.size > MAX_EVENT_BYTES as u64 {
                Err(Poison::too_long(frame.size))
            } else {
                let kind = self.kind.as_ref();
                self.types.read(self.format, &frame.payload, kind, now)
            },
        )
    }

    /// Whether the file goes on with something that is no event yet, and may become one: it is left
    /// for another run, and said so. What standard input ends with is all that comes.
    fn is_unfinished(&self, frame: &Frame, poison: Option<&Poison>) -> bool {
        let unfinished = match (&self.input, frame.end, poison) {
            (Input::Standard(_), ..) | (_, End::Whole, _) | (.., None) => false,
            // A line of whole JSON lacks nothing but its end.
            (_, End::Cut, Some(poison)) if self.format == Format::Json => {
                matches!(poison.kind, "not_json" | "event_too_long")
            }
            (_, End::Cut | End::Unknown, Some(_)) => true,
        };
        if unfinished {
            let (file, byte) = (self.path.display(), self.offset);
            if frame.end == End::Unknown {
                tracing::warn!(
                    %file, byte,
                    "what follows is no message behind its length: the file is read up to there, and no further; is it protobuf?"
                );
            } else {
                tracing::warn!(
                    %file, byte,
                    "the file ends inside an event: it is read up to there, and the rest when it is whole and ingested again"
                );
            }
        }
        unfinished
    }

    fn note(&mut self) -> io::Result<Option<Note>> {
        let (Some(name), Input::File(_)) = (&self.name, &self.input) else {
            return Ok(None);
        };
        let progress = Progress {
            path: self.path.display().to_string(),
            offset: self.offset,
            tail: tail(&mut File::open(&self.path)?, self.offset)?,
            views: self.views.clone(),
        };
        Ok(Some(Note {
            name: Arc::clone(name),
            bytes: serde_json::to_vec(&progress)?,
            done_bytes: self.before + self.offset,
        }))
    }
}

/// What is read.
#[derive(Debug)]
enum Input {
    File(BufReader<File>),
    Standard(BufReader<Stdin>),
}

impl Input {
    /// Whether the next byte has to be waited for.
    fn is_drained(&self) -> bool {
        match self {
            Input::File(_) => false,
            Input::Standard(input) => input.buffer().is_empty(),
        }
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::File(input) => input.read(into),
            Input::Standard(input) => input.read(into),
        }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Input::File(input) => input.fill_buf(),
            Input::Standard(input) => input.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Input::File(input) => input.consume(amount),
            Input::Standard(input) => input.consume(amount),
        }
    }
}
