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
pub use repository::{FeastProblem, FeastRepository};

/// Reads the bytes of a field in every way that there is. For the fuzz target.
#[doc(hidden)]
pub fn fuzz_field(bytes: &[u8]) {
    use crate::value::{Dtype, Scalar};
    let _ = value::decode_time(bytes);
    let Ok(Some(stored)) = value::decode(bytes) else {
        return;
    };
    stored.to_json();
    for of in Scalar::ALL {
        let _ = stored.clone().into_feature(Dtype::from(of));
        let _ = stored.clone().into_feature(Dtype::List { of, length: 3 });
    }
}
