//! The endpoints that serve the same models, behind one handle.
//!
//! Inference goes through [`Scheduler`]s; control questions go to the endpoint with the fewest calls
//! out among those whose breaker lets one through.

use std::{
    fmt,
    future::Future,
    io,
    sync::{Arc, Weak},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use crate::{
    describe::describe,
    dial::Dial,
    endpoint::{Endpoint, EndpointState},
    error::{ControlError, EndpointError},
    members::Members,
    names::{self, Name},
    options::EndpointOptions,
    proto::{ModelReadyRequest, ModelStatisticsRequest, ServerLiveRequest},
    schedule::{Batching, QueueState, Scheduler},
    server::{ModelDescription, ModelStatistics, ServerMetadata},
};

/// Triton endpoints that serve the same models. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct EndpointSet {
    members: Arc<Members>,
}

impl EndpointSet {
    /// Endpoints at `http://host:port` (gRPC without TLS), `unix:/path/to/socket`, or all those behind
    /// `dns://host:port` (see [`Self::follow_names`]). Each connects at its first call.
    ///
    /// # Errors
    /// A URL names no endpoint, or there is none.
    pub fn new(urls: &[String], options: EndpointOptions) -> Result<Self, EndpointError> {
        if urls.is_empty() {
            return Err(EndpointError::Empty);
        }
        let (mut dials, mut names) = (Vec::new(), Vec::new());
        for url in urls {
            match Name::parse(url) {
                Some(name) => names.push(name?),
                None => dials.push(Dial::to(url, &options)?),
            }
        }
        let members = Members::new(names, options);
        for dial in dials {
            members.add(dial.endpoint(&members.options));
        }
        Ok(Self { members })
    }

    /// Resolves the names among the URLs again and again, and lets the endpoints follow. Never ends.
    pub async fn follow_names(&self) {
        let names = self.members.names.iter();
        let followed = names.map(|name| name.follow(&self.members, names::system));
        futures::future::join_all(followed).await;
        std::future::pending().await
    }

    /// One endpoint that is reached by `connect`, e.g. over an in-memory pipe.
    pub fn with_connector<C, F, S>(name: &str, connect: C, options: EndpointOptions) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let set = Self {
            members: Members::new(Vec::new(), options),
        };
        set.add_with_connector(name, connect);
        set
    }

    /// Another endpoint that is reached by `connect`.
    pub fn add_with_connector<C, F, S>(&self, name: &str, connect: C)
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let options = &self.members.options;
        let dial = Dial::custom(name, connect, options);
        self.members.add(dial.endpoint(options));
    }

    /// Another endpoint, however its URL is written; it is given calls from now on. False if it was
    /// already.
    ///
    /// # Errors
    /// The URL names no endpoint.
    pub fn add(&self, url: &str) -> Result<bool, EndpointError> {
        let options = &self.members.options;
        let dial = Dial::to(url, options)?;
        Ok(self.members.add(dial.endpoint(options)))
    }

    /// The endpoint of that URL is given no more calls; those that are out are answered. False if it
    /// was given none. One that a `dns://` name has too is [`withdrawn`](Self::withdrawn).
    pub fn remove(&self, url: &str) -> bool {
        match Dial::to(url, &self.members.options) {
            Ok(dial) => self.members.remove(dial.name()),
            // What a test connects is known by any name.
            Err(_) => self.members.remove(url),
        }
    }

    /// Endpoints that were removed although a `dns://` name has their addresses, by URL: they are
    /// given no calls until they are added again, or until no name has had them for once.
    pub fn withdrawn(&self) -> Vec<Arc<str>> {
        self.members.withdrawn()
    }

    /// Asks one model on behalf of one decision (`flow`). Whoever asks the same version with the same
    /// `batching` waits in the same queue, whose calls the flows share fairly.
    pub fn scheduler(
        &self,
        model: &str,
        version: Option<&str>,
        batching: Batching,
        flow: &str,
    ) -> Scheduler {
        Scheduler::new(&self.members, model, version, batching, flow)
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
        let all = self.members.endpoints();
        let admitted = all.iter().filter(|endpoint| endpoint.would_admit(now));
        let mut asked: Vec<Arc<Endpoint>> = admitted.cloned().collect();
        if asked.is_empty() {
            asked.extend(all.iter().cloned());
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
        let endpoint = self.choose()?;
        let asked = endpoint.ask(
            |mut client| async move { client.model_ready(request).await },
            deadline,
        );
        Ok(asked.await?.ready)
    }

    /// Whether the server answers at all.
    pub async fn server_live(&self, deadline: Instant) -> Result<bool, ControlError> {
        let endpoint = self.choose()?;
        let asked = endpoint.ask(
            |mut client| async move { client.server_live(ServerLiveRequest {}).await },
            deadline,
        );
        Ok(asked.await?.live)
    }

    /// The server's name and version. From it, the endpoint learns whether its server outlives
    /// cancellation.
    pub async fn server_metadata(&self, deadline: Instant) -> Result<ServerMetadata, ControlError> {
        self.choose()?.learn_server(deadline).await
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
        let endpoint = self.choose()?;
        let asked = endpoint.ask(
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
        let endpoints = self.members.endpoints();
        endpoints.iter().map(|endpoint| endpoint.state()).collect()
    }

    /// Every queue's state: one for each model, version and batching that is asked.
    pub fn queues(&self) -> Vec<QueueState> {
        let models = self.members.models.lock();
        let models: Vec<_> = models.values().filter_map(Weak::upgrade).collect();
        models.iter().map(|model| model.state()).collect()
    }

    fn choose(&self) -> Result<Arc<Endpoint>, ControlError> {
        let now = Instant::now();
        let rank = |endpoint: &&Arc<Endpoint>| (!endpoint.would_admit(now), endpoint.in_flight());
        let endpoints = self.members.endpoints();
        let chosen = endpoints.iter().min_by_key(rank);
        chosen.cloned().ok_or_else(|| ControlError::Unreachable {
            message: "there is no endpoint".to_owned(),
        })
    }
}

impl fmt::Debug for EndpointSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.states()).finish()
    }
}

#[cfg(test)]
mod tests;
