//! CSV after RFC 4180 with `\n` behind each row, and JSON lines.

use std::io::{self, Write};

use super::output::Output;
use super::{Column, Scalar};
use crate::cell::Cell;

#[derive(Debug)]
pub(super) struct TextRows {
    output: Output,
    row: String,
}

impl TextRows {
    /// Writes the header.
    pub(super) fn csv(output: Output, columns: &[Column]) -> io::Result<TextRows> {
        let mut rows = TextRows::json(output);
        let names = columns.iter().map(|column| &*column.name);
        rows.line(names)?;
        Ok(rows)
    }

    pub(super) fn json(output: Output) -> TextRows {
        TextRows {
            output,
            row: String::new(),
        }
    }

    pub(super) fn write_csv(&mut self, columns: &[Column], cells: &[Cell]) -> io::Result<()> {
        let texts = columns.iter().zip(cells).map(|(column, cell)| match cell {
            Cell::Float(value) if column.holds == Scalar::Float32 => {
                std::borrow::Cow::Owned((*value as f32).to_string())
            }
            Cell::List(_) => std::borrow::Cow::Owned(json(column, cell)),
            _ => cell.to_text(),
        });
        let texts: Vec<_> = texts.collect();
        self.line(texts.iter().map(|text| &**text))
    }

    pub(super) fn write_json(&mut self, columns: &[Column], cells: &[Cell]) -> io::Result<()> {
        self.row.clear();
        for (column, cell) in columns.iter().zip(cells) {
            self.row.push(if self.row.is_empty() { '{' } else { ',' });
            self.row += &Cell::Text(column.name.to_string()).to_json();
            self.row.push(':');
            self.row += &json(column, cell);
        }
        if self.row.is_empty() {
            self.row.push('{');
        }
        self.row += "}\n";
        self.output.write_all(self.row.as_bytes())
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.output.finish()
    }

    fn line<'t>(&mut self, fields: impl Iterator<Item = &'t str>) -> io::Result<()> {
        self.row.clear();
        let mut count = 0;
        for field in fields {
            if count > 0 {
                self.row.push(',');
            }
            count += 1;
            match field.contains([',', '"', '\r', '\n']) || field.starts_with('\u{feff}') {
                true => {
                    self.row.push('"');
                    self.row += &field.replace('"', "\"\"");
                    self.row.push('"');
                }
                false => self.row += field,
            }
        }
        // An empty line would be passed over by readers.
        if count == 1 && self.row.is_empty() {
            self.row += "\"\"";
        }
        self.row.push('\n');
        self.output.write_all(self.row.as_bytes())
    }
}

/// The shortest digits that say a float32, where the column holds those.
fn json(column: &Column, cell: &Cell) -> String {
    match (column.holds, cell) {
        (Scalar::Float32, Cell::Float(value)) if value.is_finite() => {
            shortest(*value as f32).unwrap_or_else(|| cell.to_json())
        }
        (Scalar::Float32, Cell::List(cells)) => {
            let cells: Vec<_> = cells.iter().map(|cell| json(column, cell)).collect();
            format!("[{}]", cells.join(","))
        }
        _ => cell.to_json(),
    }
}

fn shortest(value: f32) -> Option<String> {
    serde_json::to_string(&value).ok()
}
