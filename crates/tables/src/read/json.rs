//! JSON lines: an object a line. Empty lines are passed over.

use std::io;

use super::input::Input;
use super::{MAX_ROW_BYTES, Progress, Row, raw_text, too_long};
use crate::cell::Cell;
use crate::error::{Position, RowError};

#[derive(Debug)]
pub(super) struct JsonRows {
    input: Input,
    line: u64,
    /// The current line, less its end.
    bytes: Vec<u8>,
}

impl JsonRows {
    pub(super) fn new(input: Input) -> JsonRows {
        JsonRows {
            input,
            line: 0,
            bytes: Vec::new(),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.input.progress()
    }

    pub(super) fn read(&mut self) -> io::Result<Option<Result<Row, RowError>>> {
        while let Some(whole) = self.next_line()? {
            if self.line == 1 && self.bytes.starts_with(b"\xef\xbb\xbf") {
                self.bytes.drain(..3);
            }
            let position = Position::Line(self.line);
            let error = |why: String| RowError {
                position,
                rows: 1,
                why,
                raw: raw_text(&self.bytes),
            };
            if !whole {
                return Ok(Some(Err(error(too_long()))));
            }
            let Ok(line) = std::str::from_utf8(&self.bytes) else {
                return Ok(Some(Err(error("the line is not UTF-8".to_owned()))));
            };
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let row = match Cell::from_json(line) {
                Ok(Cell::Struct(fields)) => Ok(Row {
                    position,
                    fields: fields
                        .into_iter()
                        .map(|(name, cell)| (name.into(), cell))
                        .collect(),
                    line: Some(line.to_owned()),
                }),
                Ok(_) => Err(error("the line is not a JSON object".to_owned())),
                Err(why) => Err(error(format!("the line is not JSON: {why}"))),
            };
            return Ok(Some(row));
        }
        Ok(None)
    }

    /// Reads a line into `bytes`; says whether all of it is there. `None` at the end.
    fn next_line(&mut self) -> io::Result<Option<bool>> {
        self.bytes.clear();
        let (mut begun, mut whole) = (false, true);
        loop {
            let buffered = self.input.buffered()?;
            if buffered.is_empty() {
                self.line += u64::from(begun);
                return Ok(begun.then_some(whole));
            }
            begun = true;
            let end = buffered.iter().position(|byte| *byte == b'\n');
            let part = &buffered[..end.unwrap_or(buffered.len())];
            let room = MAX_ROW_BYTES - self.bytes.len();
            whole &= part.len() <= room;
            self.bytes.extend_from_slice(&part[..part.len().min(room)]);
            let taken = part.len() + usize::from(end.is_some());
            self.input.consume(taken);
            if end.is_some() {
                self.line += 1;
                return Ok(Some(whole));
            }
        }
    }
}
