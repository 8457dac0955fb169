//! More than the process keeps up with: some are told to come back, the others are answered, and it is
//! over when the flood is.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::support::{
    ask::{message, turn},
    eventually, files,
    gateway::Setup,
    raw,
};

const CONNECTIONS: usize = 64;

/// Writes requests without waiting for their answers, which are read and dropped, for ever.
async fn flood(address: String, request: Vec<u8>) {
    let many = request.repeat(32);
    loop {
        let stream = TcpStream::connect(&address).await.unwrap();
        let (mut answers, mut requests) = stream.into_split();
        let mut dropped = vec![0; 64 * 1024];
        let writing = async { while requests.write_all(&many).await.is_ok() {} };
        let reading = async { while matches!(answers.read(&mut dropped).await, Ok(1..)) {} };
        tokio::select! {
            () = writing => {}
            () = reading => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_told_to_come_back_and_leaves_no_trace() {
    let _turn = turn().lock().await;
    // Short budgets, so that a queue counts as too long early.
    let setup = Setup::new()
        .decisions(|folder| files::edit(&folder.join("fraud.toml"), "\"95ms\"", "\"20ms\""));
    let mut gateway = setup.start().await;
    let before = gateway.decide(&files::payment()).await;
    let calm = gateway.metrics().await;
    let refusals = |reason| [("reason", reason)];
    let refused = "gavel_overload_rejections_total";
    assert_eq!(calm.sum(refused, &refusals("run_queue")), 0.0);

    let mut floods = JoinSet::new();
    let request = raw::post(&[], files::payment().to_string().as_bytes());
    for _ in 0..CONNECTIONS {
        floods.spawn(flood(gateway.address(), request.clone()));
    }
    let told = eventually("somebody is told to come back", async || {
        let answer = gateway.ask(&files::payment()).await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert_eq!(told.header("retry-after"), "1");
    assert_eq!(told.json()["kind"], "overloaded");
    let mut grpc = gateway.grpc().await;
    let status = eventually("somebody is told over gRPC", async || {
        grpc.clone().decide(message(&files::payment())).await.err()
    })
    .await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "overloaded");
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    // Others are answered meanwhile, and whoever asks for health is not turned away.
    let answered = gateway.metrics().await.sum("gavel_decisions_total", &[]);
    eventually("others are answered", async || {
        let now = gateway.metrics().await.sum("gavel_decisions_total", &[]);
        (now > answered).then_some(())
    })
    .await;
    let mut health = HealthClient::new(gateway.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();

    floods.shutdown().await;
    eventually("nobody is turned away any more", async || {
        let share = gateway.metrics().await.sum("gavel_shed_share", &[]);
        (share == 0.0).then_some(())
    })
    .await;
    let metrics = gateway.metrics().await;
    assert!(metrics.sum(refused, &refusals("run_queue")) >= 2.0);
    assert!(metrics.sum("gavel_run_queue_wait_seconds_count", &[]) > 0.0);
    assert_eq!(metrics.sum("gavel_in_flight", &[]), 0.0);
    for _ in 0..50 {
        let after = gateway.decide(&files::payment()).await;
        assert_eq!(after["action"], before["action"]);
    }
    grpc.decide(message(&files::payment())).await.unwrap();
    gateway.assert_well().await;
}
