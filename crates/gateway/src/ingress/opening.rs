//! A connection's first bytes, which tell HTTP/1.1 from HTTP/2, must come in time: until they are
//! there, neither protocol's own timeouts run, and a silent peer would keep its place for ever.

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

/// As many bytes as HTTP/2's preface has (RFC 9113, section 3.4).
const OPENING_BYTES: usize = 24;

/// A stream whose first bytes are timed. Once they are there it costs a comparison a read.
#[derive(Debug)]
pub(super) struct Opening<S> {
    stream: S,
    missing_bytes: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Opening<S> {
    /// Reads fail once `limit` is over and the first bytes are not there.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            missing_bytes: OPENING_BYTES,
            timer: Some(Box::pin(sleep(limit))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(timer) = &mut self.timer else {
            return polled;
        };
        if polled.is_pending() {
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let read = buffer.filled().len() - filled;
        self.missing_bytes = self.missing_bytes.saturating_sub(read);
        if self.missing_bytes == 0 {
            self.timer = None;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::Instant,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_too_little_is_given_up_on() {
        let (mut peer, ours) = duplex(64);
        let started = Instant::now();
        let mut opening = Opening::new(ours, LIMIT);
        peer.write_all(b"PRI * HTTP/2.0").await.unwrap();
        let mut said = Vec::new();
        let error = opening.read_to_end(&mut said).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(said, b"PRI * HTTP/2.0");
        assert_eq!(started.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn once_it_has_spoken_a_peer_may_be_silent() {
        let (mut peer, ours) = duplex(64);
        let mut opening = Opening::new(ours, LIMIT);
        peer.write_all(&[b'x'; OPENING_BYTES]).await.unwrap();
        tokio::spawn(async move {
            sleep(10 * LIMIT).await;
            peer.write_all(b"more").await.unwrap();
        });
        let mut said = Vec::new();
        opening.read_to_end(&mut said).await.unwrap();
        assert_eq!(said.len(), OPENING_BYTES + 4);
    }
}
