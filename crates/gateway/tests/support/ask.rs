//! Questions over HTTP/1.1, HTTP/2 and gRPC, with ordinary clients.

use std::{convert::Infallible, sync::OnceLock, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use gateway::ingress::protobuf::v1::{
    DecideRequest, DecideResponse, Value as Scalar, decision_service_client::DecisionServiceClient,
    value::Kind,
};
use http::HeaderMap;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::Client;
use serde_json::Value;
use tonic::transport::Channel;

use super::gateway::Gateway;

/// An HTTP answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The decision in it; fails when it is not one.
    pub(crate) fn decision(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
}

/// A client for HTTP/1.1. Made anew for each call: a test has a runtime of its own.
pub(crate) fn http1() -> Client {
    builder().http1_only().build().unwrap()
}

/// A client that speaks HTTP/2 from the first byte, without TLS.
pub(crate) fn http2() -> Client {
    builder().http2_prior_knowledge().build().unwrap()
}

async fn read(response: reqwest::Response) -> Option<Answer> {
    Some(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.ok()?,
    })
}

/// GET; `None` when nobody answers.
pub(crate) async fn get(url: &str) -> Option<Answer> {
    read(http1().get(url).send().await.ok()?).await
}

/// POST with headers; `None` when nobody answers.
pub(crate) async fn try_post(
    client: &Client,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> Option<Answer> {
    let mut request = client.post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    read(request.send().await.ok()?).await
}

impl Gateway {
    /// Posts a body to `/v1/decide` over HTTP/1.1.
    pub(crate) async fn post(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        self.post_with(&http1(), headers, body).await
    }

    /// Posts a body to `/v1/decide`.
    pub(crate) async fn post_with(
        &self,
        client: &Client,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let url = format!("{}/v1/decide", self.url());
        let answer = try_post(client, &url, headers, body).await;
        answer.unwrap_or_else(|| panic!("no answer:\n{}", self.log()))
    }

    /// The answer to a question in JSON.
    pub(crate) async fn ask(&self, question: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.post(&json, question.to_string()).await
    }

    /// The decision on a question in JSON.
    pub(crate) async fn decide(&self, question: &Value) -> Value {
        self.ask(question).await.decision()
    }

    /// A page of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        self.admin_request("GET", path).await
    }

    /// A request to the admin port, without a body.
    pub(crate) async fn admin_request(&self, method: &str, path: &str) -> Answer {
        let url = format!("{}{path}", self.admin_url());
        let request = http1().request(method.parse().unwrap(), &url);
        let answer = match request.send().await {
            Ok(response) => read(response).await,
            Err(_) => None,
        };
        answer.unwrap_or_else(|| panic!("no answer from {url}:\n{}", self.log()))
    }

    /// A gRPC client.
    pub(crate) async fn grpc(&self) -> DecisionServiceClient<Channel> {
        DecisionServiceClient::new(self.channel().await).max_encoding_message_size(64 << 20)
    }

    /// A gRPC connection.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(self.url()).unwrap();
        endpoint.connect().await.unwrap()
    }
}

/// A body of unannounced length.
pub(crate) fn chunks(chunks: impl Stream<Item = Bytes> + Send + Sync + 'static) -> reqwest::Body {
    let frames = chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
    reqwest::Body::wrap(StreamBody::new(frames))
}

/// The same question as a protobuf message.
pub(crate) fn message(question: &Value) -> DecideRequest {
    let pairs = |name: &str| {
        let pairs = question[name].as_object().into_iter().flatten();
        let pairs = pairs.map(|(name, value)| (name.clone(), scalar(value)));
        pairs.collect()
    };
    let text = |name: &str| question[name].as_str().unwrap_or_default().to_owned();
    DecideRequest {
        decision: text("decision"),
        id: text("id"),
        entities: pairs("entities"),
        inputs: pairs("inputs"),
        budget_ms: question["budget_ms"].as_f64(),
    }
}

/// A scalar as protobuf spells it.
pub(crate) fn scalar(value: &Value) -> Scalar {
    let kind = match value {
        Value::Bool(flag) => Kind::Flag(*flag),
        Value::String(text) => Kind::Text(text.clone()),
        Value::Number(number) if number.is_i64() => Kind::Integer(number.as_i64().unwrap()),
        Value::Number(number) => Kind::Number(number.as_f64().unwrap()),
        other => panic!("{other} is not a scalar"),
    };
    Scalar { kind: Some(kind) }
}

/// What a decision says of the tiers that did not answer: `tier:reason` each.
pub(crate) fn skipped(decision: &Value) -> Vec<String> {
    let skipped = decision["skipped"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    skipped
        .map(|skip| format!("{}:{}", text(&skip["tier"]), text(&skip["reason"])))
        .collect()
}

/// The bits of the score, read from JSON's text as exactly as the language can.
pub(crate) fn score_bits(answer: &Answer) -> u64 {
    let (_, rest) = answer.text().split_once("\"scores\":{\"fraud\":").unwrap();
    let (number, _) = rest.split_once('}').unwrap();
    number.parse::<f64>().unwrap().to_bits()
}

/// The bits of the score of a protobuf answer.
pub(crate) fn message_score_bits(answer: &DecideResponse) -> u64 {
    answer.scores["fraud"].to_bits()
}

/// Shared by tests that must not disturb each other's timing.
pub(crate) fn turn() -> &'static tokio::sync::Mutex<()> {
    static TURN: OnceLock<tokio::sync::Mutex<()>> = OnceLock::new();
    TURN.get_or_init(tokio::sync::Mutex::default)
}
