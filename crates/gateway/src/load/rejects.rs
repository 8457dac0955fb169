//! Rows that were not loaded, written aside: a JSON line each, with where it was, why, and the row.
//!
//! ```json
//! {"file":"rows.csv","position":"line 7","reason":"`x` is float32, …","row":{"card_id":"1","x":"a"}}
//! {"file":"rows.csv","position":"line 8","reason":"the row has 1 field, …","raw":"2"}
//! ```

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::json;
use tables::{Position, Row, RowError};

use crate::serve::Failure;

/// A file that is made when there is something to put into it.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    open: Option<BufWriter<File>>,
}

impl Rejects {
    pub(crate) fn into(path: &Path) -> Rejects {
        Rejects {
            path: path.to_owned(),
            open: None,
        }
    }

    /// `FILE.rejected.jsonl`.
    pub fn beside(file: &Path) -> Rejects {
        let mut path = match file == Path::new("-") {
            true => "stdin".into(),
            false => file.as_os_str().to_owned(),
        };
        path.push(".rejected.jsonl");
        Rejects::into(Path::new(&path))
    }

    /// Keeps a row that was read and is none of its view.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn row(&mut self, file: &Path, row: &Row, why: &str) -> Result<(), Failure> {
        let line = format!(
            "{},\"row\":{}}}",
            self::head(file, row.position, why),
            row.to_json()
        );
        self.line(&line)
    }

    /// Keeps what is left of a row that was not read.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn unread(&mut self, file: &Path, error: &RowError) -> Result<(), Failure> {
        let line = format!(
            "{},\"rows\":{},\"raw\":{}}}",
            self::head(file, error.position, &error.why),
            error.rows,
            json!(error.raw)
        );
        self.line(&line)
    }

    /// Its path, if there is anything in it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> Result<Option<PathBuf>, Failure> {
        let Some(mut open) = self.open else {
            return Ok(None);
        };
        match open.flush() {
            Ok(()) => Ok(Some(self.path)),
            Err(error) => Err(failed(&self.path, &error)),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let file = File::create(&self.path).map_err(|error| failed(&self.path, &error))?;
                self.open.insert(BufWriter::new(file))
            }
        };
        writeln!(open, "{line}").map_err(|error| failed(&self.path, &error))
    }
}

/// A JSON object that is not closed yet.
fn head(file: &Path, position: Position, why: &str) -> String {
    format!(
        "{{\"file\":{},\"position\":{},\"reason\":{}",
        json!(file.display().to_string()),
        json!(position.to_string()),
        json!(why)
    )
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure(format!(
        "rejected rows cannot be kept in {}: {error}; name another file with --rejects",
        path.display()
    ))
}
