//! A scripted KServe v2 server for exact timing tests. Development only.
//!
//! ```
//! use std::time::Duration;
//! use fake_triton::{FakeModel, FakeTriton, Step};
//!
//! let fake = FakeTriton::new()
//!     .model(FakeModel::new("fraud").max_batch_size(64).input("features", "FP32", &[4]).output("score", "FP32", &[1]))
//!     .script("fraud", [Step::after(Duration::from_millis(20)), Step::error(14, "down"), Step::Hang]);
//! let connect = fake.connector(); // for EndpointSet::with_connector
//! # drop(connect);
//! assert_eq!(fake.calls("fraud"), 0);
//! ```
//!
//! Over [`FakeTriton::connector`] there is no kernel in between, only pipes in memory, so a test
//! with a paused clock is exact. Over [`FakeTriton::listen`] it is an ordinary server.
//!
//! The *n*-th call of a model takes the *n*-th [`Step`] of its script; when the script is used
//! up, calls are answered at once by the model's function. What is not here: validation as
//! Triton does it; for that, test against Triton.

mod fake;
mod model;
mod proto;
mod serve;
mod service;
mod step;

pub use fake::{Connector, FakeTriton};
pub use model::{FakeModel, ReceivedRequest, Tensor};
pub use step::Step;
