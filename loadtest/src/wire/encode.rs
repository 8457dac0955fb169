//! Questions as bytes, made once before a run.

use bytes::Bytes;
use http::{Method, Request, Version, header};
use prost::Message;
use serde_json::Value as Json;

use super::Answer;
use crate::{
    pipe::{FEATURES, score_request},
    proto::gavel::{DecideRequest, Value, value::Kind},
    questions::{Question, id_of},
};

/// A protocol and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// HTTP/1.1, JSON.
    Json,
    /// HTTP/1.1, protobuf.
    Protobuf,
    /// gRPC, Gavel's contract.
    Grpc,
    /// gRPC, Triton's `ModelInfer` of one row.
    #[value(skip)]
    Triton,
}

impl Format {
    pub(crate) fn is_grpc(self) -> bool {
        matches!(self, Format::Grpc | Format::Triton)
    }

    pub(super) fn decode(self, body: &[u8], question: usize) -> Option<Answer> {
        match self {
            Format::Json => Answer::from_json(body, question),
            Format::Protobuf | Format::Grpc => Answer::from_protobuf(body, question),
            Format::Triton => Answer::from_inference(body, question),
        }
    }
}

/// A request a question, ready to be sent: with HTTP/1.1 the head as well, with gRPC the length
/// prefix.
#[derive(Clone, Debug)]
pub struct Requests {
    format: Format,
    bytes: Vec<Bytes>,
}

impl Requests {
    /// Encodes questions to Gavel.
    pub fn to_gavel(questions: &[Question], format: Format) -> Self {
        let encode = |question: &Question| match format {
            Format::Json => post("application/json", &question.to_json()),
            Format::Protobuf => post(
                "application/x-protobuf",
                &protobuf(question).encode_to_vec(),
            ),
            Format::Grpc | Format::Triton => framed(&protobuf(question)),
        };
        Self {
            format,
            bytes: questions.iter().map(encode).collect(),
        }
    }

    /// Encodes rows of the primary model to Triton.
    pub fn to_triton(rows: &[[f32; FEATURES]]) -> Self {
        let encode = |(place, row): (usize, &_)| framed(&score_request(id_of(place), row));
        Self {
            format: Format::Triton,
            bytes: rows.iter().enumerate().map(encode).collect(),
        }
    }

    /// How they are encoded.
    pub fn format(&self) -> Format {
        self.format
    }

    pub(super) fn of(&self, question: usize) -> Bytes {
        self.bytes[question].clone()
    }

    /// The head of a gRPC call.
    pub(super) fn grpc_head(&self) -> Request<()> {
        let path = match self.format {
            Format::Triton => "/inference.GRPCInferenceService/ModelInfer",
            _ => "/gavel.v1.DecisionService/Decide",
        };
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.version_mut() = Version::HTTP_2;
        // Both are constants of the right form.
        *head.uri_mut() = http::Uri::builder()
            .scheme("http")
            .authority("localhost")
            .path_and_query(path)
            .build()
            .unwrap_or_default();
        let headers = head.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/grpc"),
        );
        headers.insert(header::TE, header::HeaderValue::from_static("trailers"));
        head
    }
}

fn post(content_type: &str, body: &[u8]) -> Bytes {
    let length = body.len();
    let mut request = format!(
        "POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n\
         content-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request.into()
}

/// A gRPC message: not compressed, its length, itself.
fn framed(message: &impl Message) -> Bytes {
    let body = message.encode_to_vec();
    let mut frame = Vec::with_capacity(5 + body.len());
    frame.push(0);
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(&body);
    frame.into()
}

fn protobuf(question: &Question) -> DecideRequest {
    let values = |pairs: &serde_json::Map<String, Json>| {
        let typed = pairs
            .iter()
            .map(|(name, value)| (name.clone(), scalar(value)));
        typed.collect()
    };
    DecideRequest {
        decision: question.decision.clone(),
        id: question.id.clone(),
        entities: values(&question.entities),
        inputs: values(&question.inputs),
        budget_ms: question.budget_ms,
    }
}

fn scalar(value: &Json) -> Value {
    let kind = match value {
        Json::Bool(flag) => Some(Kind::Flag(*flag)),
        Json::String(text) => Some(Kind::Text(text.clone())),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Some(Kind::Integer(integer)),
            None => number.as_f64().map(Kind::Number),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    Value { kind }
}
