//! Which segments there are: what their blocks say, without reading the records.

use std::{fs::File, io::BufReader, path::Path};

use decision_log::{Piece, Segment, SegmentReader};

use super::read::{Damaged, segments_of};
use crate::serve::Failure;

/// A segment, as `gavel log ls` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The file.
    pub segment: Segment,
    /// Records in its blocks.
    pub records: u64,
    /// The earliest and the latest time of receipt, in microseconds since the Unix epoch.
    pub times_us: Option<(i64, i64)>,
    /// What of it cannot be read.
    pub damaged: Vec<Damaged>,
}

/// The segments of a folder, oldest first; or the one that is named.
///
/// # Errors
/// There is no such folder.
pub fn outline(log: &Path) -> Result<Vec<Outline>, Failure> {
    Ok(segments_of(log)?.into_iter().map(Outline::of).collect())
}

impl Outline {
    fn of(segment: Segment) -> Self {
        let mut outline = Self {
            segment,
            records: 0,
            times_us: None,
            damaged: Vec::new(),
        };
        if let Err(why) = outline.fill() {
            outline.damage(Err(why));
        }
        outline
    }

    fn fill(&mut self) -> Result<(), String> {
        let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
        let file = File::open(&self.segment.path).map_err(unreadable)?;
        let reader = SegmentReader::new(BufReader::new(file));
        let mut reader = reader.map_err(|error| error.to_string())?;
        while let Some(piece) = reader.next_piece().map_err(unreadable)? {
            match piece {
                Piece::Damage(damage) => self.damage(Ok(damage)),
                Piece::Block(block) => {
                    self.records += u64::from(block.records());
                    let (first, last) = self.times_us.unwrap_or((i64::MAX, i64::MIN));
                    let times = (first.min(block.first_us()), last.max(block.last_us()));
                    self.times_us = Some(times);
                }
            }
        }
        Ok(())
    }

    fn damage(&mut self, what: Result<decision_log::Damage, String>) {
        self.damaged.push(Damaged {
            path: self.segment.path.clone(),
            what,
            is_open: self.segment.is_open,
        });
    }
}
