//! Both callers against servers that do as they are told, over real sockets.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::LocalSet,
    time,
};

use super::*;
use crate::{
    proto::gavel::DecideResponse,
    questions::{Question, id_of},
};

const PIECES_APART: Duration = Duration::from_millis(5);
const BODY: &str = r#"{"id":"q-0","tier":"primary","scores":{"fraud":0.25}}"#;

const RIGHT: Outcome = Outcome::Answered(Answer {
    tier: Tier::Primary,
    score: 0.25,
    is_to_question: true,
});

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn target(address: SocketAddr, format: Format) -> Target {
    let question = Question {
        decision: "fraud".to_owned(),
        id: id_of(0),
        entities: serde_json::Map::new(),
        inputs: serde_json::Map::new(),
        budget_ms: Some(50.0),
    };
    Target::new(address, Requests::to_gavel(&[question], format), 1)
}

fn written(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Reads one request, which all end in the question's closing brace.
async fn read_request(stream: &mut TcpStream) -> io::Result<String> {
    let mut request = String::new();
    while !request.ends_with('}') {
        let mut piece = [0; 512];
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    Ok(request)
}

#[tokio::test]
async fn http_answers_are_read_in_pieces_and_a_broken_connection_is_replaced() {
    let (listener, address) = listen().await;
    let right = written("200 OK", BODY);
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await.unwrap();
        assert!(
            request.starts_with("POST /v1/decide HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("\r\ncontent-type: application/json\r\n"),
            "{request}"
        );
        assert!(request.ends_with(r#""inputs":{}}"#), "{request}");
        for piece in right.as_bytes().chunks(50) {
            stream.write_all(piece).await.unwrap();
            time::sleep(PIECES_APART).await;
        }
        for answer in [
            written("429 Too Many Requests", "{}"),
            written("500 Oops", "{}"),
            written("200 OK", "{}"),
        ] {
            read_request(&mut stream).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        read_request(&mut stream).await.unwrap();
        stream.write_all(&right.as_bytes()[..60]).await.unwrap();
        drop(stream);
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(right.as_bytes()).await.unwrap();
    };
    let caller = async {
        let mut caller = target(address, Format::Json).caller();
        assert_eq!(caller.call(0).await, RIGHT);
        assert_eq!(caller.call(0).await, Outcome::Refused);
        assert_eq!(caller.call(0).await, Outcome::Failed, "a status of its own");
        assert_eq!(caller.call(0).await, Outcome::Failed, "no answer in it");
        assert_eq!(caller.call(0).await, Outcome::Failed, "cut off");
        assert_eq!(caller.call(0).await, RIGHT, "on a new connection");
    };
    tokio::join!(server, caller);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_no_failure() {
    let (listener, address) = listen().await;
    let server = async {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            let right = written("200 OK", BODY);
            stream.write_all(right.as_bytes()).await.unwrap();
        }
    };
    let caller = async {
        let mut caller = target(address, Format::Json).caller();
        caller.prepare().await;
        assert_eq!(caller.call(0).await, RIGHT);
        time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(caller.call(0).await, RIGHT);
    };
    tokio::join!(server, caller);
}

#[tokio::test]
async fn nobody_listening_is_a_failure() {
    let (listener, address) = listen().await;
    drop(listener);
    let calls = async {
        for format in [Format::Json, Format::Grpc] {
            assert_eq!(
                target(address, format).caller().call(0).await,
                Outcome::Failed
            );
        }
    };
    LocalSet::new().run_until(calls).await;
}

fn framed() -> Bytes {
    let answer = DecideResponse {
        id: id_of(0),
        tier: "primary".to_owned(),
        scores: [("fraud".to_owned(), 0.25)].into(),
        ..Default::default()
    };
    let message = answer.encode_to_vec();
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(&message);
    frame.into()
}

fn status(code: &'static str) -> HeaderMap {
    [(
        "grpc-status".parse().unwrap(),
        HeaderValue::from_static(code),
    )]
    .into_iter()
    .collect()
}

/// Serves calls on one connection: with a status alone, or a message in two pieces and a status.
async fn serve_grpc(stream: TcpStream, answers: &[(Option<Bytes>, &'static str)]) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    for (message, code) in answers {
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        assert_eq!(request.uri().path(), "/gavel.v1.DecisionService/Decide");
        match message {
            None => {
                let mut head = Response::new(());
                *head.headers_mut() = status(code);
                respond.send_response(head, true).unwrap();
            }
            Some(message) => {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                let mut message = message.clone();
                let second = message.split_off(message.len().min(7));
                body.send_data(message, false).unwrap();
                body.send_data(second, false).unwrap();
                body.send_trailers(status(code)).unwrap();
            }
        }
    }
    // What is written leaves while the connection is driven; the peer does not ask again.
    let more = time::timeout(20 * PIECES_APART, connection.accept()).await;
    assert!(!matches!(more, Ok(Some(_))));
}

#[tokio::test]
async fn grpc_answers_need_a_message_and_a_good_status() {
    let (listener, address) = listen().await;
    let answers = [
        (Some(framed()), "0"),
        (None, "8"),
        (None, "14"),
        (Some(framed()), "13"),
        (Some(framed().slice(..9)), "0"),
        (Some(Bytes::new()), "0"),
    ];
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        serve_grpc(stream, &answers).await;
        let (stream, _) = listener.accept().await.unwrap();
        serve_grpc(stream, &answers[..1]).await;
    };
    let caller = async {
        let mut caller = target(address, Format::Grpc).caller();
        let mut outcomes = Vec::new();
        for _ in &answers {
            outcomes.push(caller.call(0).await);
        }
        let failed = Outcome::Failed;
        assert_eq!(
            outcomes,
            [RIGHT, Outcome::Refused, failed, failed, failed, failed]
        );
        time::sleep(40 * PIECES_APART).await;
        assert_eq!(caller.call(0).await, failed, "the connection has ended");
        assert_eq!(caller.call(0).await, RIGHT, "on a new connection");
    };
    LocalSet::new()
        .run_until(async { tokio::join!(server, caller) })
        .await;
}
