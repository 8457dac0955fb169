//! SIGTERM: what is in flight is answered, what is new is refused, and it does not take for ever.

use std::{sync::Arc, time::Duration};

use fake_triton::Step;
use tokio::{net::TcpStream, task::JoinSet, time::sleep};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{
    ask::{get, http1, turn},
    eventually, fake, files,
    gateway::{Gateway, Setup},
};

async fn in_flight(gateway: &Gateway) -> f64 {
    gateway.metrics().await.sum("gavel_in_flight", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_at_sigterm_are_answered() {
    let _turn = turn().lock().await;
    let (triton, url) = fake::triton().await;
    // A decision with time to be interrupted in.
    let setup = Setup::new()
        .decisions(|folder| files::edit(&folder.join("fraud.toml"), "\"95ms\"", "\"3s\""))
        .config("[triton]\nslow_call = '10m'\n")
        .flag("triton", url);
    let gateway = setup.start().await;
    gateway.until_primary().await;
    // One call for each slot: what comes after them waits, and goes together once the first is back.
    let before = triton.calls("fraud_primary");
    let answers = [Step::after(Duration::from_millis(1500)), Step::Hang];
    triton.push("fraud_primary", answers);

    let mut gateway = Arc::new(gateway);
    let question = files::with_budget(files::payment(), 3000.0).to_string();
    let mut asked = JoinSet::new();
    for request in 1..=20 {
        let (gateway, question) = (Arc::clone(&gateway), question.clone());
        asked.spawn(async move { gateway.post_with(&http1(), &[], question).await });
        eventually("its call is out", async || {
            let calls = triton.calls("fraud_primary") - before;
            (calls == request.min(2)).then_some(())
        })
        .await;
    }
    eventually("all are in flight", async || {
        (in_flight(&gateway).await == 20.0).then_some(())
    })
    .await;

    gateway.terminate();
    eventually("new connections are refused", async || {
        TcpStream::connect(gateway.address())
            .await
            .is_err()
            .then_some(())
    })
    .await;
    let readyz = get(&format!("{}/readyz", gateway.admin_url())).await;
    assert_eq!(readyz.map(|answer| answer.status), Some(503));

    let mut primary = 0;
    for answer in asked.join_all().await {
        primary += usize::from(answer.decision()["tier"] == "primary");
    }
    assert_eq!(primary, 19, "those that Triton answers in time");
    let gateway = Arc::get_mut(&mut gateway).unwrap();
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_the_health_is_told_and_does_not_hold_up_the_end() {
    let _turn = turn().lock().await;
    let mut gateway = Setup::new().start().await;
    let channel = tonic::transport::Endpoint::from_shared(gateway.url()).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let service = String::new();
    let watching = health.watch(HealthCheckRequest { service }).await;
    let mut statuses = watching.unwrap().into_inner();
    let first = statuses.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);

    gateway.terminate();
    let second = statuses.message().await.unwrap().unwrap();
    assert_eq!(second.status(), ServingStatus::NotServing);
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_idle_connections_do_not_hold_up_the_end() {
    let _turn = turn().lock().await;
    let config = "[server]\nbody_timeout = '1s'\ndrain_timeout = '10s'\n";
    let mut gateway = Setup::new().config(config).start().await;
    let mut silent = gateway.connect().await;
    let mut half_head = gateway.connect().await;
    half_head.send(b"POST /v1/decide HTTP/1.1\r\nhost:").await;
    let mut half_body = gateway.connect().await;
    half_body
        .send(b"POST /v1/decide HTTP/1.1\r\nhost: gavel\r\ncontent-length: 100\r\n\r\n{")
        .await;
    sleep(Duration::from_millis(100)).await;

    gateway.terminate();
    let answer = half_body.answer().await.expect("an answer to half a body");
    assert_eq!(answer.status, 400);
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("did not arrive")
    );
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
    for connection in [&mut silent, &mut half_head] {
        assert!(connection.is_ended_within(Duration::from_secs(1)).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_is_cut_off_and_said() {
    let _turn = turn().lock().await;
    let config = "[server]\nbody_timeout = '1h'\ndrain_timeout = '300ms'\n";
    let mut gateway = Setup::new().config(config).start().await;
    let mut half_body = gateway.connect().await;
    half_body
        .send(b"POST /v1/decide HTTP/1.1\r\nhost: gavel\r\ncontent-length: 100\r\n\r\n{")
        .await;
    sleep(Duration::from_millis(100)).await;
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(1));
    assert!(
        gateway.log().contains("did not finish within 300ms"),
        "{}",
        gateway.log()
    );
}
