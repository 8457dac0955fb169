//! Errors, by whose fault they are: the caller's, the model's, the server's, or time's.
//!
//! Triton says much by the words of a message alone, and some releases use other codes for the
//! same thing, so [`InferError::of_status`] reads the code and the words. The words are those of
//! tritonserver 2.51.0; a test holds each of them against the real server.

use std::{error::Error, time::Duration};

use tonic::{Code, Status};

/// What is wrong with a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelFault {
    /// The server does not know a model of that name.
    Unknown,
    /// The version that was asked for is not served, or no longer.
    VersionGone,
    /// It is loading, was unloaded, or the server is shutting down.
    NotReady,
    /// It failed on this input.
    Failed,
    /// It answered something that its own types and shapes contradict.
    WrongOutput,
}

/// Why there is no inference result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// The request does not fit the model: names, shapes, data types, byte sizes.
    #[error("the request does not fit the model: {message}")]
    Caller {
        /// Triton's words.
        message: String,
    },
    /// The model is missing, not ready, failed, or answered nonsense.
    #[error("the model is at fault: {message}")]
    Model {
        /// What is wrong with it.
        fault: ModelFault,
        /// Triton's words, or ours where its answer contradicts itself.
        message: String,
    },
    /// The server or the way to it.
    #[error("the server is at fault: {message}")]
    Server {
        /// Triton's or the transport's words.
        message: String,
    },
    /// No answer by the deadline. The call may still run.
    #[error("no answer by the deadline")]
    Deadline,
    /// Nothing was sent: the answer is not expected in time.
    #[error("an answer is expected to take {predicted:?}, which is past the deadline")]
    Infeasible {
        /// How long a call is expected to take; at least the timer's resolution.
        predicted: Duration,
    },
    /// Nothing was sent: the endpoint failed too often lately.
    #[error("the endpoint's breaker is open")]
    BreakerOpen,
    /// Nothing was sent because too many calls are out, or Triton's own queue refused the call.
    #[error("the endpoint is overloaded")]
    Overloaded,
}

impl InferError {
    /// The version that was asked for is not served any more: ask for the current one.
    pub fn is_version_gone(&self) -> bool {
        matches!(
            self,
            Self::Model {
                fault: ModelFault::VersionGone,
                ..
            }
        )
    }

    /// The model may become available by itself.
    pub fn is_not_ready(&self) -> bool {
        matches!(
            self,
            Self::Model {
                fault: ModelFault::NotReady | ModelFault::VersionGone,
                ..
            }
        )
    }

    pub(crate) fn wrong_output(message: impl Into<String>) -> Self {
        Self::Model {
            fault: ModelFault::WrongOutput,
            message: message.into(),
        }
    }

    pub(crate) fn of_status(status: &Status) -> Self {
        if status.source().is_some() {
            return Self::Server {
                message: with_sources(status),
            };
        }
        Self::classify(status.code(), status.message())
    }

    fn classify(code: Code, message: &str) -> Self {
        let model = |fault| Self::Model {
            fault,
            message: message.to_owned(),
        };
        if message.contains("is not at ready state") {
            return model(ModelFault::VersionGone);
        }
        match code {
            Code::NotFound if message.contains("has no available versions") => {
                model(ModelFault::NotReady)
            }
            Code::NotFound if names_a_version(message) => model(ModelFault::VersionGone),
            Code::NotFound => model(ModelFault::Unknown),
            Code::InvalidArgument | Code::Unimplemented | Code::FailedPrecondition => {
                Self::Caller {
                    message: message.to_owned(),
                }
            }
            // tonic's own, for an answer over our limit
            Code::OutOfRange => model(ModelFault::WrongOutput),
            Code::Internal if message.starts_with("Stub process") => Self::Server {
                message: message.to_owned(),
            },
            Code::Internal => model(ModelFault::Failed),
            Code::Unavailable
                if message.contains("Exceeds maximum queue size")
                    || message.contains("Request timeout expired") =>
            {
                Self::Overloaded
            }
            _ => Self::Server {
                message: message.to_owned(),
            },
        }
    }
}

/// `…unknown model: 'mlp' version 7 is not found`
fn names_a_version(message: &str) -> bool {
    message
        .rsplit_once('\'')
        .is_some_and(|(_, rest)| rest.starts_with(" version "))
}

/// A transport error's own message says little ("transport error"); its causes say what happened.
fn with_sources(status: &Status) -> String {
    let mut message = status.message().to_owned();
    let mut source = status.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !message.contains(&words) {
            message.push_str(": ");
            message.push_str(&words);
        }
        source = cause.source();
    }
    message
}

/// Why an endpoint cannot be made from what was configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No URL was given.
    #[error("no endpoint is given: at least one URL such as http://127.0.0.1:8001 is needed")]
    Empty,
    /// The URL does not name a server.
    #[error("`{url}` is not the URL of a Triton endpoint: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a question to the control plane has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The server knows no such model or version.
    #[error("not found: {message}")]
    NotFound {
        /// Triton's words.
        message: String,
    },
    /// The server declined.
    #[error("refused: {message}")]
    Refused {
        /// Triton's words.
        message: String,
    },
    /// No connection, or it broke.
    #[error("unreachable: {message}")]
    Unreachable {
        /// The transport's words.
        message: String,
    },
    /// The answer makes no sense.
    #[error("the server's answer makes no sense: {message}")]
    Malformed {
        /// What is wrong with it.
        message: String,
    },
    /// No answer by the deadline.
    #[error("no answer by the deadline")]
    Deadline,
}

impl ControlError {
    /// The task that asked ended without a word: it panicked, or the runtime is shutting down.
    pub(crate) fn abandoned() -> Self {
        Self::Unreachable {
            message: "the call was abandoned".to_owned(),
        }
    }

    pub(crate) fn of_status(status: &Status) -> Self {
        if status.source().is_some() {
            return Self::Unreachable {
                message: with_sources(status),
            };
        }
        let message = status.message().to_owned();
        match status.code() {
            Code::NotFound => Self::NotFound { message },
            // version retired, or a model that is not loaded: Triton says UNAVAILABLE for both
            Code::Unavailable if message.contains("not at ready state") => {
                Self::NotFound { message }
            }
            Code::Unavailable | Code::Cancelled | Code::Unknown => Self::Unreachable { message },
            _ => Self::Refused { message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_gone_is_never_the_callers_fault() {
        for code in [Code::Unavailable, Code::InvalidArgument, Code::NotFound] {
            let words = "Request for unknown model: 'mlp' version 1 is not at ready state";
            assert!(
                InferError::classify(code, words).is_version_gone(),
                "{code:?}"
            );
        }
    }

    #[test]
    fn tritons_own_queue_is_overload() {
        for words in ["Exceeds maximum queue size", "Request timeout expired"] {
            assert_eq!(
                InferError::classify(Code::Unavailable, words),
                InferError::Overloaded
            );
        }
    }
}
