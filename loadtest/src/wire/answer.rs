//! What is read of an answer: who gave it, the score, and whether it is to the question.

use prost::Message;
use serde::Deserialize;

use crate::{
    proto::{gavel::DecideResponse, triton::ModelInferResponse},
    questions::is_id,
};

/// Who answered, in the fraud decision's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    /// The model on Triton.
    Primary,
    /// The model in process.
    Secondary,
    /// The table.
    Rules,
}

impl Tier {
    /// Best first.
    pub const ALL: [Tier; 3] = [Tier::Primary, Tier::Secondary, Tier::Rules];

    fn named(name: &str) -> Option<Self> {
        match name {
            "primary" => Some(Tier::Primary),
            "secondary" => Some(Tier::Secondary),
            "rules" => Some(Tier::Rules),
            _ => None,
        }
    }
}

/// The part of an answer that is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Who answered.
    pub tier: Tier,
    /// The probability of fraud.
    pub score: f64,
    /// Whether the id is that of the question.
    pub is_to_question: bool,
}

impl Answer {
    /// Reads Gavel's JSON, and the bare pipe's.
    pub(super) fn from_json(body: &[u8], question: usize) -> Option<Self> {
        let body: Body<'_> = serde_json::from_slice(body).ok()?;
        Some(Self {
            tier: Tier::named(body.tier)?,
            score: body.scores.fraud,
            is_to_question: is_id(body.id, question),
        })
    }

    /// Reads Gavel's protobuf.
    pub(super) fn from_protobuf(body: &[u8], question: usize) -> Option<Self> {
        let body = DecideResponse::decode(body).ok()?;
        Some(Self {
            tier: Tier::named(&body.tier)?,
            score: *body.scores.get("fraud")?,
            is_to_question: is_id(&body.id, question),
        })
    }

    /// Reads one row of Triton's.
    pub(super) fn from_inference(body: &[u8], question: usize) -> Option<Self> {
        let body = ModelInferResponse::decode(body).ok()?;
        let score = body.raw_output_contents.first()?.as_ref().try_into().ok()?;
        Some(Self {
            tier: Tier::Primary,
            score: f32::from_le_bytes(score).into(),
            is_to_question: is_id(&body.id, question),
        })
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    id: &'a str,
    scores: Scores,
    tier: &'a str,
}

#[derive(Deserialize)]
struct Scores {
    fraud: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_answers_are_read_and_others_are_not() {
        let gavel = br#"{"id":"q-3","decision":"fraud","action":"approve","scores":{"fraud":0.25},
            "tier":"secondary","features":{"missing":["a","b"],"stale":["c"]},"timings_us":{"total":9}}"#;
        let answer = Answer::from_json(gavel, 3).unwrap();
        assert_eq!((answer.tier, answer.score), (Tier::Secondary, 0.25));
        assert!(answer.is_to_question);
        assert!(!Answer::from_json(gavel, 4).unwrap().is_to_question);
        let pipe = br#"{"id":"q-3","tier":"primary","scores":{"fraud":1.0}}"#;
        assert_eq!(Answer::from_json(pipe, 3).unwrap().tier, Tier::Primary);
        assert_eq!(
            Answer::from_json(br#"{"id":"q-3","tier":"primary"}"#, 3),
            None
        );
        assert_eq!(
            Answer::from_json(br#"{"id":"q","tier":"x","scores":{"fraud":1}}"#, 3),
            None
        );
    }

    #[test]
    fn a_triton_answer_without_its_four_bytes_is_none() {
        let mut body = ModelInferResponse {
            id: "q-1".into(),
            raw_output_contents: vec![0.5_f32.to_le_bytes().to_vec().into()],
            ..Default::default()
        };
        let answer = Answer::from_inference(&body.encode_to_vec(), 1).unwrap();
        assert_eq!((answer.tier, answer.score), (Tier::Primary, 0.5));
        body.raw_output_contents = vec![bytes::Bytes::new()];
        assert_eq!(Answer::from_inference(&body.encode_to_vec(), 1), None);
    }
}
