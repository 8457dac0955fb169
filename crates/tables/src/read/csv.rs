//! CSV after RFC 4180, with a header. Lines end in any way, empty ones are passed over, and an empty
//! field is null, quoted or not.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use csv_core::ReadFieldResult;

use super::input::Input;
use super::{MAX_ROW_BYTES, Progress, Row, raw_text, too_long};
use crate::cell::Cell;
use crate::error::{Position, RowError};

pub(super) struct CsvRows {
    input: Input,
    parser: csv_core::Reader,
    columns: Vec<Arc<str>>,
    record: Record,
    /// Lines that have ended before the current record.
    lines: u64,
}

/// A record as it was parsed.
#[derive(Debug, Default)]
struct Record {
    /// The fields without their quotes, one behind the other.
    data: Vec<u8>,
    /// Where each field ends in `data`.
    ends: Vec<usize>,
    /// The text as it was.
    raw: Vec<u8>,
    /// Ended in time: else only the beginning is here.
    whole: bool,
}

impl CsvRows {
    /// Reads the header. The inner error is a sentence about it.
    pub(super) fn new(input: Input) -> io::Result<Result<CsvRows, String>> {
        let mut rows = CsvRows {
            input,
            parser: csv_core::Reader::new(),
            columns: Vec::new(),
            record: Record::default(),
            lines: 0,
        };
        if rows.next_record()?.is_none() {
            return Ok(Err(
                "it is empty, and its first line is to name the columns".into(),
            ));
        }
        if !rows.record.whole {
            return Ok(Err(too_long()));
        }
        let mut seen = HashSet::new();
        for name in rows.record.fields() {
            let Ok(name) = std::str::from_utf8(name) else {
                return Ok(Err("its first line is not UTF-8".into()));
            };
            if !seen.insert(name) {
                return Ok(Err(format!("it has two columns `{name}`")));
            }
            rows.columns.push(Arc::from(name));
        }
        Ok(Ok(rows))
    }

    pub(super) fn columns(&self) -> &[Arc<str>] {
        &self.columns
    }

    pub(super) fn progress(&self) -> Progress {
        self.input.progress()
    }

    pub(super) fn read(&mut self) -> io::Result<Option<Result<Row, RowError>>> {
        let Some(position) = self.next_record()? else {
            return Ok(None);
        };
        let row = self.record.cells(self.columns.len()).map(|cells| Row {
            position,
            fields: self.columns.iter().cloned().zip(cells).collect(),
            line: None,
        });
        Ok(Some(row.map_err(|why| RowError {
            position,
            rows: 1,
            why,
            raw: raw_text(&self.record.raw),
        })))
    }

    /// Reads the next record into `record`, in bounded memory; says where it begins.
    fn next_record(&mut self) -> io::Result<Option<Position>> {
        let mut field = [0_u8; 4096];
        let record = &mut self.record;
        record.clear();
        let mut lines = 0;
        loop {
            let buffered = self.input.buffered()?;
            let (result, read, written) = self.parser.read_field(buffered, &mut field);
            let (taken, begun) = (&buffered[..read], record.has_begun());
            lines += taken.iter().filter(|byte| **byte == b'\n').count() as u64;
            if !begun {
                // Ends of lines before the record: the last one's, and those of empty lines.
                let blank = taken
                    .iter()
                    .take_while(|byte| matches!(byte, b'\r' | b'\n'));
                let blank = blank.filter(|byte| **byte == b'\n').count() as u64;
                (self.lines, lines) = (self.lines + blank, lines - blank);
            }
            record.take(taken, &field[..written]);
            self.input.consume(read);
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    if record.whole {
                        record.ends.push(record.data.len());
                    }
                    if record_end {
                        let position = Position::Line(self.lines + 1);
                        self.lines += lines;
                        return Ok(Some(position));
                    }
                }
                ReadFieldResult::End => return Ok(None),
            }
        }
    }
}

impl Record {
    fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
        self.raw.clear();
        self.whole = true;
    }

    fn has_begun(&self) -> bool {
        !self.raw.is_empty()
    }

    fn take(&mut self, mut raw: &[u8], data: &[u8]) {
        while !self.has_begun()
            && raw
                .first()
                .is_some_and(|byte| matches!(byte, b'\r' | b'\n'))
        {
            raw = &raw[1..];
        }
        if self.raw.len() + raw.len() > MAX_ROW_BYTES {
            self.whole = false;
        }
        if self.whole {
            self.raw.extend_from_slice(raw);
            self.data.extend_from_slice(data);
        }
    }

    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let spans = starts.zip(&self.ends);
        spans.map(|(start, end)| &self.data[start..*end])
    }

    /// Exactly `count` cells, or a sentence.
    fn cells(&self, count: usize) -> Result<Vec<Cell>, String> {
        if !self.whole {
            let why = too_long();
            return Err(match self.raw.contains(&b'"') {
                true => format!("{why}: is a quote open that is never closed?"),
                false => why,
            });
        }
        if self.ends.len() != count {
            let has = self.ends.len();
            let fields = if has == 1 { "field" } else { "fields" };
            return Err(format!(
                "the row has {has} {fields}, and the header {count}"
            ));
        }
        let cells = self.fields().map(|field| match std::str::from_utf8(field) {
            Ok("") => Ok(Cell::Null),
            Ok(text) => Ok(Cell::Untyped(text.to_owned())),
            Err(_) => Err("the row is not UTF-8".to_owned()),
        });
        cells.collect()
    }
}

impl fmt::Debug for CsvRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvRows")
            .field("input", &self.input)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}
