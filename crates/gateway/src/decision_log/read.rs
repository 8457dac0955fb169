//! Reading a log: the segments of a folder in order, the records that are asked for, and what could
//! not be read, in sentences.

use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    io::BufReader,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use decision_log::{Block, Damage, Piece, Record, Segment, SegmentReader, segments};

use crate::{diagnostic::count, serve::Failure};

/// Which records are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Received at this time or later, in microseconds since the Unix epoch.
    pub from_us: Option<i64>,
    /// Received before this time.
    pub to_us: Option<i64>,
    /// Of this decision.
    pub decision: Option<String>,
    /// With this identifier.
    pub id: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading {
    /// Records that were asked for.
    pub records: u64,
    /// What could not be read.
    pub damaged: Vec<Damaged>,
}

/// A part of a segment that could not be read. `Display` is a full sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The segment.
    pub path: PathBuf,
    /// Where, or why nothing of it can be read.
    pub what: Result<Damage, String>,
    /// It is being written, or its writer was killed: a cut is nothing unusual.
    pub is_open: bool,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let damage = match &self.what {
            Ok(damage) => damage,
            Err(why) => return write!(f, "{path}: {why}"),
        };
        let Damage { at, bytes, .. } = damage;
        match (damage.records, damage.is_cut) {
            (_, true) if self.is_open => write!(
                f,
                "{path}: the last {bytes} bytes, from byte {at}, are no whole block yet: it is being written, or its writer was killed"
            ),
            (_, true) => write!(
                f,
                "{path}: it was cut: it is read up to byte {at}, and the {bytes} bytes that are left are no whole block"
            ),
            (Some(records), false) => write!(
                f,
                "{path}: a block of {} is damaged: {bytes} bytes from byte {at} are left out",
                count(records as usize, "record")
            ),
            (None, false) => write!(
                f,
                "{path}: {bytes} bytes from byte {at} are no block and are left out"
            ),
        }
    }
}

impl Damaged {
    /// Whether it is the end of a segment that is being written, or whose writer was killed.
    pub fn is_usual(&self) -> bool {
        self.is_open && matches!(&self.what, Ok(damage) if damage.is_cut)
    }
}

/// How much could not be read, less what is usual. `Display` is
/// `unreadable: 1234 bytes with 3 records that are known of`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    bytes: u64,
    records: u64,
    /// Files of which nothing, or not all, could be read.
    files: u64,
}

impl Unread {
    /// That of a log; `None` if it is nothing.
    pub fn of(damaged: &[Damaged]) -> Option<Self> {
        let mut unread = Self::default();
        for damaged in damaged.iter().filter(|damaged| !damaged.is_usual()) {
            match &damaged.what {
                Ok(damage) => {
                    unread.bytes += damage.bytes;
                    unread.records += u64::from(damage.records.unwrap_or(0));
                }
                Err(_) => unread.files += 1,
            }
        }
        (unread != Self::default()).then_some(unread)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unreadable: {} bytes", self.bytes)?;
        if self.records > 0 {
            let records = count(self.records as usize, "record");
            write!(f, " with {records} that are known of")?;
        }
        if self.files > 0 {
            write!(f, ", and {}", count(self.files as usize, "segment"))?;
        }
        Ok(())
    }
}

impl Filter {
    /// Whether a block may hold records that are asked for.
    fn may_be_in(&self, block: &Block) -> bool {
        self.from_us.is_none_or(|from| block.last_us() >= from)
            && self.to_us.is_none_or(|to| block.first_us() < to)
    }

    fn holds(&self, record: &Record) -> bool {
        let decision = self.decision.as_deref();
        let id = self.id.as_deref();
        self.from_us.is_none_or(|from| record.received_us >= from)
            && self.to_us.is_none_or(|to| record.received_us < to)
            && decision.is_none_or(|decision| *record.schema.decision == *decision)
            && id.is_none_or(|id| *record.id == *id)
    }
}

