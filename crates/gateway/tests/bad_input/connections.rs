//! Bytes that are no HTTP, and connections that never become a request.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::support::{
    ask::{http2, try_post},
    files,
    gateway::{Gateway, Setup},
    raw,
};

/// Five seconds for a head, and a little for a busy machine.
const HEAD_LIMIT: Duration = Duration::from_secs(9);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn answers(gateway: &Gateway) {
    assert_eq!(gateway.ask(&files::payment()).await.status, 200);
}

/// Sends bytes; the server answers with a status of 400 and up that is no 5xx, or just ends it.
async fn refused(gateway: &Gateway, case: &str, bytes: &[u8]) {
    let mut connection = gateway.connect().await;
    connection.try_send(bytes).await;
    if let Some(answer) = connection.answer().await {
        assert!((400..500).contains(&answer.status), "{case}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_http_are_refused() {
    let mut gateway = Setup::new().start().await;
    let garbage: Vec<u8> = (0..4096_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let cases: &[(&str, &[u8])] = &[
        ("garbage", &garbage),
        ("zeros", &[0; 512]),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("HTTP/0.9", b"GET /v1/decide\r\n\r\n"),
        ("HTTP/3.0", b"GET / HTTP/3.0\r\nhost: g\r\n\r\n"),
        ("no path", b"POST HTTP/1.1\r\nhost: g\r\n\r\n"),
        ("a space in a header's name", b"GET / HTTP/1.1\r\nbad name: x\r\nhost: g\r\n\r\n"),
        ("a zero in a header", b"GET / HTTP/1.1\r\nhost: g\r\nx: a\x00b\r\n\r\n"),
        ("two lengths", b"POST /v1/decide HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
        ("a negative length", b"POST /v1/decide HTTP/1.1\r\nhost: g\r\ncontent-length: -2\r\n\r\n{}"),
        ("a length that is a word", b"POST /v1/decide HTTP/1.1\r\nhost: g\r\ncontent-length: two\r\n\r\n{}"),
        ("chunked, unknown coding", b"POST /v1/decide HTTP/1.1\r\nhost: g\r\ntransfer-encoding: gzip\r\n\r\n{}"),
    ];
    for (case, bytes) in cases {
        refused(&gateway, case, bytes).await;
    }
    answers(&gateway).await;
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_are_refused() {
    let mut gateway = Setup::new().start().await;
    let payment = files::payment().to_string();
    let name = |i: usize| format!("x-{i}: y");
    let many: Vec<String> = (0..1000).map(name).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refused(
        &gateway,
        "1,000 headers",
        &raw::post(&many, payment.as_bytes()),
    )
    .await;
    let long = format!("x: {}", "y".repeat(2 << 20));
    refused(
        &gateway,
        "a header of 2 MB",
        &raw::post(&[&long], payment.as_bytes()),
    )
    .await;
    let path = format!("GET /{} HTTP/1.1\r\nhost: g\r\n\r\n", "p".repeat(2 << 20));
    refused(&gateway, "a path of 2 MB", path.as_bytes()).await;

    // Over HTTP/2: a header above the limit, and one that goes on and on.
    let url = format!("{}/v1/decide", gateway.url());
    let header = "y".repeat(40_000);
    let answer = try_post(&http2(), &url, &[("x", &header)], payment).await;
    assert!(answer.is_none_or(|answer| answer.status == 431));
    let mut connection = gateway.connect().await;
    connection.try_send(PREFACE).await;
    connection
        .try_send(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0x83])
        .await;
    let continuation = [&[0, 0x40, 0, 9, 0, 0, 0, 0, 1][..], &[0x83; 0x4000]].concat();
    let mut sent = 0;
    while sent < 5000 && connection.try_send(&continuation).await {
        sent += 1;
    }
    assert!(sent < 5000, "80 MB of one header were read");
    answers(&gateway).await;
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_requests_that_are_right_are_answered() {
    let mut gateway = Setup::new().start().await;
    let payment = files::payment().to_string();
    let question = raw::post(&[], payment.as_bytes());

    let mut pipelined = gateway.connect().await;
    pipelined.send(&[&*question, &*question].concat()).await;
    for _ in 0..2 {
        assert_eq!(pipelined.answer().await.unwrap().status, 200);
    }
    let mut expecting = gateway.connect().await;
    let length = format!("content-length: {}\r\n", payment.len());
    let head =
        format!("POST /v1/decide HTTP/1.1\r\nhost: g\r\nexpect: 100-continue\r\n{length}\r\n");
    expecting.send(head.as_bytes()).await;
    assert!(expecting.says(b"HTTP/1.1 100 Continue\r\n\r\n").await);
    expecting.send(payment.as_bytes()).await;
    assert_eq!(expecting.answer().await.unwrap().status, 200);
    for line in [
        "POST http://elsewhere/v1/decide HTTP/1.1",
        "POST /v1/decide?x=%00 HTTP/1.1",
    ] {
        let request = format!("{line}\r\nhost: g\r\n{length}\r\n{payment}");
        assert_eq!(
            gateway.send_raw(request.as_bytes()).await.status,
            200,
            "{line}"
        );
    }
    let old = format!("POST /v1/decide HTTP/1.0\r\n{length}\r\n{payment}");
    assert_eq!(gateway.send_raw(old.as_bytes()).await.status, 200);
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_after_the_preface_of_http2_is_ended() {
    let mut gateway = Setup::new().start().await;
    let settings: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let cases: &[(&str, Vec<u8>)] = &[
        ("noise", vec![0xa5; 2048]),
        (
            "a frame of 16 MB",
            [settings, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat(),
        ),
        (
            "headers on stream 0",
            [settings, &[0, 0, 1, 1, 4, 0, 0, 0, 0, 0x82]].concat(),
        ),
        (
            "a broken header block",
            [
                settings,
                &[0, 0, 4, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
            ]
            .concat(),
        ),
        (
            "data for no stream",
            [settings, &[0, 0, 1, 0, 0, 0, 0, 0, 9, 0]].concat(),
        ),
        (
            "a window of zero",
            [settings, &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat(),
        ),
        (
            "a push from a client",
            [settings, &[0, 0, 5, 5, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0x82]].concat(),
        ),
    ];
    for (case, bytes) in cases {
        let mut connection = gateway.connect().await;
        connection.try_send(PREFACE).await;
        connection.try_send(bytes).await;
        assert!(connection.is_ended_within(HEAD_LIMIT).await, "{case}");
    }
    // Pings, settings and resets without end are refused, not served.
    for (case, frame) in [
        (
            "pings",
            [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].as_slice(),
        ),
        ("settings", settings),
    ] {
        let mut connection = gateway.connect().await;
        connection.try_send(PREFACE).await;
        connection.try_send(settings).await;
        for _ in 0..200 {
            if !connection.try_send(&frame.repeat(100)).await {
                break;
            }
        }
        drop(connection);
        assert!(gateway.runs(), "{case}");
    }
    answers(&gateway).await;
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_comes_is_not_waited_for() {
    let mut gateway = Setup::new().start().await;
    let mut connections = Vec::new();
    for (case, bytes) in [
        ("nothing", b"".as_slice()),
        ("one letter", b"P"),
        ("a bit of HTTP/2's preface", &PREFACE[..10]),
        ("half a head", b"POST /v1/decide HTTP/1.1\r\nhost:"),
    ] {
        let mut connection = gateway.connect().await;
        connection.send(bytes).await;
        connections.push((case, connection));
    }
    let mut trickled = gateway.connect().await;
    let started = Instant::now();
    while trickled.try_send(b"G").await && started.elapsed() < HEAD_LIMIT {
        sleep(Duration::from_millis(250)).await;
    }
    assert!(
        started.elapsed() < HEAD_LIMIT,
        "a head of one letter every 250 ms"
    );
    for (case, connection) in &mut connections {
        let left = HEAD_LIMIT.saturating_sub(started.elapsed());
        assert!(connection.is_ended_within(left).await, "{case}");
    }
    answers(&gateway).await;
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_half_open_requests_leaves_room_for_others() {
    let mut gateway = Setup::new().start().await;
    let before = gateway.resident_bytes();
    let mut flood = Vec::new();
    for i in 0..1500 {
        let mut connection = gateway.connect().await;
        let half: &[u8] = match i % 3 {
            0 => b"",
            1 => b"POST /v1/decide HTTP/1.1\r\nhost: gavel\r\n",
            _ => b"POST /v1/decide HTTP/1.1\r\nhost: gavel\r\ncontent-length: 60000\r\n\r\n{",
        };
        connection.send(half).await;
        flood.push(connection);
    }
    for _ in 0..20 {
        answers(&gateway).await;
    }
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(
        grown < 150 << 20,
        "{grown} bytes for {} connections",
        flood.len()
    );
    drop(flood);
    answers(&gateway).await;
    gateway.assert_well().await;
}
