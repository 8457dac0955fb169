//! The same faults over gRPC: canonical codes, and `google.rpc` details that name kind and field.

use bytes::Bytes;
use futures::{StreamExt, stream};
use gateway::ingress::protobuf::v1::{DecideRequest, Value as Scalar, value::Kind};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    problem::assert_problem,
    support::{
        ask::{chunks, http1, http2, message, scalar, try_post},
        files,
        gateway::{Gateway, Setup},
    },
};

/// The code, the kind in its details, and a word of its message or of a field's violation.
#[track_caller]
fn assert_status(case: &str, status: &Status, code: Code, kind: &str, word: &str) {
    assert_eq!(status.code(), code, "{case}: {status:?}");
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("{case}: no details: {status:?}"));
    assert_eq!((&*info.reason, &*info.domain), (kind, "gavel"), "{case}");
    let violations = details
        .bad_request()
        .into_iter()
        .flat_map(|bad| &bad.field_violations);
    let fields: Vec<String> = violations
        .map(|v| format!("{} {}", v.field, v.description))
        .collect();
    let said = format!("{} {}", status.message(), fields.join(" "));
    assert!(said.contains(word), "{case}: `{word}` is not in {said}");
}

fn changed(change: impl FnOnce(&mut DecideRequest)) -> DecideRequest {
    let mut request = message(&files::payment());
    change(&mut request);
    request
}

fn with_input(name: &str, value: Scalar) -> DecideRequest {
    changed(|request| {
        request.inputs.insert(name.to_owned(), value);
    })
}

