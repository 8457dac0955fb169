//! The log of decisions on disk: what a record holds, how segments are written, and read back to the bit.
//!
//! ```text
//!  Record ── LogWriter ──► NAME.decisions.open ── full or old ──► NAME.decisions ── too many ──► deleted
//!                                  │                                    │
//!                                  └────────── SegmentReader ◄──────────┘  blocks, damage, the cut
//! ```
//! A segment is written to its end and never changed. Each block of it can be read by itself, so what
//! is damaged or cut costs the records of its own block.
//!
//! What is not here: where records come from, and what is done with them.

mod block;
mod bytes;
mod codec;
mod directory;
mod error;
mod record;
mod segment;
mod writer;

pub use directory::{Segment, segments};
pub use error::{OpenError, ReadError, WriteError};
pub use record::{Cell, Field, Record, Schema, Skip, Status, Tensor, Value, ViewRow};
pub use segment::{Block, Damage, Piece, SegmentReader};
pub use writer::{LogWriter, Options, Written};
