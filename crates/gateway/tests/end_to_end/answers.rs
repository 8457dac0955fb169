//! One payment, every way to ask, one answer.

use futures::{StreamExt, stream};
use gateway::ingress::protobuf::v1::DecideResponse;
use prost::Message;
use serde_json::Value;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    shared,
    support::{
        ask::{self, Answer, http1, http2, message, message_score_bits, score_bits, turn},
        files,
        gateway::Setup,
    },
};

/// What must be the same however it was asked.
#[derive(Debug, PartialEq)]
struct Essence {
    id: String,
    action: String,
    score_bits: u64,
    tier: String,
    model: String,
    model_version: String,
    degraded: bool,
    missing: usize,
}

fn of_json(answer: &Answer) -> Essence {
    let decision = answer.decision();
    let text = |name: &str| decision[name].as_str().unwrap().to_owned();
    assert_eq!(answer.header("content-type"), "application/json");
    Essence {
        id: text("id"),
        action: text("action"),
        score_bits: score_bits(answer),
        tier: text("tier"),
        model: text("model"),
        model_version: text("model_version"),
        degraded: decision["degraded"].as_bool().unwrap(),
        missing: decision["features"]["missing"].as_array().unwrap().len(),
    }
}

fn of_message(answer: &DecideResponse) -> Essence {
    Essence {
        id: answer.id.clone(),
        action: answer.action.clone(),
        score_bits: message_score_bits(answer),
        tier: answer.tier.clone(),
        model: answer.model.clone(),
        model_version: answer.model_version.clone(),
        degraded: answer.degraded,
        missing: answer.features.as_ref().unwrap().missing.len(),
    }
}

