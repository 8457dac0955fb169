//! What the fake does with one call.

use std::time::Duration;

/// One step of a script: what happens to one call of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Answers after a delay.
    Answer {
        /// How long after the call came in.
        after: Duration,
    },
    /// Fails.
    Error {
        /// gRPC's code by number, e.g. 14 for UNAVAILABLE.
        code: i32,
        /// Its message.
        message: String,
        /// How long after the call came in.
        after: Duration,
    },
    /// Never answers.
    Hang,
    /// Answers with an empty buffer for every output, as a broken Python backend does.
    ZeroBytes,
    /// Answers with so many bytes for every output, whatever its shape.
    Bytes(usize),
    /// Answers without any output.
    NoOutputs,
    /// The server dies with every connection, and stays dead until [`crate::FakeTriton::revive`].
    Die,
}

impl Step {
    /// Answers at once.
    pub fn now() -> Self {
        Self::after(Duration::ZERO)
    }

    /// Answers after a delay.
    pub fn after(after: Duration) -> Self {
        Self::Answer { after }
    }

    /// Fails at once, with gRPC's code by number.
    pub fn error(code: i32, message: &str) -> Self {
        Self::Error {
            code,
            message: message.to_owned(),
            after: Duration::ZERO,
        }
    }
}
