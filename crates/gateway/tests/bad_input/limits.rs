//! Keys, rates, and more at once than is served.

use std::{cell::RefCell, time::Duration};

use fake_triton::Step;
use futures::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout};
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::{
    problem::assert_problem,
    support::{
        ask::{Answer, chunks, http1, http2, message},
        eventually, fake, files,
        gateway::{Gateway, Setup},
        raw,
    },
};

fn client(name: &str, key: &str, more: &str) -> String {
    let digest: String = Sha256::digest(key)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("[[clients]]\nname = '{name}'\nkey_sha256 = '{digest}'\n{more}\n")
}

fn clients() -> Setup {
    let config = [
        client("shop", "shop-key", "decisions = ['fraud']"),
        client("bidder", "bidder-key", "decisions = ['bid']"),
        client("slow", "slow-key", "requests_per_second = 1"),
    ];
    Setup::new().config(&config.concat())
}

async fn with_key(gateway: &Gateway, name: &str, value: &str) -> Answer {
    gateway
        .post(&[(name, value)], files::payment().to_string())
        .await
}

#[track_caller]
fn assert_retry_after(answer: &Answer) {
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_asked_for_and_hold_what_they_may_ask() {
    let mut gateway = clients().start().await;
    let answer = gateway.ask(&files::payment()).await;
    assert_problem(
        "no key",
        &answer,
        401,
        "unauthenticated",
        &["Bearer KEY", "x-api-key"],
    );
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    for (case, header, value) in [
        ("an unknown key", "x-api-key", "nobody"),
        ("an empty key", "x-api-key", ""),
        ("the digest itself", "x-api-key", "5f0f5d5b"),
        ("another scheme", "authorization", "Basic c2hvcC1rZXk="),
        ("half a scheme", "authorization", "Bear"),
        ("an endless key", "x-api-key", &"k".repeat(8000)),
        ("the other case", "authorization", "Bearer SHOP-KEY"),
    ] {
        let answer = with_key(&gateway, header, value).await;
        assert_problem(case, &answer, 401, "unauthenticated", &[]);
    }
    for (header, value) in [
        ("x-api-key", "shop-key"),
        ("authorization", "Bearer shop-key"),
        ("authorization", "bearer shop-key"),
    ] {
        assert_eq!(
            with_key(&gateway, header, value).await.status,
            200,
            "{header}: {value}"
        );
    }
    let answer = with_key(&gateway, "x-api-key", "bidder-key").await;
    assert_problem(
        "not its decision",
        &answer,
        403,
        "forbidden",
        &["`bidder`", "`fraud`"],
    );
    assert!(!gateway.log().contains("shop-key"));
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_count_over_grpc_too() {
    let mut gateway = clients().start().await;
    let mut client = gateway.grpc().await;
    for (key, code, kind) in [
        (None, Code::Unauthenticated, "unauthenticated"),
        (
            Some("Bearer nobody"),
            Code::Unauthenticated,
            "unauthenticated",
        ),
        (
            Some("Bearer bidder-key"),
            Code::PermissionDenied,
            "forbidden",
        ),
    ] {
        let mut request = Request::new(message(&files::payment()));
        if let Some(key) = key {
            request
                .metadata_mut()
                .insert("authorization", key.parse().unwrap());
        }
        let status = client.decide(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{key:?}");
        assert_eq!(
            status.get_error_details().error_info().unwrap().reason,
            kind
        );
    }
    let mut request = Request::new(message(&files::payment()));
    request
        .metadata_mut()
        .insert("x-api-key", "shop-key".parse().unwrap());
    client.decide(request).await.unwrap();
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_above_its_rate_is_told_when_to_come_back() {
    let mut gateway = clients().start().await;
    let key = ("x-api-key", "slow-key");
    assert_eq!(with_key(&gateway, key.0, key.1).await.status, 200);
    let mut refused = None;
    for _ in 0..20 {
        let answer = with_key(&gateway, key.0, key.1).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("more than one a second is refused");
    assert_problem("above its rate", &refused, 429, "rate_limited", &["`slow`"]);
    assert_retry_after(&refused);

    let mut request = Request::new(message(&files::payment()));
    request.metadata_mut().insert(key.0, key.1.parse().unwrap());
    let status = gateway.grpc().await.decide(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_error_details().retry_info().is_some());

    // Others are not held up, and after the wait it may ask again.
    assert_eq!(
        with_key(&gateway, "x-api-key", "shop-key").await.status,
        200
    );
    eventually("the client may ask again", async || {
        (with_key(&gateway, key.0, key.1).await.status == 200).then_some(())
    })
    .await;
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_than_the_limit_is_refused_at_once_and_admitted_after() {
    let (triton, url) = fake::triton().await;
    let setup = Setup::new()
        .decisions(|folder| files::edit(&folder.join("fraud.toml"), "\"95ms\"", "\"10s\""))
        .config("[server]\nmax_in_flight = 1\n[triton]\nslow_call = '10m'\n")
        .flag("triton", url);
    let mut gateway = setup.start().await;
    eventually("the primary answers", async || {
        (gateway.decide(&files::payment()).await["tier"] == "primary").then_some(())
    })
    .await;
    triton.push("fraud_primary", [Step::Hang]);
    let long = files::with_budget(files::payment(), 4000.0).to_string();
    let url = format!("{}/v1/decide", gateway.url());
    let held = tokio::spawn(async move { http1().post(url).body(long).send().await.unwrap() });
    eventually("it is being decided", async || {
        let in_flight = gateway.metrics().await.sum("gavel_in_flight", &[]);
        (in_flight == 1.0).then_some(())
    })
    .await;

    let answer = gateway.ask(&files::payment()).await;
    assert_problem("the second", &answer, 429, "overloaded", &["1 decision"]);
    assert_retry_after(&answer);
    let status = gateway
        .grpc()
        .await
        .decide(message(&files::payment()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "overloaded");
    assert!(details.retry_info().unwrap().retry_delay >= Some(Duration::from_millis(1)));
    // What is wrong is said all the same, and probes go on.
    let answer = gateway.post(&[], json!({}).to_string()).await;
    assert_problem(
        "malformed",
        &answer,
        400,
        "invalid_request",
        &["missing field"],
    );
    assert_eq!(gateway.admin("/readyz").await.status, 200);

    assert_eq!(held.await.unwrap().status(), 200);
    assert_eq!(gateway.ask(&files::payment()).await.status, 200);

    // A caller who leaves gives its place back, long before its budget is over.
    triton.push("fraud_primary", [Step::Hang]);
    let mut leaving = gateway.connect().await;
    let long = files::with_budget(files::payment(), 10_000.0).to_string();
    leaving.send(&raw::post(&[], long.as_bytes())).await;
    eventually("it is being decided", async || {
        let in_flight = gateway.metrics().await.sum("gavel_in_flight", &[]);
        (in_flight == 1.0).then_some(())
    })
    .await;
    let left = Instant::now();
    drop(leaving);
    eventually("its place is free", async || {
        let in_flight = gateway.metrics().await.sum("gavel_in_flight", &[]);
        (in_flight == 0.0).then_some(())
    })
    .await;
    assert!(left.elapsed() < Duration::from_secs(8));
    assert_eq!(gateway.ask(&files::payment()).await.status, 200);
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_read_at_once_are_bounded_together() {
    // One decision at once, so bodies of 64 KiB together.
    let config = "[server]\nmax_in_flight = 1\nbody_timeout = '10m'\n";
    let mut gateway = Setup::new().config(config).start().await;
    let half = 40 * 1024;
    let mut whole = raw::post(&[], &vec![b' '; 60 * 1024]);
    whole.truncate(whole.len() - 60 * 1024 + half);
    // Whoever comes first is read and waits for the rest; the next is refused.
    let held = RefCell::new(Vec::new());
    let refused = eventually("there is no room for all of it", async || {
        let mut connection = gateway.connect().await;
        connection.send(&whole).await;
        let answer = timeout(Duration::from_millis(200), connection.answer()).await;
        held.borrow_mut().push(connection);
        answer.ok()?
    })
    .await;
    assert_problem("no room", &refused, 429, "overloaded", &["bodies"]);
    assert_retry_after(&refused);

    let start = [&[0][..], &60_000_u32.to_be_bytes(), &vec![0; half]].concat();
    let rest = futures::stream::pending();
    let body = chunks(futures::stream::once(async { start.into() }).chain(rest));
    let url = format!("{}/gavel.v1.DecisionService/Decide", gateway.url());
    let grpc = http2().post(url).header("content-type", "application/grpc");
    let status = grpc
        .header("te", "trailers")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(status.headers()["grpc-status"], "8", "{status:?}");

    // Small ones are read meanwhile, and all of them once there is room.
    assert_eq!(gateway.ask(&files::payment()).await.status, 200);
    let reasons = [("reason", "bodies")];
    let metrics = gateway.metrics().await;
    assert_eq!(
        metrics.sum("gavel_overload_rejections_total", &reasons),
        2.0
    );
    let kinds = [("kind", "overloaded")];
    assert_eq!(metrics.sum("gavel_rejections_total", &kinds), 2.0);
    drop(held);
    eventually("there is room", async || {
        let answer = gateway.post(&[], vec![b' '; 60 * 1024]).await;
        (answer.status == 400).then_some(())
    })
    .await;
    gateway.assert_well().await;
}
