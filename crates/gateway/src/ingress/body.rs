//! Reads a body within a size and a time, so that a caller who trickles bytes is told so, and all
//! bodies together within the memory that is meant for them.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use metrics::Counter;
use tokio::time::{Instant, Sleep};

use crate::{
    admission::RETRY_AFTER,
    rejection::{Kind, Rejection},
    telemetry::Overload,
};

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
            let mut causes = std::iter::successors(error.source(), |cause| cause.source());
            if causes.any(|cause| cause.is::<NoRoom>()) {
                return Err(no_room());
            }
            let cause = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            Err(Rejection::invalid(format!(
                "the body did not arrive: {cause}"
            )))
        }
    }
}

/// The bytes of bodies that are being read, of all requests together. They are held by requests that
/// were not admitted yet, so the limit on decisions in flight does not bound them.
#[derive(Debug)]
pub struct Bodies {
    held_bytes: AtomicUsize,
    limit_bytes: usize,
    refused: Counter,
}

/// What one body holds of them; given back when dropped.
#[derive(Debug)]
struct Hold {
    bodies: Arc<Bodies>,
    bytes: usize,
}

impl Bodies {
    /// No more than `limit_bytes` at once.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            held_bytes: AtomicUsize::new(0),
            limit_bytes,
            refused: Overload::Bodies.counter(),
        }
    }
}

impl Hold {
    fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.bytes += bytes;
        let before = self.bodies.held_bytes.fetch_add(bytes, Relaxed);
        if before + bytes <= self.bodies.limit_bytes {
            return Ok(());
        }
        self.bodies.refused.increment(1);
        Err(NoRoom(tonic::Status::resource_exhausted(no_room().detail)))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.bodies.held_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// A body that fails once its time is up, or once all bodies together are too large. The timer exists
/// only while bytes are awaited.
#[derive(Debug)]
pub struct BoundedBody {
    inner: Body,
    until: Instant,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    hold: Hold,
}

/// The body's time was up.
#[derive(Debug, thiserror::Error)]
#[error("it took longer than {0:?}")]
pub struct BodyTimeout(Duration);

/// All bodies together were too large. The status is what gRPC's own reader looks for in an error.
#[derive(Debug, thiserror::Error)]
#[error("there is no room for it")]
struct NoRoom(#[source] tonic::Status);

fn no_room() -> Rejection {
    let detail = "the bodies that are being read are as large together as the gateway holds";
    Rejection::new(Kind::Overloaded, detail).retry_after(RETRY_AFTER)
}

impl BoundedBody {
    /// `inner`, which must be complete at `received + timeout`, and counts among `bodies`.
    pub fn new(inner: Body, received: Instant, timeout: Duration, bodies: Arc<Bodies>) -> Self {
        Self {
            inner,
            until: received + timeout,
            timeout,
            timer: None,
            hold: Hold { bodies, bytes: 0 },
        }
    }
}

impl HttpBody for BoundedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let data = frame
                .as_ref()
                .and_then(|frame| frame.as_ref().ok()?.data_ref());
            let grown = data.map_or(Ok(()), |data| self.hold.grow(data.len()));
            return Poll::Ready(
                grown.map_or_else(|error| Some(Err(axum::Error::new(error))), |()| frame),
            );
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

    fn bounded(inner: Body, bodies: &Arc<Bodies>) -> Body {
        let timeout = Duration::from_secs(2);
        Body::new(BoundedBody::new(
            inner,
            Instant::now(),
            timeout,
            Arc::clone(bodies),
        ))
    }

    async fn read_timed(gap: Duration, pieces: usize) -> Result<Bytes, Rejection> {
        read(
            bounded(trickle(gap, pieces), &Arc::new(Bodies::new(1000))),
            100,
        )
        .await
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

    #[tokio::test(start_paused = true)]
    async fn bodies_that_are_too_large_together_are_refused_until_some_are_gone() {
        let bodies = Arc::new(Bodies::new(10));
        let read = |pieces| {
            read(
                bounded(trickle(Duration::from_millis(1), pieces), &bodies),
                100,
            )
        };
        let (first, second) = tokio::join!(read(6), read(6));
        let refused = first.and(second).unwrap_err();
        assert_eq!(refused.kind, Kind::Overloaded);
        assert!(refused.retry_after.is_some());
        assert_eq!(bodies.held_bytes.load(Relaxed), 0, "all is given back");
        assert_eq!(read(10).await.unwrap().len(), 10);
        assert_eq!(read(11).await.unwrap_err().kind, Kind::Overloaded);
        assert_eq!(bodies.held_bytes.load(Relaxed), 0);
    }
}
