//! Where a table is written to: beside its name until it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

const BUFFER_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(super) enum Output {
    Stdout(Stdout),
    File {
        buffer: BufWriter<File>,
        rename: Option<Rename>,
    },
}

/// From what to what a file is renamed in the end. Dropped before, it removes the file.
#[derive(Debug)]
pub(super) struct Rename {
    partial: PathBuf,
    name: PathBuf,
}

impl Output {
    /// `-` is the standard output. What is there and is no ordinary file, such as a named pipe or
    /// `/dev/full`, is written into as it is.
    pub(super) fn create(file: &Path) -> io::Result<Output> {
        if file == Path::new("-") {
            return Ok(Output::Stdout(io::stdout()));
        }
        let existing = fs::metadata(file);
        if existing.as_ref().is_ok_and(|existing| existing.is_dir()) {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "it is a folder",
            ));
        }
        let special = existing.is_ok_and(|existing| !existing.is_file());
        let (path, rename) = if special {
            (file.to_owned(), None)
        } else {
            let mut partial = file.as_os_str().to_owned();
            partial.push(".partial");
            let rename = Rename {
                partial: PathBuf::from(&partial),
                name: file.to_owned(),
            };
            (PathBuf::from(partial), Some(rename))
        };
        let opened = match special {
            true => File::options().write(true).open(path)?,
            false => create(&path)?,
        };
        let buffer = BufWriter::with_capacity(BUFFER_BYTES, opened);
        Ok(Output::File { buffer, rename })
    }

    /// Everything on its way to the disk, and the file under its name.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Output::Stdout(mut stdout) => stdout.flush(),
            Output::File { mut buffer, rename } => {
                buffer.flush()?;
                match rename {
                    None => Ok(()),
                    Some(rename) => {
                        buffer.get_ref().sync_all()?;
                        fs::rename(&rename.partial, &rename.name)
                    }
                }
            }
        }
    }
}

/// A new file that not everybody may read: keys and inputs of people may be in it.
fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Stdout(stdout) => stdout.write(bytes),
            Output::File { buffer, .. } => buffer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stdout(stdout) => stdout.flush(),
            Output::File { buffer, .. } => buffer.flush(),
        }
    }
}

impl Drop for Rename {
    fn drop(&mut self) {
        // Renamed already, it is not there any more.
        let _ = fs::remove_file(&self.partial);
    }
}
