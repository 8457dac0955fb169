//! `gavel serve`: reads the files, opens the store and the ports, and runs until told to stop.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use features::Store;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;
use triton_client::{EndpointOptions, EndpointSet};

use crate::{
    admin::{self, Admin},
    admission::Admission,
    binding::{self, Decision, Decisions, Remote},
    config::{Config, TritonConfig},
    decision,
    decision_log::DecisionLog,
    diagnostic::{Diagnostic, Report, Severity},
    ingest::{Live, Types},
    ingress::{clients::Clients, entry::Entry, gate::Gate, grpc, http, server},
    local,
    pipeline::Gateway,
    pressure::{self, Pressure},
    telemetry::{self, Telemetry},
    watch::{self, Binder, FeastReadings},
};

/// Why the gateway did not start or did not stop well: a sentence for the person who runs it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

/// A gateway that is ready to be served, and what follows Triton and Feast for it.
#[derive(Debug)]
pub struct Service {
    /// What decides.
    pub gateway: Arc<Gateway>,
    binder: Binder,
}

impl Service {
    /// Reads the files and opens the store. Problems of the files go to `report`.
    ///
    /// # Errors
    /// A file has problems, the store cannot be opened, or the folder that was named for the decision
    /// log cannot be written to. An unreachable store or Triton is none.
    pub fn new(
        config: &Config,
        endpoints: Option<EndpointSet>,
        report: &mut Report,
    ) -> Result<Self, Failure> {
        let bound = decisions(config, endpoints, report);
        let Some((decisions, binder)) = bound.filter(|_| report.errors() == 0) else {
            return Err(Failure(
                "the files have problems; nothing is served until they are mended".into(),
            ));
        };
        let store = Store::open_for(&config.store_url, &binder.catalog)
            .map_err(|error| Failure(error.to_string()))?;
        let store = store.with_cache(config.store_cache);
        // What Feast's files say later changes nothing of events.
        let types = Types::new(Arc::new(binder.catalog.clone()));
        let gateway = Gateway {
            live: Live::start(types, store.clone()),
            decisions,
            store,
            admission: Admission::new(config.server.max_in_flight),
            pressure: Arc::new(Pressure::default()),
            clients: Clients::new(&config.clients),
            feast: binder
                .catalog
                .feast_store_url()
                .map(|_| FeastReadings::new()),
            telemetry: Telemetry::new(),
            log: DecisionLog::start(&config.decision_log, &config.kafka)?,
            max_body_bytes: config.server.max_body_bytes,
        };
        Ok(Self {
            gateway: Arc::new(gateway),
            binder,
        })
    }

    /// The public routes, HTTP and gRPC, and what tells gRPC clients their health.
    pub fn routes(&self, body_timeout: Duration) -> (Entry, grpc::Health) {
        let (grpc_routes, health) = grpc::routes(Arc::clone(&self.gateway));
        let routes = http::routes(Arc::clone(&self.gateway)).merge(grpc_routes);
        let entry = Entry::new(routes, Arc::clone(&self.gateway), body_timeout);
        (entry, health)
    }

    /// Measures whether the process keeps up, from now on, and sheds what it does not keep up with.
    fn watch_pressure(&self) -> Result<(), Failure> {
        let budgets = self.gateway.decisions.definitions().map(|d| d.budget);
        let target = pressure::target(budgets.min().unwrap_or(Duration::MAX));
        pressure::probe::start(Arc::clone(&self.gateway.pressure), target)
            .map_err(|error| Failure(format!("cannot measure the run queue: {error}")))
    }

    /// Binds decisions to what Triton serves and Feast says, until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let Self { gateway, binder } = self;
        watch::follow(&gateway.decisions, binder, gateway.feast.as_ref(), stop).await;
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The files have problems, the store cannot be opened, a port is taken, or some requests did not
/// finish in time at the end.
pub async fn run(config: Config, report: &mut Report) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let metrics =
        telemetry::install_recorder().map_err(|error| Failure(format!("metrics: {error}")))?;
    let public = listen(config.server.listen, "--listen").await?;
    let private = listen(config.server.admin_listen, "--admin-listen").await?;
    let drain_timeout = config.server.drain_timeout;
    let (stop, stop_admin) = (CancellationToken::new(), CancellationToken::new());
    let (gate, admin_gate) = (Gate::new(), Gate::new());
    admin_gate.open(admin::starting());
    let admin_serving = server::serve(
        private,
        admin_gate.clone(),
        stop_admin.clone(),
        drain_timeout,
    );
    tokio::spawn(admin_serving);
    let serving = server::serve(public, gate.clone(), stop.clone(), drain_timeout);
    let public_server = tokio::spawn(serving);

