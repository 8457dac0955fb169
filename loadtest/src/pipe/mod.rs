//! The bare pipe: the thinnest program that does the job of Gavel's fraud decision, written by hand
//! for that one decision. It is the yardstick that Gavel is measured against.
//!
//! ```text
//! JSON ──► one MGET ──► 36 floats ──► one ModelInfer of one row ──► JSON
//! ```
//! Its store holds a small packed row of finished numbers a card and a store, which it writes for
//! itself: it reads them in one round trip, as Gavel reads its window states, and evaluates nothing.
//! No deadline, no fallback, no log, no metric, no merging. An error closes the connection.

mod payment;
mod server;
mod stored;
mod tensor;
mod triton;

pub use payment::Payment;
pub use server::serve;
pub use tensor::FEATURES;
pub use triton::{INPUT, MODEL, raw, score_request};

use bytes::Bytes;
use redis::aio::MultiplexedConnection;

use crate::proto::triton::grpc_inference_service_client::GrpcInferenceServiceClient;

/// The two connections that every request shares.
#[derive(Clone, Debug)]
pub struct Pipe {
    store: MultiplexedConnection,
    triton: GrpcInferenceServiceClient<tonic::transport::Channel>,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// The body is no payment.
    #[error("the body: {0}")]
    Body(#[from] serde_json::Error),
    /// The body did not come.
    #[error("the connection: {0}")]
    Connection(#[from] hyper::Error),
    /// The store.
    #[error("the store: {0}")]
    Store(#[from] redis::RedisError),
    /// A row to be written lacks something.
    #[error("a row of the store: it has no `{0}`")]
    Row(String),
    /// Triton.
    #[error("Triton: {0}")]
    Triton(#[from] tonic::Status),
    /// Triton's URL, or no connection to it.
    #[error("Triton: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Not four bytes.
    #[error("Triton's answer has no score")]
    NoScore,
}

impl Pipe {
    /// Connects to both.
    ///
    /// # Errors
    /// Either cannot be reached.
    pub async fn connect(store: &str, triton: &str) -> Result<Self, PipeError> {
        let client = redis::Client::open(store)?;
        Ok(Self {
            store: client.get_multiplexed_async_connection().await?,
            triton: triton::connect(triton).await?,
        })
    }

    /// Writes rows to the store: JSON lines of `gavel features history --views=card,store --status`.
    ///
    /// # Errors
    /// A line is no such row, or the store does not answer.
    pub async fn write_rows(&self, lines: &str) -> Result<(), PipeError> {
        stored::write(self.store.clone(), lines).await
    }

    /// The tensor of a payment, with what the store holds.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn features(&self, payment: &Payment<'_>) -> Result<[f32; FEATURES], PipeError> {
        let (card, store) = stored::read(self.store.clone(), payment).await?;
        Ok(tensor::tensor(payment, card.as_ref(), store.as_ref()))
    }

    /// A JSON question to a JSON answer.
    ///
    /// # Errors
    /// As [`PipeError`] says.
    pub async fn answer(&self, question: &[u8]) -> Result<Bytes, PipeError> {
        let payment: Payment<'_> = serde_json::from_slice(question)?;
        let features = self.features(&payment).await?;
        let score = triton::score(self.triton.clone(), &features).await?;
        Ok(payment::answer(&payment.id, score))
    }
}
