//! The question and the answer of the fraud decision, typed for it alone.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A question, borrowed from its bytes.
#[derive(Debug, Deserialize)]
pub struct Payment<'a> {
    /// Returned as it came.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) entities: Entities<'a>,
    #[serde(borrow)]
    pub(super) inputs: Inputs<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entities<'a> {
    #[serde(borrow)]
    pub(super) card_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) store_id: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Inputs<'a> {
    pub(super) amount: f64,
    #[serde(borrow)]
    pub(super) currency: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) country: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) provider: Cow<'a, str>,
    pub(super) customer_present: bool,
    /// Unix seconds.
    pub(super) timestamp: Option<i64>,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    scores: Scores,
    tier: &'static str,
}

#[derive(Serialize)]
struct Scores {
    fraud: f64,
}

/// The answer as JSON.
pub(super) fn answer(id: &str, score: f32) -> Bytes {
    let answer = Answer {
        id,
        scores: Scores {
            fraud: score.into(),
        },
        tier: "primary",
    };
    let mut body = Vec::with_capacity(96);
    // Writing these fields to memory does not fail; an empty body would be no answer.
    let _ = serde_json::to_writer(&mut body, &answer);
    body.into()
}
