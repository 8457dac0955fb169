//! Writing the log: batches of records become blocks, files become segments, the oldest are deleted.
//!
//! ```text
//!  push ─► batch ── a second, or 256 KiB ──► block ─► NAME.decisions.open ── full or old ──► NAME.decisions
//! ```
//! Whoever writes says what time it is, so that nothing here waits.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    block::{Batch, header},
    directory,
    error::{OpenError, WriteError},
    record::Record,
};

/// A block is written when its oldest record has waited for so long: what a killed process loses.
const FLUSH_US: i64 = 1_000_000;
/// Or when its records are so large together: a larger block would keep a core busy for longer at a
/// time, which requests may wait for.
const FLUSH_BYTES: usize = 256 * 1024;

/// Where the log is and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The folder.
    pub directory: PathBuf,
    /// A segment of so many bytes is closed.
    pub segment_bytes: u64,
    /// So is one that was begun so long ago.
    pub segment_age: Duration,
    /// When all segments together are larger, the oldest are deleted.
    pub max_bytes: u64,
}

/// What a call has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Records.
    pub records: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Old segments that were deleted.
    pub deleted: u64,
}

/// The one writer of its segments; others may write to the same folder.
pub struct LogWriter {
    options: Options,
    batch: Batch,
    /// When the oldest record of the batch came to it.
    waiting_since_us: i64,
    open: Option<OpenSegment>,
}

struct OpenSegment {
    file: File,
    /// Its name when it is closed.
    closed: PathBuf,
    bytes: u64,
    began_us: i64,
}