fn of_protobuf(answer: &Answer) -> Essence {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    of_message(&DecideResponse::decode(answer.body.clone()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_is_decided_alike_whatever_carries_it() {
    let triton = shared::triton();
    let _turn = turn().lock().await;
    let triton = triton.lock().await;
    let setup = Setup::new().flag("triton", &triton.grpc_url);
    setup.load_examples().await;
    let gateway = setup.start().await;
    gateway.until_primary().await;

    let payment = files::payment();
    let (json, protobuf) = (payment.to_string(), message(&payment).encode_to_vec());
    let is_json = ("content-type", "application/json");
    let is_protobuf = ("content-type", "application/x-protobuf");
    let first = gateway.post(&[is_json], json.clone()).await;
    let expected = of_json(&first);
    assert_eq!(expected.tier, "primary");
    assert_eq!(expected.model, "fraud_primary");
    assert_eq!(expected.action, "approve");
    assert_eq!((expected.degraded, expected.missing), (false, 0));

    assert_eq!(
        of_json(&gateway.post_with(&http2(), &[is_json], json.clone()).await),
        expected
    );
    // What curl -d sends, and no content-type at all.
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(
        of_json(&gateway.post(&[form], json.clone()).await),
        expected
    );
    assert_eq!(of_json(&gateway.post(&[], json.clone()).await), expected);

    for client in [http1(), http2()] {
        let answer = gateway
            .post_with(&client, &[is_protobuf], protobuf.clone())
            .await;
        assert_eq!(of_protobuf(&answer), expected);
        let accept = (
            "accept",
            "text/html, application/x-protobuf;q=0.9, */*;q=0.1",
        );
        let answer = gateway
            .post_with(&client, &[is_json, accept], json.clone())
            .await;
        assert_eq!(of_protobuf(&answer), expected);
        let accept = ("accept", "application/json");
        let answer = gateway
            .post_with(&client, &[is_protobuf, accept], protobuf.clone())
            .await;
        assert_eq!(of_json(&answer), expected);
    }

    let response = gateway
        .grpc()
        .await
        .decide(message(&payment))
        .await
        .unwrap();
    assert!(response.metadata().contains_key("server-timing"));
    assert_eq!(of_message(response.get_ref()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_explains_itself_and_the_header_agrees() {
    let triton = shared::triton();
    let _turn = turn().lock().await;
    let triton = triton.lock().await;
    let setup = Setup::new().flag("triton", &triton.grpc_url);
    setup.load_examples().await;
    let gateway = setup.start().await;
    gateway.until_primary().await;

    let answer = gateway.ask(&files::payment()).await;
    let decision = answer.decision();
    assert_eq!(decision["decision"], "fraud");
    assert_eq!(decision["arm"], "default");
    assert_eq!(decision["skipped"], Value::Array(Vec::new()));
    assert_eq!(decision["reasons"], serde_json::json!(["low_risk"]));
    let timings = decision["timings_us"].as_object().unwrap();
    let stages: Vec<&str> = timings.keys().map(String::as_str).collect();
    for stage in ["total", "decode", "features", "primary", "policy"] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
    let parts: u64 = stages
        .iter()
        .filter(|s| **s != "total")
        .map(|s| timings[*s].as_u64().unwrap())
        .sum();
    assert!(parts <= timings["total"].as_u64().unwrap(), "{timings:?}");
    let written: Vec<(&str, u64)> = answer
        .header("server-timing")
        .split(", ")
        .map(stage)
        .collect();
    assert_eq!(written.len(), stages.len());
    for (name, micros) in written {
        assert_eq!(timings[name].as_u64(), Some(micros), "{name}");
    }

    // Each example gets the action that its own documentation promises.
    for (file, action) in [
        ("fraud.json", "approve"),
        ("fraud-review.json", "review"),
        ("fraud-decline.json", "decline"),
        ("fraud-unknown-card.json", "approve"),
    ] {
        let decision = gateway.decide(&files::example(file)).await;
        assert_eq!(decision["tier"], "primary", "{file}");
        assert_eq!(decision["action"], action, "{file}: {decision}");
        let missing = decision["features"]["missing"].as_array().unwrap();
        assert_eq!(
            missing.contains(&"card.last_txn_at".into()),
            file == "fraud-unknown-card.json",
            "{file}: {decision}"
        );
    }
}

/// `name;dur=MILLISECONDS`, in microseconds.
fn stage(written: &str) -> (&str, u64) {
    let (name, ms) = written.split_once(";dur=").unwrap();
    (name, (ms.parse::<f64>().unwrap() * 1e3).round() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_grpc_tools_find_health_and_the_contract() {
    let _turn = turn().lock().await;
    let gateway = Setup::new().start().await;
    let channel = gateway.channel().await;
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "gavel.v1.DecisionService"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let status = health.check(request).await.unwrap().into_inner().status;
        assert_eq!(status, 1, "SERVING for {service:?}");
    }
    let request = HealthCheckRequest {
        service: "nobody".into(),
    };
    let unknown = health.check(request).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);

    let mut reflection = ServerReflectionClient::new(channel);
    let questions = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("gavel.v1.DecisionService".into()),
        MessageRequest::FileContainingSymbol("gavel.v1.DecideRequest".into()),
        MessageRequest::FileContainingSymbol("gavel.v1.Nothing".into()),
    ];
    let questions = questions.map(|question| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    });
    let mut answers = reflection
        .server_reflection_info(stream::iter(questions))
        .await
        .unwrap()
        .into_inner();
    let mut next = async || {
        answers
            .next()
            .await
            .map(|answer| answer.map(|a| a.message_response))
    };
    let Some(Ok(Some(MessageResponse::ListServicesResponse(services)))) = next().await else {
        panic!("no list of services");
    };
    let names: Vec<&str> = services
        .service
        .iter()
        .map(|service| &*service.name)
        .collect();
    for name in ["gavel.v1.DecisionService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for _ in 0..2 {
        let Some(Ok(Some(MessageResponse::FileDescriptorResponse(files)))) = next().await else {
            panic!("no file");
        };
        let text = String::from_utf8_lossy(&files.file_descriptor_proto[0]).into_owned();
        assert!(text.contains("gavel/v1/decision.proto"), "{text}");
    }
    // Some servers end the stream with NOT_FOUND, some answer it in line: both are in order.
    match next().await {
        Some(Err(status)) => assert_eq!(status.code(), tonic::Code::NotFound),
        Some(Ok(Some(MessageResponse::ErrorResponse(error)))) => assert_eq!(error.error_code, 5),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contracts_document_is_served() {
    let _turn = turn().lock().await;
    let gateway = Setup::new().start().await;
    let document = ask::get(&format!("{}/openapi.json", gateway.url()))
        .await
        .unwrap();
    assert_eq!(document.status, 200);
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(
        document.json()["paths"]["/v1/decide"]["post"]["operationId"],
        "decide"
    );
}
