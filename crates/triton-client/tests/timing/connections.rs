//! What a connection's end means for the request on it: not looked at is sent again, else it is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

/// What the server does about the first request of a connection (RFC 9113, section 6).
#[derive(Clone, Copy, Debug)]
enum End {
    /// Resets its stream, with this code.
    Reset(u32),
    /// Goes away, with this code, having looked at streams up to this one.
    GoAway { last: u32, code: u32 },
    /// Closes the connection.
    Close,
}

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;
/// The first request of a connection.
const FIRST: u32 = 1;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame");
    let [_, length @ ..] = length.to_be_bytes();
    let head = [&length[..], &[kind, 0], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// Speaks just enough HTTP/2 to end a connection at its first request.
async fn end(mut stream: DuplexStream, end: End) -> std::io::Result<()> {
    stream.read_exact(&mut [0; PREFACE.len()]).await?;
    stream.write_all(&frame(SETTINGS, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).await?;
        if head[3] == HEADERS {
            break;
        }
    }
    let said = match end {
        End::Reset(code) => frame(RST_STREAM, FIRST, &code.to_be_bytes()),
        End::GoAway { last, code } => {
            let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
            frame(GOAWAY, 0, &payload)
        }
        End::Close => return Ok(()),
    };
    stream.write_all(&said).await?;
    if let End::GoAway { .. } = end {
        return Ok(());
    }
    // The connection stays up.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

/// A server whose first connections end so; those after them reach the fake. How many there were
/// is counted.
fn ending(fake: &FakeTriton, ends: &[End]) -> (Arc<Client>, Arc<AtomicUsize>) {
    let (connector, ends) = (fake.connector(), ends.to_vec());
    let connections = Arc::new(AtomicUsize::new(0));
    let opened = Arc::clone(&connections);
    let connect = move || {
        let number = opened.fetch_add(1, Ordering::Relaxed);
        let (ends, connected) = (ends.get(number).copied(), connector());
        async move {
            let Some(how) = ends else {
                return connected.await;
            };
            let (ours, theirs) = duplex(1 << 16);
            tokio::spawn(end(theirs, how));
            Ok(ours)
        }
    };
    let set = EndpointSet::with_connector("ending", connect, EndpointOptions::default());
    (Client::new(set, Batching::none()), connections)
}

/// Asks a question that nobody else would ask again.
async fn live(client: &Client) -> Result<bool, ControlError> {
    client.server_live(Instant::now() + MS * 50).await
}

#[tokio::test(start_paused = true)]
async fn what_the_server_has_not_looked_at_is_sent_once_more() {
    for unseen in [
        End::Reset(REFUSED_STREAM),
        End::GoAway {
            last: 0,
            code: NO_ERROR,
        },
        End::GoAway {
            last: 0,
            code: ENHANCE_YOUR_CALM,
        },
    ] {
        let fake = fake();
        let (client, connections) = ending(&fake, &[unseen]);
        assert_eq!(live(&client).await, Ok(true), "{unseen:?}");
        assert_eq!(connections.load(Ordering::Relaxed), 2);

        let (client, connections) = ending(&fake, &[unseen]);
        infer(&client, MS * 50).await.expect("an answer");
        assert_eq!(fake.calls("m"), 1, "{unseen:?}");
        assert_eq!(connections.load(Ordering::Relaxed), 2);
        assert_eq!(client.queues()[0].totals.retried, 0, "no second call");

        let (client, connections) = ending(&fake, &[unseen; 2]);
        let answer = live(&client).await;
        assert!(
            matches!(answer, Err(ControlError::Unreachable { .. })),
            "once, and not for ever: {answer:?}"
        );
        assert_eq!(connections.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_server_may_have_begun_is_not() {
    for seen in [
        End::Reset(INTERNAL_ERROR),
        End::GoAway {
            last: FIRST,
            code: NO_ERROR,
        },
        End::Close,
    ] {
        let (client, connections) = ending(&fake(), &[seen]);
        let answer = live(&client).await;
        assert!(
            matches!(answer, Err(ControlError::Unreachable { .. })),
            "{seen:?}: {answer:?}"
        );
        assert_eq!(connections.load(Ordering::Relaxed), 1, "{seen:?}");
    }
}
