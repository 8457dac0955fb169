//! What can be wrong with a log on disk, in sentences.

use std::{io, path::PathBuf};

use crate::writer::Written;

/// Why a log cannot be written at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is not there and cannot be made, or nothing can be written into it.
    #[error("the decision log cannot be written to {}: {source}", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The compressor does not start.
    #[error("zstd does not start: {0}")]
    Compressor(io::Error),
}

/// What went wrong when records were written, or a segment was closed.
#[derive(Debug, thiserror::Error)]
#[error("the decision log cannot be written to {}: {source}; records lost: {records}", path.display())]
pub struct WriteError {
    /// Records that were not written and are lost.
    pub records: u64,
    /// What the same call has written all the same.
    pub written: Written,
    /// Where to.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// Why a file is not read as a segment.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refuses.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It does not begin as a segment does.
    #[error("it is no segment of a decision log: its first 16 bytes are not a segment's header")]
    NoSegment,
    /// A newer program wrote it.
    #[error(
        "it has version {0} of the format, and this program reads version 1: read it with the version of gavel that wrote it"
    )]
    Version(u32),
}
