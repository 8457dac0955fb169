//! Tables of rows as CSV, JSON lines and Parquet: one reader and one writer for all three.
//!
//! ```text
//! file ── Reader ──► Row { position, name -> Cell } or RowError { position, why, raw }
//! [Cell] ── Writer ──► file.partial ── finish ──► file
//! ```
//! A row that cannot be read is an error of that row, with what is left of its text; reading goes on
//! behind it. Only a file that cannot be read any further is a [`TableError`].
//!
//! What is not here: what columns mean. Types of the Parquet library do not leave this crate.

mod cell;
mod error;
mod format;
mod read;
pub mod time;
mod write;

pub use cell::Cell;
pub use error::{Position, RowError, TableError};
pub use format::Format;
pub use read::{Progress, Reader, Row};
pub use write::{Column, Scalar, Writer};
