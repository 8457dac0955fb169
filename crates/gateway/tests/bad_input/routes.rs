//! Decisions, paths, methods, headers and protobuf bodies that are wrong.

use prost::Message;
use serde_json::Value;

use crate::{
    problem::assert_problem,
    support::{
        ask::{get, http1, http2, message},
        files,
        gateway::Setup,
        raw,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn decisions_and_paths_that_are_not_there_say_what_is() {
    let mut gateway = Setup::new().start().await;
    for name in [
        "",
        "Fraud",
        "credit",
        "../fraud",
        &"f".repeat(10_000),
        "fr\u{0}ud",
    ] {
        let mut question = files::payment();
        question["decision"] = name.into();
        let answer = gateway.ask(&question).await;
        let words = ["there is no decision", "decisions here: fraud"];
        assert_problem(name, &answer, 404, "unknown_decision", &words);
    }
    for path in [
        "/",
        "/v1",
        "/v1/decide/",
        "/v2/decide",
        "/v1/decide/../../etc/passwd",
        "/%00",
        "/metrics",
    ] {
        let answer = get(&format!("{}{path}", gateway.url())).await.unwrap();
        assert_problem(path, &answer, 404, "not_found", &["POST /v1/decide"]);
    }
    for (method, path, allow) in [
        ("GET", "/v1/decide", "POST"),
        ("DELETE", "/v1/decide", "POST"),
        ("BREW", "/v1/decide", "POST"),
        ("POST", "/openapi.json", "GET"),
    ] {
        let method: reqwest::Method = method.parse().unwrap();
        let url = format!("{}{path}", gateway.url());
        let response = http1().request(method.clone(), url).send().await.unwrap();
        assert_eq!(response.status(), 405, "{method} {path}");
        let allowed = response.headers()["allow"].to_str().unwrap();
        assert!(allowed.contains(allow), "{method} {path}: {allowed}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["kind"], "method_not_allowed");
    }
    let head = http1()
        .head(format!("{}/v1/decide", gateway.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), 405);
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_wrong_are_named() {
    let mut gateway = Setup::new().start().await;
    let payment = files::payment().to_string();
    for media_type in [
        "text/xml",
        "text/plain",
        "",
        "application",
        "application/jsonx",
        "multipart/form-data; boundary=x",
    ] {
        let answer = gateway
            .post(&[("content-type", media_type)], payment.clone())
            .await;
        let words = ["application/json", "application/x-protobuf"];
        assert_problem(media_type, &answer, 415, "unsupported_media_type", &words);
    }
    let name = "x-request-timeout-ms";
    for budget in [
        "soon", "", "-5", "0", "-0", "NaN", "inf", "-inf", "1e12", "5ms", "0x5", "1,5", "１",
    ] {
        let answer = gateway
            .send_raw(&raw::post(
                &[&format!("{name}: {budget}")],
                payment.as_bytes(),
            ))
            .await;
        assert_problem(budget, &answer, 400, "invalid_request", &[name]);
    }
    // Bytes that are not text.
    let [before, after] = [
        "POST /v1/decide HTTP/1.1\r\nhost: g\r\nx-request-timeout-ms: ",
        "\r\ncontent-length: 2\r\n\r\n{}",
    ];
    let bytes = [before.as_bytes(), b"\xff\xfe", after.as_bytes()].concat();
    assert_problem(
        "not text",
        &gateway.send_raw(&bytes).await,
        400,
        "invalid_request",
        &[name],
    );
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_bodies_that_are_wrong_are_refused_alike() {
    let mut gateway = Setup::new().start().await;
    let is_protobuf = [("content-type", "application/x-protobuf")];
    let good = message(&files::payment()).encode_to_vec();
    let mut deep = Vec::new();
    for _ in 0..20_000 {
        deep.extend([0x1b]); // the start of a group, in a group
    }
    let cases: &[(&str, Vec<u8>, &[&str])] = &[
        (
            "no message",
            vec![0xff; 3],
            &["not a gavel.v1.DecideRequest"],
        ),
        (
            "cut short",
            good[..good.len() - 5].to_vec(),
            &["not a gavel.v1.DecideRequest"],
        ),
        (
            "JSON",
            files::payment().to_string().into(),
            &["not a gavel.v1.DecideRequest"],
        ),
        (
            "a length past the end",
            vec![0x0a, 0xff, 0xff, 0xff, 0x7f],
            &["not a gavel.v1.DecideRequest"],
        ),
        (
            "a length of ten bytes",
            [vec![0x0a], vec![0xff; 9], vec![0x01]].concat(),
            &["not a gavel.v1.DecideRequest"],
        ),
        (
            "invalid UTF-8",
            vec![0x0a, 0x02, 0xff, 0xfe],
            &["not a gavel.v1.DecideRequest", "UTF-8"],
        ),
        (
            "20,000 groups deep",
            deep,
            &["not a gavel.v1.DecideRequest"],
        ),
    ];
    for (case, body, words) in cases {
        for client in [http1(), http2()] {
            let answer = gateway.post_with(&client, &is_protobuf, body.clone()).await;
            assert_problem(case, &answer, 400, "invalid_request", words);
        }
    }
    // An empty body is a message in which everything is absent.
    let answer = gateway.post(&is_protobuf, Vec::new()).await;
    assert_problem(
        "empty",
        &answer,
        404,
        "unknown_decision",
        &["there is no decision ``"],
    );
    gateway.assert_well().await;
}
