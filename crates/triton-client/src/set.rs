//! The endpoints that serve the same models, behind one handle.
//!
//! Calls go to the endpoint with the fewest calls out among those whose breaker lets one
//! through. There are no retries here: whether there is time for one, the caller knows.

use std::{fmt, future::Future, io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use crate::{
    describe::describe,
    dial::Dial,
    endpoint::{Endpoint, EndpointState},
    error::{ControlError, EndpointError, InferError},
    infer::{InferRequest, InferResponse},
    options::EndpointOptions,
    proto::{ModelReadyRequest, ModelStatisticsRequest, ServerLiveRequest},
    server::{ModelDescription, ModelStatistics, ServerMetadata},
};

/// Triton endpoints that serve the same models. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct EndpointSet {
    first: Arc<Endpoint>,
    others: Arc<[Arc<Endpoint>]>,
}

impl EndpointSet {
    /// Endpoints at `http://host:port` (gRPC without TLS). Connects at the first call.
    pub fn new(urls: &[String], options: EndpointOptions) -> Result<Self, EndpointError> {
        let (first, others) = urls.split_first().ok_or(EndpointError::Empty)?;
        let endpoint = |url: &String| {
            let dial = Dial::tcp(url, &options)?;
            Ok(Endpoint::new(url.trim().into(), dial, options.clone()))
        };
        Ok(Self {
            first: endpoint(first)?,
            others: others.iter().map(endpoint).collect::<Result<_, _>>()?,
        })
    }

    /// One endpoint that is reached by `connect`, e.g. over an in-memory pipe.
    pub fn with_connector<C, F, S>(name: &str, connect: C, options: EndpointOptions) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let dial = Dial::custom(connect, &options);
        Self {
            first: Endpoint::new(name.into(), dial, options),
            others: Arc::new([]),
        }
    }

    /// Runs one inference and answers by `deadline`, whatever the server does; when nothing comes,
    /// the answer is as late as the timer, which may fire up to 2 ms late. So with less than that
    /// left, nothing is sent and the answer is [`InferError::Infeasible`].
    ///
    /// When the waiter leaves (at the deadline, or because this future is dropped), the call on
    /// the wire runs on by itself; see the crate's documentation for why.
    pub async fn infer(
        &self,
        request: InferRequest,
        deadline: Instant,
    ) -> Result<InferResponse, InferError> {
        self.choose().infer(request, deadline).await
    }

    /// How long a call of that model is expected to take at the best endpoint; `None` if no call
    /// completed within the last 5 s.
    pub fn predicted(&self, model: &str) -> Option<Duration> {
        let now = Instant::now();
        self.all()
            .filter_map(|endpoint| endpoint.times.predicted(model, now))
            .min()
    }

    /// The model as all endpoints have it, for whoever pins a version and may then be sent to any of
    /// them: its versions are those that every endpoint serves, and configuration and tensors are
    /// those of the newest of these. Left out, as long as another has the model, are endpoints that
    /// do not answer, that lack it, and whose breaker is open; each that answers learns whether its
    /// server outlives cancellation.
    ///
    /// While a new version is rolled out there may be no version that all serve: then they are those
    /// of the endpoint whose newest is the oldest.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if every endpoint that is asked says so; `Malformed` if two of
    /// them configure the version differently (other than by where instances run), or if the model
    /// keeps changing while it is asked about.
    pub async fn describe(
        &self,
        model: &str,
        deadline: Instant,
    ) -> Result<ModelDescription, ControlError> {
        let now = Instant::now();
        let admitted = self.all().filter(|endpoint| endpoint.would_admit(now));
        let mut asked: Vec<Arc<Endpoint>> = admitted.cloned().collect();
        if asked.is_empty() {
            asked.extend(self.all().cloned());
        }
        describe(&asked, model, deadline).await
    }

    /// Whether the model (or that version) is ready. A model that the server does not know is
    /// not ready; one whose process died may still say that it is.
    pub async fn model_ready(
        &self,
        model: &str,
        version: Option<&str>,
        deadline: Instant,
    ) -> Result<bool, ControlError> {
        let request = ModelReadyRequest {
            name: model.to_owned(),
            version: version.unwrap_or_default().to_owned(),
        };
        let asked = self.choose().ask(
            |mut client| async move { client.model_ready(request).await },
            deadline,
        );
        Ok(asked.await?.ready)
    }

    /// Whether the server answers at all.
    pub async fn server_live(&self, deadline: Instant) -> Result<bool, ControlError> {
        let asked = self.choose().ask(
            |mut client| async move { client.server_live(ServerLiveRequest {}).await },
            deadline,
        );
        Ok(asked.await?.live)
    }

    /// The server's name and version. From it, the endpoint learns whether its server outlives
    /// cancellation.
    pub async fn server_metadata(&self, deadline: Instant) -> Result<ServerMetadata, ControlError> {
        self.choose().learn_server(deadline).await
    }

    /// Counters by version, of one model or (`""`) of all.
    pub async fn statistics(
        &self,
        model: &str,
        deadline: Instant,
    ) -> Result<Vec<ModelStatistics>, ControlError> {
        let request = ModelStatisticsRequest {
            name: model.to_owned(),
            version: String::new(),
        };
        let asked = self.choose().ask(
            |mut client| async move { client.model_statistics(request).await },
            deadline,
        );
        Ok(asked
            .await?
            .model_stats
            .into_iter()
            .map(ModelStatistics::of_proto)
            .collect())
    }

    /// Every endpoint's state.
    pub fn states(&self) -> Vec<EndpointState> {
        self.all().map(|endpoint| endpoint.state()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        std::iter::once(&self.first).chain(self.others.iter())
    }

    fn choose(&self) -> &Arc<Endpoint> {
        if self.others.is_empty() {
            return &self.first;
        }
        let now = Instant::now();
        let rank = |endpoint: &&Arc<Endpoint>| (!endpoint.would_admit(now), endpoint.in_flight());
        self.all().min_by_key(rank).unwrap_or(&self.first)
    }
}

impl fmt::Debug for EndpointSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.states()).finish()
    }
}

#[cfg(test)]
mod tests;
