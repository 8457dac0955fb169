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
    dial::Dial,
    endpoint::{Endpoint, EndpointState},
    error::{ControlError, EndpointError, InferError},
    infer::{InferRequest, InferResponse},
    options::EndpointOptions,
    proto::{
        ModelConfigRequest, ModelMetadataRequest, ModelReadyRequest, ModelStatisticsRequest,
        ServerLiveRequest, ServerMetadataRequest,
    },
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

    /// The model's metadata and configuration, as one endpoint has them.
    pub async fn describe(
        &self,
        model: &str,
        deadline: Instant,
    ) -> Result<ModelDescription, ControlError> {
        let endpoint = self.choose();
        learn_server(endpoint, deadline).await?;
        let request = ModelMetadataRequest {
            name: model.to_owned(),
            version: String::new(),
        };
        let metadata = endpoint
            .ask(
                |mut client| async move { client.model_metadata(request).await },
                deadline,
            )
            .await?;
        let request = ModelConfigRequest {
            name: model.to_owned(),
            version: String::new(),
        };
        let config = endpoint
            .ask(
                |mut client| async move { client.model_config(request).await },
                deadline,
            )
            .await?
            .config
            .ok_or_else(|| ControlError::Malformed {
                message: "it holds no configuration".into(),
            })?;
        ModelDescription::of_proto(metadata, config)
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
        learn_server(self.choose(), deadline).await
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

async fn learn_server(
    endpoint: &Endpoint,
    deadline: Instant,
) -> Result<ServerMetadata, ControlError> {
    let asked = endpoint.ask(
        |mut client| async move { client.server_metadata(ServerMetadataRequest {}).await },
        deadline,
    );
    let metadata = ServerMetadata::of_proto(asked.await?);
    endpoint.set_survives_cancellation(metadata.survives_cancellation());
    Ok(metadata)
}

impl fmt::Debug for EndpointSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.states()).finish()
    }
}
