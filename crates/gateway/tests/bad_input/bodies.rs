//! Bodies that are too large, too slow, or never complete.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use tokio::time::{Instant, sleep};

use crate::{
    problem::assert_problem,
    support::{
        PATIENCE,
        ask::{chunks, http1, http2, try_post},
        files,
        gateway::Setup,
        raw,
    },
};

const TEN_MB: usize = 10 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_are_refused_whether_announced_or_not() {
    let mut gateway = Setup::new().start().await;
    let before = gateway.resident_bytes();
    let words = ["larger than 65536 bytes"];

    // Announced: refused before any of it is read, so the answer is there without a body.
    for announced in [TEN_MB, 65_537, usize::MAX / 2] {
        let head = format!(
            "POST /v1/decide HTTP/1.1\r\nhost: gavel\r\ncontent-length: {announced}\r\n\r\n"
        );
        let answer = gateway.send_raw(head.as_bytes()).await;
        assert_problem("announced", &answer, 413, "payload_too_large", &words);
    }
    // One that is larger than any number: no HTTP.
    let head = "POST /v1/decide HTTP/1.1\r\nhost: gavel\r\ncontent-length: 99999999999999999999999\r\n\r\n";
    let answer = gateway.connect().await;
    let mut connection = answer;
    connection.send(head.as_bytes()).await;
    assert!(
        connection
            .answer()
            .await
            .is_none_or(|answer| answer.status == 400)
    );

    // In chunks: refused as soon as it is too large.
    let mut connection = gateway.connect().await;
    connection
        .send(b"POST /v1/decide HTTP/1.1\r\nhost: gavel\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
    for _ in 0..TEN_MB / 0x4000 {
        if !connection.try_send(&chunk).await {
            break;
        }
    }
    if let Some(answer) = connection.answer().await {
        assert_problem("in chunks", &answer, 413, "payload_too_large", &words);
    }

    // The same over HTTP/2, and with a client that reads while it writes.
    for client in [http1(), http2()] {
        let body = chunks(stream::iter(vec![Bytes::from(vec![b' '; 0x4000]); 5]));
        let url = format!("{}/v1/decide", gateway.url());
        let answer = try_post(&client, &url, &[], body).await.unwrap();
        assert_problem("80 kB in chunks", &answer, 413, "payload_too_large", &words);
        if let Some(answer) = try_post(&client, &url, &[], vec![b' '; TEN_MB]).await {
            assert_problem("10 MB", &answer, 413, "payload_too_large", &words);
        }
    }
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_the_operators() {
    let gateway = Setup::new()
        .config("[server]\nmax_body_bytes = 2048\n")
        .start()
        .await;
    let payment = files::payment().to_string();
    let padded = |length: usize| format!("{payment}{}", " ".repeat(length - payment.len()));
    assert_eq!(gateway.post(&[], padded(2048)).await.status, 200);
    let answer = gateway.post(&[], padded(2049)).await;
    assert_problem("one more", &answer, 413, "payload_too_large", &["2048"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_cut_off() {
    let mut gateway = Setup::new()
        .config("[server]\nbody_timeout = '500ms'\n")
        .start()
        .await;
    let mut connection = gateway.connect().await;
    let head = "POST /v1/decide HTTP/1.1\r\nhost: gavel\r\ncontent-length: 1000\r\n\r\n";
    connection.send(head.as_bytes()).await;
    let started = Instant::now();
    let trickle = async {
        while connection.try_send(b" ").await && started.elapsed() < PATIENCE {
            sleep(Duration::from_millis(100)).await;
            if started.elapsed() > Duration::from_secs(2) {
                break;
            }
        }
        connection.answer().await
    };
    let answer = trickle.await.expect("an answer to a body that never came");
    assert_problem(
        "trickled",
        &answer,
        400,
        "invalid_request",
        &["did not arrive", "longer than 500ms"],
    );
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_costs_nothing() {
    let mut gateway = Setup::new().start().await;
    let payment = files::payment().to_string();
    for _ in 0..50 {
        let mut connection = gateway.connect().await;
        let whole = raw::post(&[], payment.as_bytes());
        connection.send(&whole[..whole.len() - 10]).await;
    }
    // Chunks that are no chunks.
    for chunk in ["zz\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "5\r\n{}\r\n"] {
        let request = format!(
            "POST /v1/decide HTTP/1.1\r\nhost: gavel\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"
        );
        let mut connection = gateway.connect().await;
        connection.send(request.as_bytes()).await;
        if let Some(answer) = connection.answer().await {
            assert_eq!(answer.status, 400, "{chunk:?}: {answer:?}");
        }
    }
    assert_eq!(gateway.post(&[], payment).await.status, 200);
    gateway.assert_well().await;
}
