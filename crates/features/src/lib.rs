//! Features: what they are, where they are stored, and how a request's are assembled into tensors.
//!
//! ```text
//! features.toml ── Catalog::parse ──► Catalog ┐
//! a decision's request ── RequestSchema ──────┼── Plan::compile ──► Plan
//! names that models and rules use ────────────┘                      │
//!                                                                    │ per request
//! RequestRow ── Plan::assemble (one call to the Store) ──► FeatureRow ── TensorLayout::write ──► bytes
//! ```
//! Views may be made from events: `events` reads those, `windows` counts them and says at any moment
//! what they come to.
//!
//! Assembly never fails: what cannot be had in time is its default, and is marked missing.
//!
//! What is not here: the decision's TOML, models and their configurations, HTTP. Types of Redis and
//! of the embedded store do not leave this crate.

mod assemble;
mod catalog;
pub mod events;
mod feast;
mod feature_row;
mod given;
mod hash_row;
mod history;
mod key;
pub mod load;
mod plan;
mod restore;
mod row;
mod schema;
mod state_header;
mod store;
mod suggest;
mod tensor;
mod transform;
mod value;
pub mod windows;

pub use catalog::{Catalog, Problem};
#[doc(hidden)]
pub use feast::fuzz_field as fuzz_feast_field;
pub use feast::{FeastField, FeastProblem, FeastReadError, FeastRepository, FeastRow};
pub use feature_row::{Column, FeatureRow, Source, Status, StoreOutcome};
pub use given::Given;
pub use history::{History, HistoryError, Outcome, about_views};
pub use key::StateKey;
pub use plan::{ColumnId, Plan, PlanError};
pub use restore::{Kept, RestoreError};
pub use row::Row;
pub use schema::{EntityField, InputField, RequestRow, RequestSchema};
pub use state_header::{new_revision, revision};
pub use store::{CacheLimits, CacheUsage, StateWrite, Store, StoreError, Written};
pub use tensor::{TensorDtype, TensorLayout};
pub use value::{Dtype, Scalar, Value};
