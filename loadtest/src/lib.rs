//! Load on Gavel, and what it costs. A development tool: the product never depends on it.
//!
//! ```text
//!   questions ──► wire (bytes of a question, answer of bytes) ──► load (when to ask, what came)
//!       └──► expected (which score each tier owes each question)       │
//!   pipe: the yardstick       os (CPU and memory of processes) ──► bench ──► report
//! ```
//! `load` decides when a question is sent and keeps the books; `wire` is how; `bench` starts real
//! servers and runs systems side by side; `report` writes what was found. `pipe` is the thinnest
//! program that does the same job as Gavel. `chaos` breaks real parts under a steady load and keeps
//! books of every request.

pub mod bench;
pub mod chaos;
pub mod expected;
pub mod load;
pub mod os;
pub mod pipe;
pub mod proto;
pub mod questions;
pub mod report;
pub mod wire;
