//! What was found: a record a measurement, a table for people, charts.

mod record;

pub use record::{Record, RecordsError, Writer};
