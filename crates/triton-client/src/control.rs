//! Triton's HTTP control plane: which models there are, loading and unloading them.
//!
//! Source: the model repository extension of Triton's HTTP API (`v2/repository/…`) and the
//! health calls of KServe v2. Inference never goes this way.

use reqwest::{Client, Method, Response, Url};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::error::{ControlError, EndpointError};

/// A client of one server's HTTP port.
#[derive(Debug, Clone)]
pub struct Control {
    client: Client,
    base: Url,
}

/// One version of a model in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RepositoryEntry {
    /// The model's name.
    pub name: String,
    /// The version; empty for a model that was never loaded.
    #[serde(default)]
    pub version: String,
    /// `READY`, `UNAVAILABLE`, `LOADING`, `UNLOADING`; empty for a model that was never loaded.
    #[serde(default)]
    pub state: String,
    /// Why it is in that state, e.g. `unloaded`.
    #[serde(default)]
    pub reason: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Control {
    /// A client of `http://host:port` (8000 unless the server was told otherwise).
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        let wrong = |reason: &str| EndpointError::Url {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let base = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        if base.scheme() != "http" || base.cannot_be_a_base() {
            return Err(wrong("it must start with http://"));
        }
        let client = Client::builder()
            .build()
            .map_err(|error| wrong(&error.to_string()))?;
        Ok(Self { client, base })
    }

    /// Every version of every model that the repository holds or the server has loaded.
    pub async fn repository_index(
        &self,
        deadline: Instant,
    ) -> Result<Vec<RepositoryEntry>, ControlError> {
        let response = self
            .call(Method::POST, &["v2", "repository", "index"], deadline)
            .await?;
        let body = response.json();
        match timeout_at(deadline, body).await {
            Ok(entries) => entries.map_err(|error| ControlError::Malformed {
                message: error.to_string(),
            }),
            Err(_) => Err(ControlError::Deadline),
        }
    }

    /// Loads a model, or loads it anew; returns when it is ready. The server must run with
    /// `--model-control-mode=explicit`. An ensemble brings its steps with it.
    pub async fn load(&self, model: &str, deadline: Instant) -> Result<(), ControlError> {
        let path = ["v2", "repository", "models", model, "load"];
        self.call(Method::POST, &path, deadline).await.map(drop)
    }

    /// Unloads a model; returns at once, before what is in flight has finished.
    pub async fn unload(&self, model: &str, deadline: Instant) -> Result<(), ControlError> {
        let path = ["v2", "repository", "models", model, "unload"];
        self.call(Method::POST, &path, deadline).await.map(drop)
    }

    /// Whether the server says that it and all its models are ready. It does not while any model
    /// loads, so gate on a model's readiness and not on this.
    pub async fn server_ready(&self, deadline: Instant) -> Result<bool, ControlError> {
        self.ready(&["v2", "health", "ready"], deadline).await
    }

    /// Whether a model is ready; false for one that the server does not know.
    pub async fn model_ready(&self, model: &str, deadline: Instant) -> Result<bool, ControlError> {
        self.ready(&["v2", "models", model, "ready"], deadline)
            .await
    }

    async fn ready(&self, path: &[&str], deadline: Instant) -> Result<bool, ControlError> {
        match self.call(Method::GET, path, deadline).await {
            Ok(_) => Ok(true),
            Err(ControlError::Refused { .. } | ControlError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        deadline: Instant,
    ) -> Result<Response, ControlError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        let send = self.client.request(method, url).send();
        let response = match timeout_at(deadline, send).await {
            Ok(sent) => sent.map_err(|error| ControlError::Unreachable {
                message: chain(&error),
            })?,
            Err(_) => return Err(ControlError::Deadline),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let message = match timeout_at(deadline, response.json::<Refusal>()).await {
            Ok(Ok(refusal)) => refusal.error,
            _ => format!("HTTP status {status}"),
        };
        Err(match status {
            http::StatusCode::NOT_FOUND => ControlError::NotFound { message },
            _ => ControlError::Refused { message },
        })
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
