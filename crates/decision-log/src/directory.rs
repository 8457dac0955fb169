//! The folder of segments: their names, in order of time; those that nobody writes any more; the
//! oldest, when they are too many.
//!
//! A segment is named after the moment at which it was begun and the process that wrote it, and is
//! locked while it is written: one that ends in `.open` and is not locked was left by a process that
//! was killed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const CLOSED: &str = "decisions";
const OPEN: &str = "open";
/// 9999-12-31T23:59:59Z, the last second that a name can tell.
const LAST_US: i64 = 253_402_300_799_000_000;

/// A file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// How large.
    pub bytes: u64,
    /// Whether it is being written, or was when its writer was killed.
    pub is_open: bool,
}

/// The segments of a folder, oldest first.
///
/// # Errors
/// The folder cannot be read.
pub fn segments(directory: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_open = match extension {
            Some(CLOSED) => false,
            Some(OPEN) if is_closed_name(&path.with_extension("")) => true,
            _ => continue,
        };
        // One that is renamed or deleted meanwhile is not there.
        if let Ok(metadata) = fs::metadata(&path)
            && metadata.is_file()
        {
            segments.push(Segment {
                path,
                bytes: metadata.len(),
                is_open,
            });
        }
    }
    segments.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(segments)
}

fn is_closed_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == CLOSED)
}

/// The name of a segment once it is closed, which no segment of the folder has: begun at `now_us`.
pub(crate) fn name(directory: &Path, now_us: i64) -> PathBuf {
    let since_epoch = Duration::from_micros(now_us.clamp(0, LAST_US) as u64);
    let time = humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + since_epoch);
    let time = time.to_string().replace(':', "-");
    let process = std::process::id();
    let named = |number| directory.join(format!("{time}-{process}-{number:03}.{CLOSED}"));
    let taken = |path: &Path| path.exists() || open_name(path).exists();
    let mut number = 0;
    let mut path = named(number);
    while taken(&path) {
        number += 1;
        path = named(number);
    }
    path
}

/// What it is called while it is written.
pub(crate) fn open_name(closed: &Path) -> PathBuf {
    let mut name = closed.as_os_str().to_owned();
    name.push(".");
    name.push(OPEN);
    name.into()
}

/// Closes the segments whose writers were killed.
pub(crate) fn adopt(directory: &Path) -> io::Result<()> {
    for segment in segments(directory)?
        .iter()
        .filter(|segment| segment.is_open)
    {
        let Ok(file) = File::open(&segment.path) else {
            continue;
        };
        if file.try_lock().is_ok() {
            let closed = fs::rename(&segment.path, segment.path.with_extension(""));
            unless_gone(closed)?;
        }
    }
    Ok(())
}

/// Deletes the oldest closed segments until all together are at most `max_bytes`. How many it was.
pub(crate) fn trim(directory: &Path, max_bytes: u64) -> io::Result<u64> {
    let segments = segments(directory)?;
    let mut total: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut deleted = 0;
    for segment in segments.iter().filter(|segment| !segment.is_open) {
        if total <= max_bytes {
            break;
        }
        let removed = unless_gone(fs::remove_file(&segment.path))?;
        total -= segment.bytes;
        deleted += u64::from(removed);
    }
    Ok(deleted)
}

/// Whether something was done to a file that another writer of the folder may have moved first.
fn unless_gone(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_has_moved_first_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.decisions");
        std::fs::write(&file, "").unwrap();
        assert!(unless_gone(fs::remove_file(&file)).unwrap());
        assert!(!unless_gone(fs::remove_file(&file)).unwrap());
        assert!(unless_gone(fs::remove_file(folder.path())).is_err());
    }
}
