//! The server's handle: its models, their scripts and what has happened so far.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{
    io::DuplexStream,
    net::TcpListener,
    sync::Notify,
    task::{AbortHandle, JoinHandle},
};

use crate::{
    model::{FakeModel, ReceivedRequest},
    serve::serve,
    step::Step,
};

/// Size of an in-memory pipe, in bytes.
const PIPE_BYTES: usize = 1 << 20;

/// A function that opens a new in-memory connection to the fake.
pub type Connector =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>> + Send + Sync>;

/// A scripted server. Cloning gives another handle to the same one.
#[derive(Clone, Default)]
pub struct FakeTriton {
    pub(crate) shared: Arc<Mutex<Shared>>,
    pub(crate) goes_away: Arc<Notify>,
}

#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) version: Option<String>,
    pub(crate) models: HashMap<String, Hosted>,
    pub(crate) frozen: bool,
    dead: bool,
    connections: Vec<AbortHandle>,
    opened: usize,
}

pub(crate) struct Hosted {
    pub(crate) model: FakeModel,
    pub(crate) script: VecDeque<Step>,
    pub(crate) ready: bool,
    pub(crate) calls: usize,
    pub(crate) abandoned: usize,
    pub(crate) last: Option<ReceivedRequest>,
}

impl FakeTriton {
    /// A server without models that calls itself version 2.51.0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls itself another version.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.shared.lock().version = Some(version.to_owned());
        self
    }

    /// Adds a model, or replaces the one of that name; its script and counters start anew.
    #[must_use]
    pub fn model(self, model: FakeModel) -> Self {
        self.put_model(model);
        self
    }

    /// Appends to a model's script.
    ///
    /// # Panics
    /// If there is no such model.
    #[must_use]
    pub fn script(self, model: &str, steps: impl IntoIterator<Item = Step>) -> Self {
        self.push(model, steps);
        self
    }

    /// [`Self::model`] on a running server.
    pub fn put_model(&self, model: FakeModel) {
        let hosted = Hosted {
            script: VecDeque::new(),
            ready: true,
            calls: 0,
            abandoned: 0,
            last: None,
            model,
        };
        self.shared
            .lock()
            .models
            .insert(hosted.model.name.clone(), hosted);
    }

    /// [`Self::script`] on a running server.
    ///
    /// # Panics
    /// If there is no such model.
    pub fn push(&self, model: &str, steps: impl IntoIterator<Item = Step>) {
        self.with(model, |hosted| hosted.script.extend(steps));
    }

    /// Forgets what is left of a model's script.
    ///
    /// # Panics
    /// If there is no such model.
    pub fn clear_script(&self, model: &str) {
        self.with(model, |hosted| hosted.script.clear());
    }

    /// Whether the model is ready; if not, calls get what Triton answers while it loads.
    ///
    /// # Panics
    /// If there is no such model.
    pub fn set_ready(&self, model: &str, ready: bool) {
        self.with(model, |hosted| hosted.ready = ready);
    }

    /// From now on every call hangs, as in a stopped process; those that hang are answered after
    /// [`Self::thaw`]. Connections stay up.
    pub fn freeze(&self) {
        self.shared.lock().frozen = true;
    }

    /// Ends [`Self::freeze`]; calls that came in meanwhile are answered within 10 ms.
    pub fn thaw(&self) {
        self.shared.lock().frozen = false;
    }

    /// Ends every connection and refuses new ones.
    pub fn die(&self) {
        let mut shared = self.shared.lock();
        shared.dead = true;
        shared
            .connections
            .drain(..)
            .for_each(|connection| connection.abort());
    }

    /// Says GOAWAY on every connection: calls on it are finished, then it ends. New ones are accepted.
    pub fn go_away(&self) {
        self.goes_away.notify_waiters();
    }

    /// Accepts connections again.
    pub fn revive(&self) {
        self.shared.lock().dead = false;
    }

    /// Inferences of the model that came in.
    pub fn calls(&self, model: &str) -> usize {
        self.shared
            .lock()
            .models
            .get(model)
            .map_or(0, |hosted| hosted.calls)
    }

    /// Inferences of the model that ended before they were answered: the client cancelled them,
    /// or their connection ended.
    pub fn abandoned(&self, model: &str) -> usize {
        self.shared
            .lock()
            .models
            .get(model)
            .map_or(0, |hosted| hosted.abandoned)
    }

    /// The last inference of the model that came in.
    pub fn last_request(&self, model: &str) -> Option<ReceivedRequest> {
        self.shared
            .lock()
            .models
            .get(model)
            .and_then(|hosted| hosted.last.clone())
    }

    /// Connections that were ever opened.
    pub fn connections(&self) -> usize {
        self.shared.lock().opened
    }

    /// Opens in-memory connections; give it to `EndpointSet::with_connector`.
    pub fn connector(&self) -> Connector {
        let fake = self.clone();
        Arc::new(move || {
            let fake = fake.clone();
            Box::pin(async move {
                let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
                if fake.attach(|fake| tokio::spawn(serve(fake, ours))) {
                    Ok(theirs)
                } else {
                    Err(io::Error::new(
                        io::ErrorKind::ConnectionRefused,
                        "the fake is dead",
                    ))
                }
            })
        })
    }

    /// Serves on a free port of the loopback interface until the runtime ends.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn listen(&self) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let fake = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                fake.attach(|fake| tokio::spawn(serve(fake, stream)));
            }
        });
        Ok(address)
    }

    /// Keeps a new connection for [`Self::die`]; false if the fake is dead.
    fn attach(&self, connect: impl FnOnce(Self) -> JoinHandle<()>) -> bool {
        let mut shared = self.shared.lock();
        if shared.dead {
            return false;
        }
        shared.opened += 1;
        shared
            .connections
            .retain(|connection| !connection.is_finished());
        shared
            .connections
            .push(connect(self.clone()).abort_handle());
        true
    }

    #[expect(
        clippy::panic,
        reason = "a test that scripts a model which is not there is wrong"
    )]
    fn with(&self, model: &str, change: impl FnOnce(&mut Hosted)) {
        match self.shared.lock().models.get_mut(model) {
            Some(hosted) => change(hosted),
            None => panic!("the fake has no model `{model}`: add it with FakeTriton::model"),
        }
    }
}

impl fmt::Debug for FakeTriton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared.lock();
        f.debug_struct("FakeTriton")
            .field("models", &shared.models.keys())
            .finish_non_exhaustive()
    }
}
