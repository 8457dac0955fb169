//! The admin port: metrics, probes, why a tier is not ready, which endpoints there are, and what a
//! decision sees.

mod endpoints;
mod features;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Json, Router,
    extract::State,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use triton_client::EndpointSet;

use crate::{
    binding::Decision,
    decision::TierDefinition,
    pipeline::Gateway,
    telemetry::{store, triton},
};

/// What the admin port shows.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The gateway itself.
    pub gateway: Arc<Gateway>,
    /// Triton's endpoints, where there are any.
    pub endpoints: Option<EndpointSet>,
    /// The process's metrics.
    pub metrics: PrometheusHandle,
    /// Whether requests are welcome.
    pub ready: Arc<AtomicBool>,
}

/// The admin port while the gateway starts.
pub fn starting() -> Router {
    Router::new()
        .route("/livez", get(livez))
        .fallback(not_ready)
}

/// What an ingestion shows: its metrics, and that it lives.
pub fn ingesting(metrics: PrometheusHandle) -> Router {
    let render = move || {
        let metrics = metrics.clone();
        async move {
            (
                [("content-type", "text/plain; version=0.0.4")],
                metrics.render(),
            )
        }
    };
    Router::new()
        .route("/metrics", get(render))
        .route("/livez", get(livez))
        .fallback(async |uri: Uri| {
            let sentence = format!(
                "there is no {} here; there are /metrics and /livez",
                uri.path()
            );
            refused(StatusCode::NOT_FOUND, &sentence)
        })
}

/// The admin routes.
pub fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/admin/decisions", get(decisions))
        .route("/admin/features", get(features::get))
        .route(
            "/admin/endpoints",
            get(endpoints::list)
                .post(endpoints::add)
                .delete(endpoints::remove),
        )
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(admin)
}

async fn metrics(State(admin): State<Admin>) -> Response {
    gauge!("gavel_in_flight").set(admin.gateway.admission.in_flight() as f64);
    admin.gateway.telemetry.refresh();
    store::report(&admin.gateway.store);
    admin
        .gateway
        .decisions
        .iter()
        .for_each(Decision::report_readiness);
    if let Some(endpoints) = &admin.endpoints {
        triton::report(endpoints);
    }
    (
        [("content-type", "text/plain; version=0.0.4")],
        admin.metrics.render(),
    )
        .into_response()
}

/// Ready as soon as requests are answered, by whatever tier: a pod without Triton still decides.
async fn readyz(State(admin): State<Admin>) -> Response {
    if admin.ready.load(Ordering::Acquire) {
        return "ready\n".into_response();
    }
    not_ready().await
}

async fn livez() -> &'static str {
    "alive\n"
}

async fn not_ready() -> Response {
    let said = "not ready: starting or shutting down\n";
    (StatusCode::SERVICE_UNAVAILABLE, said).into_response()
}

/// The header `allow` is axum's.
async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let sentence = format!("{path} is not served with {method}; the header `allow` says with what");
    refused(StatusCode::METHOD_NOT_ALLOWED, &sentence)
}

async fn not_found(uri: Uri) -> Response {
    let sentence = format!(
        "there is no {} here; there are /metrics, /livez, /readyz, /admin/decisions, /admin/features and /admin/endpoints",
        uri.path()
    );
    refused(StatusCode::NOT_FOUND, &sentence)
}

fn refused(status: StatusCode, sentence: &str) -> Response {
    (status, format!("{sentence}\n")).into_response()
}

async fn decisions(State(admin): State<Admin>) -> Json<Value> {
    let decisions: Vec<Value> = admin.gateway.decisions.iter().map(decision).collect();
    let endpoints = endpoints::states(&admin);
    let endpoints: Vec<Value> = endpoints.iter().map(endpoints::endpoint).collect();
    let feast = admin.gateway.feast.as_ref();
    let feast = feast.map(|readings| json!({"refused": readings.refused().as_deref()}));
    Json(json!({"decisions": decisions, "endpoints": endpoints, "feast": feast}))
}

/// Its tiers, and why one is not ready or a newer version of its model is not used.
fn decision(decision: &Decision) -> Value {
    let bound = decision.bound.load();
    let tier = |tier: &TierDefinition| {
        let issue = bound.issues.iter().find(|issue| issue.tier == tier.name);
        let refused = bound.refused.iter().find(|(name, _)| *name == tier.name);
        json!({
            "tier": &*tier.name,
            "model": tier.kind.model().map(|model| &*model.name),
            "ready": issue.is_none(),
            "why": issue.map(|issue| &*issue.message),
            "hint": issue.and_then(|issue| issue.hint.as_deref()),
            "refused": refused.map(|(_, sentence)| sentence),
        })
    };
    let tiers: Vec<Value> = decision.definition.tiers.iter().map(tier).collect();
    json!({"decision": &*decision.definition.name, "tiers": tiers})
}
