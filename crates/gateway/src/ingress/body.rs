//! Reads a body within a size and a time, so that a caller who trickles bytes is told so.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::rejection::{Kind, Rejection};

/// Reads a whole body of at most `limit_bytes`.
pub async fn read(body: Body, limit_bytes: usize) -> Result<Bytes, Rejection> {
    let too_large = || {
        let detail = format!("the body is larger than {limit_bytes} bytes");
        Rejection::new(Kind::PayloadTooLarge, detail)
    };
    if body.size_hint().lower() > limit_bytes as u64 {
        return Err(too_large());
    }
    match Limited::new(body, limit_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => {
            let cause = std::error::Error::source(&*error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            Err(Rejection::invalid(format!(
                "the body did not arrive: {cause}"
            )))
        }
    }
}

/// A body that fails once its time is up. The timer exists only while bytes are awaited.
#[derive(Debug)]
pub struct TimedBody {
    inner: Body,
    until: Instant,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The body's time was up.
#[derive(Debug, thiserror::Error)]
#[error("it took longer than {0:?}")]
pub struct BodyTimeout(Duration);

impl TimedBody {
    /// `inner`, which must be complete at `received + timeout`.
    pub fn new(inner: Body, received: Instant, timeout: Duration) -> Self {
        Self {
            inner,
            until: received + timeout,
            timeout,
            timer: None,
        }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let until = self.until;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(axum::Error::new(BodyTimeout(self.timeout))))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn trickle(gap: Duration, pieces: usize) -> Body {
        Body::from_stream(stream::unfold(0, move |i| async move {
            if i == pieces {
                return None;
            }
            tokio::time::sleep(gap).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), i + 1))
        }))
    }

    async fn read_timed(gap: Duration, pieces: usize) -> Result<Bytes, Rejection> {
        let body = TimedBody::new(trickle(gap, pieces), Instant::now(), Duration::from_secs(2));
        read(Body::new(body), 100).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickled_body_is_cut_off_at_its_time() {
        let started = Instant::now();
        let rejection = read_timed(Duration::from_millis(500), 50)
            .await
            .unwrap_err();
        assert_eq!(rejection.kind, Kind::InvalidRequest);
        assert!(
            rejection.detail.contains("longer than 2s"),
            "{}",
            rejection.detail
        );
        assert_eq!(started.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_that_makes_it_is_read() {
        assert_eq!(
            read_timed(Duration::from_millis(500), 3)
                .await
                .unwrap()
                .len(),
            3
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_over_the_limit_is_refused() {
        let rejection = read(trickle(Duration::ZERO, 101), 100).await.unwrap_err();
        assert_eq!(rejection.kind, Kind::PayloadTooLarge);
        let declared = read(Body::from(vec![b'x'; 101]), 100).await.unwrap_err();
        assert_eq!(declared.kind, Kind::PayloadTooLarge);
    }
}
