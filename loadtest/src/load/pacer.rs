//! Waiting for the next arrival: the runtime's own timers tick in milliseconds, and arrivals come
//! several to a millisecond.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::{io::unix::AsyncFd, time::Instant};

/// Waits until an instant.
pub trait Pacer {
    /// Returns at `instant` or soon after, at once if it has passed.
    fn until(&mut self, instant: Instant) -> impl Future<Output = ()>;
}

/// The runtime's timers: exact on a paused clock.
#[derive(Clone, Copy, Debug)]
pub struct RuntimePacer;

impl Pacer for RuntimePacer {
    async fn until(&mut self, instant: Instant) {
        tokio::time::sleep_until(instant).await;
    }
}

/// A timer of the operating system, to tens of microseconds.
#[derive(Debug)]
pub struct FinePacer(AsyncFd<OwnedFd>);

impl FinePacer {
    /// Must be made inside a runtime.
    ///
    /// # Errors
    /// The operating system gives no timer.
    #[expect(
        unsafe_code,
        reason = "registering a descriptor of ours; the proof is at the call"
    )]
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // SAFETY: an `OwnedFd` always gives the same descriptor, which is open until it is dropped.
        let registered = unsafe { AsyncFd::register(timer) };
        Ok(Self(registered?))
    }

    async fn sleep(&mut self, time: Duration) -> io::Result<()> {
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let once = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: time.subsec_nanos().into(),
            },
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            let expired = ready.try_io(|timer| {
                let mut count = [0; 8];
                Ok(rustix::io::read(timer.get_ref(), &mut count)?)
            });
            if let Ok(read) = expired {
                return read.map(drop);
            }
        }
    }
}

impl Pacer for FinePacer {
    async fn until(&mut self, instant: Instant) {
        let left = instant.saturating_duration_since(Instant::now());
        if !left.is_zero() && self.sleep(left).await.is_err() {
            // The timer is gone; a coarser one is still right on average.
            tokio::time::sleep_until(instant).await;
        }
    }
}
