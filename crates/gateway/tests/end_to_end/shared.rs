//! One tritonserver for the tests that want one, as long as any of them runs or waits for it:
//! its models take seconds to load.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use testkit::Triton;

use crate::support::{eventually, files, gateway::Gateway};

/// A tritonserver that several tests use, one after the other.
pub(crate) type Shared = Arc<tokio::sync::Mutex<Triton>>;

/// The server of this repository's models. Take it before waiting for a turn, so that it lives on
/// until then.
pub(crate) fn triton() -> Shared {
    static RUNNING: Mutex<Weak<tokio::sync::Mutex<Triton>>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let triton = Triton::start(&files::root("model_repository"));
        let shared = Arc::new(tokio::sync::Mutex::new(triton));
        *running = Arc::downgrade(&shared);
        shared
    })
}

impl Gateway {
    /// Waits until the primary tier answers, and gives its answer.
    pub(crate) async fn until_primary(&self) -> serde_json::Value {
        eventually("the primary tier answers", async || {
            let decision = self.decide(&files::payment()).await;
            (decision["tier"] == "primary").then_some(decision)
        })
        .await
    }
}
