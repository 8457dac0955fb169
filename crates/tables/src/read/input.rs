//! Bytes of a file or of the standard input, and how many of them have been read.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::Progress;

const BUFFER_BYTES: usize = 256 << 10;

/// A buffered source that counts.
pub(super) struct Input {
    source: BufReader<Box<dyn Read + Send>>,
    done: u64,
    total: Option<u64>,
}

impl Input {
    /// `-` is the standard input.
    pub(super) fn open(file: &Path) -> io::Result<Input> {
        let (source, total): (Box<dyn Read + Send>, _) = if file == Path::new("-") {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(file)?;
            let metadata = file.metadata()?;
            (Box::new(file), metadata.is_file().then_some(metadata.len()))
        };
        Ok(Input {
            source: BufReader::with_capacity(BUFFER_BYTES, source),
            done: 0,
            total,
        })
    }

    /// What is buffered, read anew when that is nothing; empty at the end.
    pub(super) fn buffered(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.source.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        Ok(self.source.buffer())
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.source.consume(bytes);
        self.done += bytes as u64;
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            done: self.done,
            total: self.total,
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("done", &self.done)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