    let endpoints = endpoints(&config.triton)?;
    let service = Service::new(&config, endpoints.clone(), report)?;
    let gateway = Arc::clone(&service.gateway);
    let ready = Arc::new(AtomicBool::new(false));
    let admin = Admin {
        gateway: Arc::clone(&service.gateway),
        endpoints,
        metrics: metrics.clone(),
        ready: Arc::clone(&ready),
    };
    admin_gate.open(admin::routes(admin));
    tokio::spawn(upkeep(metrics, stop.clone()));
    service.watch_pressure()?;
    let (routes, health) = service.routes(config.server.body_timeout);
    if let Some(endpoints) = service.binder.remote.endpoints.clone() {
        let stop = stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(endpoints.follow_names()).await });
    }
    tokio::spawn(service.follow(stop.clone()));
    health.set(true).await;
    gate.open(routes);
    ready.store(true, Ordering::Release);
    tracing::info!(address = %config.server.listen, admin_address = %config.server.admin_listen, "serving");

    signals.next().await;
    tracing::info!("stopping: no new connections, finishing what is in flight");
    ready.store(false, Ordering::Release);
    health.close().await;
    stop.cancel();
    let drained = tokio::select! {
        drained = public_server => drained.unwrap_or(false),
        () = signals.next() => {
            gateway.log.close().await;
            return Err(Failure("told to stop at once; some requests did not finish".into()));
        }
    };
    gateway.log.close().await;
    stop_admin.cancel();
    if !drained {
        return Err(Failure(format!(
            "some requests did not finish within {drain_timeout:?}"
        )));
    }
    Ok(())
}

/// Every decision of the folder, bound to the models in process; Triton's come with `watch`.
fn decisions(
    config: &Config,
    endpoints: Option<EndpointSet>,
    report: &mut Report,
) -> Option<(Decisions, Binder)> {
    let written = decision::read_folder(&config.decisions, report)?;
    decision::check_settings(config, &written, report);
    for warning in report
        .diagnostics()
        .iter()
        .filter(|d| d.severity == Severity::Warning)
    {
        tracing::warn!(file = %warning.file.display(), hint = warning.hint.as_deref(), "{}", warning.message);
    }
    let remote = Remote {
        endpoints,
        refresh: Arc::new(Notify::new()),
    };
    let local = local::load(&config.models, written.definitions.values());
    let binder = Binder {
        catalog: written.catalog,
        remote,
        local,
    };
    let decisions = written.definitions.into_values().filter_map(|definition| {
        match binder.bind(&definition, &HashMap::new()) {
            Ok(bound) => {
                for issue in bound.issues.iter().filter(|issue| issue.is_local(&definition)) {
                    tracing::error!(decision = %definition.name, tier = %issue.tier, hint = issue.hint.as_deref(), "{}", issue.message);
                }
                Some(Decision::new(definition, bound))
            }
            Err(unbound) => {
                let problems = unbound.problems.into_iter();
                problems.for_each(|problem| report.push(problem.into()));
                None
            }
        }
    });
    let decisions = Decisions::new(decisions.collect());
    Some((decisions, binder))
}

impl From<binding::RuleProblem> for Diagnostic {
    fn from(problem: binding::RuleProblem) -> Self {
        Self {
            file: problem.file,
            span: Some(problem.span),
            key: problem.key,
            message: problem.error.message,
            hint: problem.error.hint,
            severity: Severity::Error,
        }
    }
}

/// Triton's endpoints, where there are any.
pub(crate) fn endpoints(config: &TritonConfig) -> Result<Option<EndpointSet>, Failure> {
    if config.endpoints.is_empty() {
        return Ok(None);
    }
    let options = EndpointOptions {
        slow_call: config.slow_call,
        max_in_flight: config.max_in_flight,
        ..EndpointOptions::default()
    };
    EndpointSet::new(&config.endpoints, options)
        .map(Some)
        .map_err(|error| Failure(error.to_string()))
}

async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("another program has the port: stop it, or choose another with {flag}")
            }
            _ => format!("choose another address with {flag}"),
        };
        Failure(format!("cannot listen on {address}: {error}; {hint}"))
    })
}

/// Folds histogram samples into their buckets, so that they do not pile up between scrapes.
pub(crate) async fn upkeep(
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            _ = ticks.tick() => metrics.run_upkeep(),
            () = stop.cancelled() => return,
        }
    }
}

/// SIGTERM and SIGINT, listened for from the start: the first process of a container has no other
/// handler, and a signal that comes while models are loaded must not be lost.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure(format!("cannot listen for signals: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