/// The segments of a folder, or the one that is named.
///
/// # Errors
/// There is no such folder.
pub(super) fn segments_of(log: &Path) -> Result<Vec<Segment>, Failure> {
    let failed = |error| {
        let hint =
            "name the folder with --decision-log, or see decision_log.directory in gavel.toml";
        Failure(format!(
            "cannot read the decision log {}: {error}; {hint}",
            log.display()
        ))
    };
    let metadata = std::fs::metadata(log).map_err(failed)?;
    if metadata.is_file() {
        return Ok(vec![Segment {
            path: log.to_owned(),
            bytes: metadata.len(),
            is_open: log.extension().is_some_and(|extension| extension == "open"),
        }]);
    }
    segments(log).map_err(failed)
}

/// Gives each record that is asked for to `each`, oldest segment first, until it breaks off.
///
/// # Errors
/// There is no such folder, or `each` fails.
pub fn read(
    log: &Path,
    filter: &Filter,
    mut each: impl FnMut(Record) -> Result<ControlFlow<()>, Failure>,
) -> Result<Reading, Failure> {
    let mut reading = Reading::default();
    for segment in segments_of(log)? {
        let limit = filter.limit.unwrap_or(u64::MAX);
        let done = reading.segment(&segment, filter, limit, &mut each)?;
        if done.is_break() {
            break;
        }
    }
    Ok(reading)
}

/// The newest records that are asked for, at most `last`, oldest first. Segments that are older than
/// those with them are not read.
///
/// # Errors
/// There is no such folder.
pub fn newest(log: &Path, filter: &Filter, last: usize) -> Result<(Vec<Record>, Reading), Failure> {
    let mut reading = Reading::default();
    let mut newest = VecDeque::new();
    for segment in segments_of(log)?.iter().rev() {
        let wanted = last.saturating_sub(newest.len());
        if wanted == 0 {
            break;
        }
        let mut here = VecDeque::new();
        let _ = reading.segment(segment, filter, u64::MAX, &mut |record| {
            if here.len() == wanted {
                here.pop_front();
            }
            here.push_back(record);
            Ok(ControlFlow::Continue(()))
        })?;
        here.append(&mut newest);
        newest = here;
    }
    Ok((newest.into(), reading))
}

impl Reading {
    fn segment(
        &mut self,
        segment: &Segment,
        filter: &Filter,
        limit: u64,
        each: &mut impl FnMut(Record) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<ControlFlow<()>, Failure> {
        let damaged = |what| Damaged {
            path: segment.path.clone(),
            what,
            is_open: segment.is_open,
        };
        let opened = File::open(&segment.path).map_err(|error| format!("cannot be read: {error}"));
        let reader = opened.and_then(|file| {
            SegmentReader::new(BufReader::new(file)).map_err(|error| error.to_string())
        });
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(why) => {
                self.damaged.push(damaged(Err(why)));
                return Ok(ControlFlow::Continue(()));
            }
        };
        loop {
            let piece = match reader.next_piece() {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(ControlFlow::Continue(())),
                Err(error) => {
                    self.damaged
                        .push(damaged(Err(format!("cannot be read: {error}"))));
                    return Ok(ControlFlow::Continue(()));
                }
            };
            let block = match piece {
                Piece::Block(block) if filter.may_be_in(&block) => block,
                Piece::Block(_) => continue,
                Piece::Damage(damage) => {
                    self.damaged.push(damaged(Ok(damage)));
                    continue;
                }
            };
            let records = match reader.records(&block) {
                Ok(Ok(records)) => records,
                Ok(Err(damage)) => {
                    self.damaged.push(damaged(Ok(damage)));
                    continue;
                }
                Err(error) => {
                    self.damaged
                        .push(damaged(Err(format!("cannot be read: {error}"))));
                    return Ok(ControlFlow::Continue(()));
                }
            };
            for record in records.into_iter().filter(|record| filter.holds(record)) {
                if self.records >= limit {
                    return Ok(ControlFlow::Break(()));
                }
                self.records += 1;
                if each(record)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }
}
