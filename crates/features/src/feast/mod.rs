//! Feast's online store in Redis, read byte for byte as Feast 0.67 writes it.
//!
//! ```text
//! feature_store.yaml ── settings ──► where the registry is, which Redis
//! registry.db ───────── registry ──► views: join keys, types, ttl ──► views of the catalog
//! a request's entities ── key ─────► one HMGET an entity ── value ──► cells
//! ```
//! The protobuf messages are those of `proto/feast`, by their field numbers.

mod connection;
mod hash;
mod inspect;
mod key;
mod proto;
mod registry;
mod repository;
mod settings;
#[cfg(test)]
pub(crate) mod testing;
mod value;
mod value_type;

pub(crate) use hash::{FeastHash, FeastRead, reads};
pub use inspect::{FeastField, FeastReadError, FeastRow};
pub(crate) use registry::{FeastFeature, FeastView};
pub use repository::{FeastProblem, FeastRepository, Reloaded};
