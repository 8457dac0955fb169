//! Triton's endpoints: what is known of them, and which there are.
//!
//! What is changed here lasts until the process ends: what is to stay belongs into the
//! configuration, or behind a `dns://` name.

use axum::{
    Json,
    extract::{FromRequestParts, Query, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use triton_client::{EndpointSet, EndpointState, LaneState, QueueState};

use super::{Admin, refused};

/// Which endpoint is meant: `?url=…`.
pub(super) struct Named {
    url: String,
}

impl<S: Sync> FromRequestParts<S> for Named {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let found = match query.map(|Query(pairs)| pairs).as_deref() {
            Ok([(name, url)]) if name == "url" && !url.trim().is_empty() => {
                return Ok(Self { url: url.clone() });
            }
            Ok(pairs) => match pairs.iter().find(|(name, _)| name != "url") {
                Some((other, _)) => format!("`{other}` is not a parameter"),
                None => match pairs.len() {
                    0 => "`url` is missing".to_owned(),
                    1 => "`url` is empty".to_owned(),
                    times => format!("`url` is given {times} times"),
                },
            },
            Err(error) => error.to_string(),
        };
        let path = parts.uri.path();
        let sentence = format!(
            "{found}; expected is one endpoint's URL, as in {path}?url=http://10.0.0.7:8001"
        );
        Err(refused(StatusCode::BAD_REQUEST, &sentence))
    }
}

/// Every endpoint, and every queue over them.
pub(super) async fn list(State(admin): State<Admin>) -> Json<Value> {
    let endpoints: Vec<Value> = states(&admin).iter().map(endpoint).collect();
    let withdrawn = admin.endpoints.iter().flat_map(EndpointSet::withdrawn);
    let withdrawn: Vec<String> = withdrawn.map(|name| name.to_string()).collect();
    let queues = admin.endpoints.iter().flat_map(EndpointSet::queues);
    let queues: Vec<Value> = queues.map(|state| queue(&state)).collect();
    Json(json!({"endpoints": endpoints, "withdrawn": withdrawn, "queues": queues}))
}

/// `POST ?url=…`: one more.
pub(super) async fn add(State(admin): State<Admin>, named: Named) -> Response {
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
pub(super) async fn remove(State(admin): State<Admin>, named: Named) -> Response {
    let removed = admin
        .endpoints
        .as_ref()
        .is_some_and(|endpoints| endpoints.remove(&named.url));
    if !removed {
        let known = states(&admin);
        let known: Vec<&str> = known.iter().map(|state| &*state.name).collect();
        let there_is = match known.as_slice() {
            [] => "there is none".to_owned(),
            known => format!("there are: {}", known.join(", ")),
        };
        let sentence = format!("there is no endpoint `{}`; {there_is}", named.url);
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
