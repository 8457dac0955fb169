//! `GET /admin/features?decision=fraud&card_id=4022`: what a decision would see of these entities
//! now. `request.amount=129.9` is an input, `at=2019-08-31T10:00:00Z` another moment.

use axum::{
    Json,
    extract::{Query, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};

use super::{Admin, refused};
use crate::{
    binding::Decision,
    inspect::{self, Asked},
};

pub(super) async fn get(State(admin): State<Admin>, uri: Uri) -> Response {
    let (name, asked) = match read(&uri) {
        Ok(read) => read,
        Err(why) => return wrong(&why),
    };
    let decision = match admin.gateway.decisions.find(&name) {
        Ok(decision) => decision,
        Err(unknown) => return refused(StatusCode::NOT_FOUND, &unknown.detail),
    };
    let Decision {
        definition, bound, ..
    } = decision;
    let bound = bound.load_full();
    match inspect::see(definition, &bound.plan, &admin.gateway.store, &asked).await {
        Ok(seen) => Json(seen.json()).into_response(),
        Err(why) => wrong(&why),
    }
}

/// The decision's name and whose features are meant.
fn read(uri: &Uri) -> Result<(String, Asked), String> {
    let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let Query(pairs) = query.map_err(|error| error.to_string())?;
    let mut decision = None;
    let mut asked = Asked::default();
    for (name, value) in pairs {
        match (&*name, name.strip_prefix("request.")) {
            ("decision", _) => decision = Some(value),
            ("at", _) => {
                let at = humantime::parse_rfc3339(&value);
                asked.at = Some(at.map_err(|error| format!("`at` is {value:?}: {error}"))?);
            }
            (_, Some(input)) => asked.inputs.push((input.to_owned(), value)),
            _ => asked.entities.push((name, value)),
        }
    }
    let decision = decision.ok_or("`decision` is missing")?;
    Ok((decision, asked))
}

fn wrong(why: &str) -> Response {
    let sentence = format!(
        "{why}; expected is a decision, its entities, and what is known of its inputs, as in /admin/features?decision=fraud&card_id=4022&request.amount=129.9&at=2019-08-31T10:00:00Z"
    );
    refused(StatusCode::BAD_REQUEST, &sentence)
}
