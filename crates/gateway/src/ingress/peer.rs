//! A peer that keeps a connection without using it is given up on.
//!
//! The first bytes of a connection, which tell HTTP/1.1 from HTTP/2, must come in time, and so must
//! the head of every HTTP/1.1 request; between requests a connection may be idle for much longer
//! (`server` says how long), because pools keep it for the next. What is written must be taken in
//! time, or a peer that never reads would keep its place for ever.
//!
//! ```text
//!  Opening --24 bytes of HTTP/2's preface--> Http2
//!     | any other byte
//!     v
//!   Head --blank line--> Busy --an answer is written--> Idle --a byte--> Head
//! ```
//! `Opening` and `Head` are timed here.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// What an HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What ends the head of an HTTP/1.1 request.
const BLANK_LINE: &[u8] = b"\r\n\r\n";
/// An answer after which the request goes on.
const INTERIM: &[u8] = b"HTTP/1.1 100";
/// How long a peer may take nothing of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A stream whose peer is timed.
#[derive(Debug)]
pub(super) struct Peer<S> {
    stream: S,
    phase: Phase,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    stalled: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// So many bytes of the preface have come.
    Opening(usize),
    /// So many bytes of the blank line have come.
    Head(usize),
    Busy,
    Idle,
    Http2,
}

impl Phase {
    /// The phase after these bytes.
    fn after(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self = match self {
                Self::Opening(seen) if PREFACE[seen] != *byte => Self::Head(0).after(&[*byte]),
                Self::Opening(seen) if seen + 1 == PREFACE.len() => Self::Http2,
                Self::Opening(seen) => Self::Opening(seen + 1),
                Self::Idle => Self::Head(0).after(&[*byte]),
                Self::Head(seen) if BLANK_LINE[seen] != *byte => {
                    Self::Head(usize::from(*byte == BLANK_LINE[0]))
                }
                Self::Head(seen) if seen + 1 == BLANK_LINE.len() => Self::Busy,
                Self::Head(seen) => Self::Head(seen + 1),
                Self::Busy | Self::Http2 => return self,
            };
        }
        self
    }

    fn is_timed(self) -> bool {
        matches!(self, Self::Opening(_) | Self::Head(_))
    }
}

impl<S> Peer<S> {
    /// Reads fail once the first bytes, or a head that has begun, take longer than `limit`.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            phase: Phase::Opening(0),
            limit,
            timer: Some(Box::pin(sleep(limit))),
            stalled: None,
        }
    }

    fn has_read(&mut self, bytes: &[u8]) {
        self.phase = self.phase.after(bytes);
        if !self.phase.is_timed() {
            self.timer = None;
        } else if self.timer.is_none() {
            self.timer = Some(Box::pin(sleep(self.limit)));
        }
    }

    /// What came of a write that begins with `start`, or that the peer took nothing for too long.
    fn has_written(
        &mut self,
        start: &[u8],
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            if self.phase != Phase::Http2 && !start.starts_with(INTERIM) {
                self.phase = Phase::Idle;
                self.timer = None;
            }
            return written;
        }
        let timer = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Peer<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            self.has_read(&buffer.filled()[filled..]);
            return polled;
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Peer<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.has_written(bytes, written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        let start = slices.first().map_or(&[][..], |slice| &**slice);
        self.has_written(start, written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::Instant,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Reads until the peer is given up on; gives how long that took.
    async fn given_up(peer: &mut Peer<DuplexStream>) -> Duration {
        let started = Instant::now();
        let mut said = Vec::new();
        let error = peer.read_to_end(&mut said).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_too_little_is_given_up_on() {
        for said in [&b""[..], &PREFACE[..23], b"GET / HTTP/1.1\r\nhost: g\r\n"] {
            let (mut client, ours) = duplex(64);
            let mut peer = Peer::new(ours, LIMIT);
            client.write_all(said).await.unwrap();
            assert_eq!(given_up(&mut peer).await, LIMIT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_a_peer_may_be_silent_but_a_head_that_began_may_not() {
        let (mut client, ours) = duplex(1024);
        let mut peer = Peer::new(ours, LIMIT);
        let mut buffer = [0; 1024];
        for _ in 0..2 {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            assert_eq!(peer.read(&mut buffer).await.unwrap(), 18);
            peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            sleep(10 * LIMIT).await;
        }
        client.write_all(b"G").await.unwrap();
        assert_eq!(given_up(&mut peer).await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_and_http2_have_their_own_timeouts() {
        for said in [
            &b"POST / HTTP/1.1\r\nexpect: 100-continue\r\n\r\n"[..],
            PREFACE,
        ] {
            let (mut client, ours) = duplex(1024);
            let mut peer = Peer::new(ours, LIMIT);
            let mut buffer = [0; 1024];
            client.write_all(said).await.unwrap();
            peer.read_exact(&mut buffer[..said.len()]).await.unwrap();
            peer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .unwrap();
            client.write_all(b"{").await.unwrap();
            peer.read_exact(&mut buffer[..1]).await.unwrap();
            tokio::spawn(async move {
                sleep(10 * LIMIT).await;
                client.write_all(b"}").await.unwrap();
            });
            peer.read_exact(&mut buffer[..1]).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_reads_is_given_up_on() {
        let (_client, ours) = duplex(64);
        let started = Instant::now();
        let mut peer = Peer::new(ours, LIMIT);
        let error = peer.write_all(&[b'x'; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), WRITE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_is_not() {
        let (mut client, ours) = duplex(64);
        let mut peer = Peer::new(ours, LIMIT);
        let reading = tokio::spawn(async move {
            let mut bytes = [0; 64];
            for _ in 0..10 {
                sleep(WRITE_TIMEOUT / 2).await;
                client.read_exact(&mut bytes).await.unwrap();
            }
        });
        peer.write_all(&[b'x'; 640]).await.unwrap();
        reading.await.unwrap();
    }

    proptest::proptest! {
        #[test]
        fn how_bytes_are_cut_makes_no_difference(
            bytes in proptest::collection::vec(proptest::sample::select(&b"PRI * HTTP/2.0\r\nSMx"[..]), 0..60),
            cut in 0usize..60,
        ) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let whole = Phase::Opening(0).after(&bytes);
            proptest::prop_assert_eq!(Phase::Opening(0).after(first).after(second), whole);
        }
    }
}
