//! Triton's endpoints: what is known of them, and which there are.
//!
//! What is changed here lasts until the process ends: what is to stay belongs into the
//! configuration, or behind a `dns://` name.

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use triton_client::{EndpointSet, EndpointState, LaneState, QueueState};

use super::Admin;

/// Which endpoint is meant.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    url: String,
}

/// Every endpoint, and every queue over them.
pub(super) async fn list(State(admin): State<Admin>) -> Json<Value> {
    let endpoints: Vec<Value> = states(&admin).iter().map(endpoint).collect();
    let queues = admin.endpoints.iter().flat_map(EndpointSet::queues);
    let queues: Vec<Value> = queues.map(|state| queue(&state)).collect();
    Json(json!({"endpoints": endpoints, "queues": queues}))
}

/// `POST ?url=…`: one more.
pub(super) async fn add(State(admin): State<Admin>, Query(named): Query<Named>) -> Response {
    let Some(endpoints) = &admin.endpoints else {
        return refused(
            StatusCode::CONFLICT,
            "the gateway was started without a Triton; start it with --triton",
        );
    };
    match endpoints.add(&named.url) {
        Ok(is_new) => {
            tracing::info!(
                endpoint = named.url,
                is_new,
                "endpoint added by an operator"
            );
            let status = if is_new {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            (status, list(State(admin)).await).into_response()
        }
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// `DELETE ?url=…`: it is given no more calls; those that are out are answered.
pub(super) async fn remove(State(admin): State<Admin>, Query(named): Query<Named>) -> Response {
    let removed = admin
        .endpoints
        .as_ref()
        .is_some_and(|endpoints| endpoints.remove(&named.url));
    if !removed {
        let known: Vec<String> = states(&admin)
            .iter()
            .map(|state| state.name.to_string())
            .collect();
        let sentence = format!(
            "there is no endpoint `{}`; there are: {}",
            named.url,
            known.join(", ")
        );
        return refused(StatusCode::NOT_FOUND, &sentence);
    }
    tracing::info!(endpoint = named.url, "endpoint removed by an operator");
    list(State(admin)).await.into_response()
}

pub(super) fn states(admin: &Admin) -> Vec<EndpointState> {
    admin
        .endpoints
        .iter()
        .flat_map(EndpointSet::states)
        .collect()
}

/// One endpoint, as it is shown.
pub(super) fn endpoint(state: &EndpointState) -> Value {
    json!({
        "endpoint": &*state.name,
        "state": state.state.to_string(),
        "why": state.why.as_deref(),
        "in_flight": state.in_flight,
        "ejections": state.ejections,
    })
}

fn queue(state: &QueueState) -> Value {
    let lane = |lane: &LaneState| {
        json!({
            "endpoint": &*lane.endpoint,
            "slots": lane.slots,
            "in_use": lane.in_use,
            "predicted_us": lane.predicted.map(|predicted| predicted.as_micros()),
            "absent": lane.absent,
        })
    };
    let lanes: Vec<Value> = state.lanes.iter().map(lane).collect();
    let totals = &state.totals;
    json!({
        "model": &*state.model,
        "version": state.version.as_deref(),
        "waiting_rows": state.waiting_rows,
        "rows": totals.rows,
        "calls": totals.calls,
        "shed": totals.shed,
        "expired": totals.expired,
        "retried": totals.retried,
        "halved": totals.halved,
        "lanes": lanes,
    })
}

fn refused(status: StatusCode, sentence: &str) -> Response {
    (status, format!("{sentence}\n")).into_response()
}