impl std::fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogWriter")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl LogWriter {
    /// A writer that has written nothing yet: a file is made with the first block.
    ///
    /// # Errors
    /// The compressor does not start.
    pub fn new(options: Options) -> Result<Self, OpenError> {
        Ok(Self {
            options,
            batch: Batch::new().map_err(OpenError::Compressor)?,
            waiting_since_us: 0,
            open: None,
        })
    }

    /// Makes the folder, closes what killed processes left in it and deletes what is too much.
    ///
    /// # Errors
    /// The folder cannot be made, or nothing can be written into it.
    pub fn prepare(&self) -> Result<Written, OpenError> {
        let directory = &self.options.directory;
        let probe = directory.join(format!(".probe-{}", std::process::id()));
        let prepared = fs::create_dir_all(directory)
            .and_then(|()| File::create(&probe))
            .and_then(|_| fs::remove_file(&probe))
            .and_then(|()| directory::adopt(directory))
            .and_then(|()| directory::trim(directory, self.options.max_bytes));
        match prepared {
            Ok(deleted) => Ok(Written {
                deleted,
                ..Written::default()
            }),
            Err(source) => Err(OpenError::Directory {
                directory: directory.clone(),
                source,
            }),
        }
    }

    /// Takes a record, to be written with others. `false` if it is larger than a block may be.
    pub fn push(&mut self, record: &Record, now_us: i64) -> bool {
        if self.batch.records() == 0 {
            self.waiting_since_us = now_us;
        }
        self.batch.push(record)
    }

    /// Whether there is something that should be written or closed now.
    pub fn is_due(&self, now_us: i64) -> bool {
        let waited = now_us.saturating_sub(self.waiting_since_us) >= FLUSH_US;
        let full = self.batch.len_bytes() >= FLUSH_BYTES;
        (self.batch.records() > 0 && (waited || full)) || self.is_over(now_us)
    }

    fn is_over(&self, now_us: i64) -> bool {
        let age_us = i64::try_from(self.options.segment_age.as_micros()).unwrap_or(i64::MAX);
        self.open.as_ref().is_some_and(|open| {
            open.bytes >= self.options.segment_bytes
                || now_us.saturating_sub(open.began_us) >= age_us
        })
    }

    /// Writes what has been taken, and closes the segment if it is full or old.
    ///
    /// # Errors
    /// The records are not on disk and are lost, and the segment is as it was before; or they are, and
    /// the segment cannot be closed or old ones not be deleted. The next call may succeed.
    pub fn write(&mut self, now_us: i64) -> Result<Written, WriteError> {
        let mut written = self.write_batch(now_us)?;
        if self.is_over(now_us) {
            let trimmed = self.close_segment().and_then(|()| self.trim());
            written.deleted = trimmed.map_err(|error| WriteError { written, ..error })?;
        }
        Ok(written)
    }

    /// Writes what has been taken and closes the segment.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn close(&mut self, now_us: i64) -> Result<Written, WriteError> {
        let written = self.write_batch(now_us);
        let closed = self.close_segment();
        // Records that were lost are told first.
        let written = written?;
        match closed {
            Ok(()) => Ok(written),
            Err(error) => Err(WriteError { written, ..error }),
        }
    }

    fn write_batch(&mut self, now_us: i64) -> Result<Written, WriteError> {
        let records = u64::from(self.batch.records());
        if records == 0 {
            return Ok(Written::default());
        }
        let failed = |path: &Path, source| WriteError {
            records,
            written: Written::default(),
            path: path.to_owned(),
            source,
        };
        let block = self.batch.take_block();
        let block = block.map_err(|source| failed(&self.options.directory, source))?;
        // Into a file that was deleted, records would be written for nobody.
        let segment = match self.open.take().filter(OpenSegment::is_there) {
            Some(open) => Ok(open),
            None => OpenSegment::begin(&self.options.directory, now_us),
        };
        let mut segment = segment.map_err(|source| failed(&self.options.directory, source))?;
        match segment.append(&block) {
            Ok(()) => {
                self.open = Some(segment);
                Ok(Written {
                    records,
                    bytes: block.len() as u64,
                    deleted: 0,
                })
            }
            Err(source) => {
                let error = failed(&segment.closed, source);
                // What can't be made whole again is left as it is, and the next begins another.
                if segment.cut_back().is_ok() {
                    self.open = Some(segment);
                } else {
                    let _ = segment.close();
                }
                Err(error)
            }
        }
    }

    fn close_segment(&mut self) -> Result<(), WriteError> {
        let Some(segment) = self.open.take() else {
            return Ok(());
        };
        let path = segment.closed.clone();
        segment.close().map_err(|source| WriteError {
            records: 0,
            written: Written::default(),
            path,
            source,
        })
    }

    fn trim(&self) -> Result<u64, WriteError> {
        let directory = &self.options.directory;
        let trimmed = directory::trim(directory, self.options.max_bytes);
        trimmed.map_err(|source| WriteError {
            records: 0,
            written: Written::default(),
            path: directory.clone(),
            source,
        })
    }
}

impl OpenSegment {
    fn begin(directory: &Path, now_us: i64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let closed = directory::name(directory, now_us);
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        // Keys and inputs of people are in it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        let file = options.open(directory::open_name(&closed))?;
        // Says that it is being written; a file system without locks has nobody who asks.
        let _ = file.try_lock();
        let mut segment = Self {
            file,
            closed,
            bytes: 0,
            began_us: now_us,
        };
        let header = header();
        if let Err(error) = segment.append(&header) {
            let _ = fs::remove_file(directory::open_name(&segment.closed));
            return Err(error);
        }
        Ok(segment)
    }

    /// Whether its file still has its name. What cannot be told may be there.
    fn is_there(&self) -> bool {
        directory::open_name(&self.closed)
            .try_exists()
            .unwrap_or(true)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Forgets a block that was written in part.
    fn cut_back(&self) -> io::Result<()> {
        self.file.set_len(self.bytes)
    }

    fn close(self) -> io::Result<()> {
        let synced = self.file.sync_data();
        fs::rename(directory::open_name(&self.closed), &self.closed)?;
        synced
    }
}

#[cfg(test)]
mod tests;