fn number(number: f64) -> Scalar {
    Scalar {
        kind: Some(Kind::Number(number)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_messages_get_codes_and_the_field() {
    let mut gateway = Setup::new().start().await;
    let mut client = gateway.grpc().await;
    let invalid = (Code::InvalidArgument, "invalid_request");
    let unknown = (Code::NotFound, "unknown_decision");
    let cases = [
        (
            "everything absent",
            DecideRequest::default(),
            unknown,
            "there is no decision",
        ),
        (
            "unknown decision",
            changed(|r| r.decision = "credit".into()),
            unknown,
            "decisions here: fraud",
        ),
        (
            "NaN",
            with_input("amount", number(f64::NAN)),
            invalid,
            "inputs.amount is NaN",
        ),
        (
            "infinity",
            with_input("amount", number(f64::INFINITY)),
            invalid,
            "inputs.amount is inf",
        ),
        (
            "-infinity",
            with_input("amount", number(f64::NEG_INFINITY)),
            invalid,
            "a finite number",
        ),
        (
            "huge",
            with_input("amount", number(1e300)),
            invalid,
            "inputs.amount",
        ),
        (
            "no kind of value",
            with_input("amount", Scalar { kind: None }),
            invalid,
            "inputs.amount is missing",
        ),
        (
            "text",
            with_input("amount", scalar(&json!("1"))),
            invalid,
            "expected a number",
        ),
        (
            "unknown input",
            with_input("amuont", number(1.0)),
            invalid,
            "did you mean `amount`?",
        ),
        (
            "no entities",
            changed(|r| r.entities.clear()),
            invalid,
            "entities.card_id is missing",
        ),
        (
            "an empty key",
            changed(|r| {
                r.entities.insert("card_id".into(), scalar(&json!("")));
            }),
            invalid,
            "is empty",
        ),
        (
            "a long key",
            changed(|r| {
                r.entities
                    .insert("card_id".into(), scalar(&json!("k".repeat(300))));
            }),
            invalid,
            "300 characters",
        ),
        (
            "a long id",
            changed(|r| r.id = "i".repeat(200)),
            invalid,
            "200 characters",
        ),
        (
            "a NaN budget",
            changed(|r| r.budget_ms = Some(f64::NAN)),
            invalid,
            "budget_ms NaN",
        ),
        (
            "a budget of zero",
            changed(|r| r.budget_ms = Some(0.0)),
            invalid,
            "budget_ms 0",
        ),
        (
            "a negative budget",
            changed(|r| r.budget_ms = Some(-1.0)),
            invalid,
            "budget_ms -1",
        ),
        (
            "an endless budget",
            changed(|r| r.budget_ms = Some(f64::INFINITY)),
            invalid,
            "budget_ms inf",
        ),
        (
            "600 inputs",
            changed(|r| r.inputs = (0..600).map(|i| (format!("i{i}"), number(0.0))).collect()),
            invalid,
            "more than 512 names",
        ),
    ];
    for (case, request, (code, kind), word) in cases {
        let status = client.decide(request).await.expect_err(case);
        assert_status(case, &status, code, kind, word);
    }
    for (name, value) in [
        ("grpc-timeout", "soon"),
        ("grpc-timeout", "-5m"),
        ("grpc-timeout", "123456789m"),
        ("grpc-timeout", "5"),
        ("x-request-timeout-ms", "NaN"),
        ("x-request-timeout-ms", "-1"),
    ] {
        let mut request = tonic::Request::new(message(&files::payment()));
        request.metadata_mut().insert(name, value.parse().unwrap());
        let status = client.decide(request).await.expect_err(value);
        assert_status(
            value,
            &status,
            Code::InvalidArgument,
            "invalid_request",
            name,
        );
    }
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_ten_megabytes_is_refused() {
    let mut gateway = Setup::new().start().await;
    let mut client = gateway.grpc().await;
    let request = changed(|request| request.id = "x".repeat(10 << 20));
    let status = client.decide(request).await.unwrap_err();
    assert_status(
        "10 MB",
        &status,
        Code::OutOfRange,
        "payload_too_large",
        "65536 bytes",
    );
    let request = changed(|request| request.id = "x".repeat(70_000));
    let status = client.decide(request).await.unwrap_err();
    assert_status(
        "70 kB",
        &status,
        Code::OutOfRange,
        "payload_too_large",
        "65536 bytes",
    );
    assert_eq!(refused(&gateway, "payload_too_large").await, 2.0);
    client.decide(message(&files::payment())).await.unwrap();
    gateway.assert_well().await;
}

async fn refused(gateway: &Gateway, kind: &str) -> f64 {
    gateway
        .metrics()
        .await
        .sum("gavel_rejections_total", &[("kind", kind)])
}

/// Sends the bytes of a gRPC call, and gives its status.
async fn call(
    gateway: &Gateway,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Option<Status> {
    let url = format!("{}{path}", gateway.url());
    let base = [("content-type", "application/grpc"), ("te", "trailers")];
    let headers: Vec<_> = base.into_iter().chain(headers.iter().copied()).collect();
    let answer = try_post(&http2(), &url, &headers, body).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    Status::from_header_map(&answer.headers)
}

fn framed(flag: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_message_are_the_callers_fault() {
    let mut gateway = Setup::new().start().await;
    let path = "/gavel.v1.DecisionService/Decide";
    for (case, body) in [
        ("no protobuf", framed(0, 3, &[0xff; 3])),
        ("invalid UTF-8", framed(0, 4, &[0x0a, 0x02, 0xff, 0xfe])),
        ("no such flag", framed(7, 0, &[])),
        ("compressed, it says", framed(1, 3, &[1, 2, 3])),
        ("cut short", framed(0, 100, &[0x0a])),
        ("nothing", Vec::new()),
    ] {
        let status = call(&gateway, path, &[], body).await;
        let status = status.unwrap_or_else(|| panic!("{case}: no status in the head"));
        assert_status(case, &status, Code::InvalidArgument, "invalid_request", "");
    }
    for (case, body) in [
        ("4 GB, it says", framed(0, u32::MAX, &[0; 100])),
        ("more than is read", framed(0, 65_537, &[0; 100])),
    ] {
        let status = call(&gateway, path, &[], body).await.unwrap();
        assert_status(
            case,
            &status,
            Code::OutOfRange,
            "payload_too_large",
            "65536",
        );
    }
    // What only looks like the other way to ask.
    let url = format!("{}{path}", gateway.url());
    let json = [("content-type", "application/json")];
    let payment = files::payment().to_string();
    let answer = try_post(&http1(), &url, &json, payment).await.unwrap();
    let words = ["application/grpc", "POST /v1/decide"];
    assert_problem("JSON", &answer, 415, "unsupported_media_type", &words);
    let encoding = [("grpc-encoding", "br")];
    let status = call(&gateway, path, &encoding, framed(1, 1, &[0]))
        .await
        .unwrap();
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    for path in [
        "/gavel.v1.DecisionService/Undo",
        "/gavel.v1.Nothing/Decide",
        "/grpc",
    ] {
        let status = call(&gateway, path, &[], framed(0, 0, &[])).await.unwrap();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_trickles_is_cut_off() {
    let mut gateway = Setup::new()
        .config("[server]\nbody_timeout = '500ms'\n")
        .start()
        .await;
    let start = stream::iter([Bytes::from(framed(0, 100, &[0x0a]))]);
    let body = chunks(start.chain(stream::pending()));
    let url = format!("{}/gavel.v1.DecisionService/Decide", gateway.url());
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let answer = try_post(&http2(), &url, &headers, body).await.unwrap();
    let status = Status::from_header_map(&answer.headers).unwrap();
    assert_status(
        "trickled",
        &status,
        Code::InvalidArgument,
        "invalid_request",
        "longer than 500ms",
    );
    gateway.assert_well().await;
}
