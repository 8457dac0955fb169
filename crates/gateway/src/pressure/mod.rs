//! Whether the process itself keeps up: how long a request waits before its first line runs, and
//! which share is turned away when that is too long.
//!
//! What is scarce then is this process's CPU, of which an answer of Triton's costs no more than one of the
//! tiers in process. So those that are answered keep all their tiers, and the others are refused.
//!
//! A request that waits in its socket and in the runtime's run queue has no line of ours running, so
//! nothing that it does can measure the wait. `probe` sends bytes the same way and times them;
//! `shedding` turns what is measured into a share; requests read both here, without a lock.
//!
//! ```text
//!  probe's thread --a byte--> socket, run queue --> probe's task: how long it took
//!        |                                              |
//!        |<----------------- Pressure: waited ----------+----> requests: wait()
//!        +-- Shedding --> share ------------------------------> requests: turns_away()
//! ```

pub mod probe;
mod shedding;

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

pub use self::shedding::{Shedding, target};

/// The longest wait that is told: a process that was stopped for minutes has not waited for minutes.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// A shorter one is the wake-up of an idle worker, and tells nothing of the next request.
const MIN_WAIT: Duration = Duration::from_millis(1);
/// A whole, in the fixed point of shares.
const WHOLE: u64 = 1 << 32;

/// What has been measured, and what follows from it.
#[derive(Debug)]
pub struct Pressure {
    began: Instant,
    /// When the probe that is out was sent, in µs since `began`; 0 when none is out.
    sent_us: AtomicU64,
    /// How long probes waited, smoothed.
    waited_us: AtomicU64,
    /// How long the latest probe waited.
    latest_us: AtomicU64,
    /// The share of requests that is turned away, of [`WHOLE`].
    share: AtomicU64,
    /// The sum of the shares of all requests since one was first turned away: each time that it
    /// passes a whole, one is.
    spread: AtomicU64,
}

impl Default for Pressure {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            sent_us: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
            latest_us: AtomicU64::new(0),
            share: AtomicU64::new(0),
            spread: AtomicU64::new(0),
        }
    }
}

impl Pressure {
    /// How long a request waited of which the first line runs at `now`: as long as probes did lately,
    /// and at least as long as the one that is still out, which came later than the request did.
    pub fn wait(&self, now: Instant) -> Duration {
        let waited_us = self.waited_us.load(Relaxed);
        let waited_us = waited_us.max(self.out_us(now));
        let wait = Duration::from_micros(waited_us).min(MAX_WAIT);
        if wait < MIN_WAIT {
            Duration::ZERO
        } else {
            wait
        }
    }

    /// How long the latest probe waited, or the one that is out has been waiting, if that is longer.
    fn latest(&self, now: Instant) -> Duration {
        let latest_us = self.latest_us.load(Relaxed).max(self.out_us(now));
        Duration::from_micros(latest_us).min(MAX_WAIT)
    }

    fn out_us(&self, now: Instant) -> u64 {
        match self.sent_us.load(Relaxed) {
            0 => 0,
            sent_us => self.since_began_us(now).saturating_sub(sent_us),
        }
    }

    /// Whether this request is one of those that are turned away: the share, evenly.
    pub fn turns_away(&self) -> bool {
        let share = self.share.load(Relaxed);
        if share == 0 {
            return false;
        }
        let before = self.spread.fetch_add(share, Relaxed);
        before.wrapping_add(share) / WHOLE != before / WHOLE
    }

    /// Takes a probe's wait: a quarter of it now, so that one late wake-up is not taken for the rule.
    /// The first line of one task alone may call this.
    pub fn waited(&self, wait: Duration) {
        let wait_us = wait.min(MAX_WAIT).as_micros() as u64;
        self.latest_us.store(wait_us, Relaxed);
        let before_us = self.waited_us.load(Relaxed);
        self.waited_us.store((3 * before_us + wait_us) / 4, Relaxed);
    }

    /// Turns away this share of requests from now on, from 0 to 1.
    pub fn shed(&self, share: f64) {
        self.share.store((share * WHOLE as f64) as u64, Relaxed);
    }

    /// Notes that a probe leaves at `now`; false while one is out.
    fn send(&self, now: Instant) -> bool {
        let sent_us = self.since_began_us(now).max(1);
        let swap = self.sent_us.compare_exchange(0, sent_us, Relaxed, Relaxed);
        swap.is_ok()
    }

    /// Notes that the probe that was out arrived at `now`.
    fn arrived(&self, now: Instant) -> Duration {
        let sent_us = self.sent_us.swap(0, Relaxed);
        let wait = Duration::from_micros(self.since_began_us(now).saturating_sub(sent_us));
        self.waited(wait);
        wait
    }

    fn since_began_us(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_wait_is_smoothed_and_an_idle_workers_wake_up_is_none() {
        let pressure = Pressure::default();
        let wait = || pressure.wait(Instant::now());
        pressure.waited(Duration::from_micros(900));
        assert_eq!(wait(), Duration::ZERO);
        for _ in 0..100 {
            pressure.waited(ms(40));
        }
        assert!(wait() > ms(39) && wait() <= ms(40), "{:?}", wait());
        pressure.waited(Duration::ZERO);
        assert!(wait() > ms(29) && wait() <= ms(30), "{:?}", wait());
        pressure.waited(Duration::from_secs(3600));
        assert!(wait() < Duration::from_millis(300), "{:?}", wait());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_still_out_counts_for_as_long_as_it_has_been() {
        let pressure = Pressure::default();
        let sent = Instant::now() + ms(5);
        assert!(pressure.send(sent));
        assert!(!pressure.send(sent + ms(10)), "one at a time");
        assert_eq!(pressure.wait(sent + ms(80)), ms(80));
        assert_eq!(pressure.wait(sent + ms(5000)), MAX_WAIT);
        assert_eq!(pressure.arrived(sent + ms(80)), ms(80));
        assert_eq!(pressure.wait(sent + ms(5000)), ms(20));
        assert!(pressure.send(sent + ms(90)));
    }

    proptest::proptest! {
        #[test]
        fn the_share_is_turned_away_evenly(share in 0.0..=1.0_f64, requests in 1..2000_u32) {
            let pressure = Pressure::default();
            pressure.shed(share);
            let mut away = 0;
            for n in 1..=requests {
                away += u32::from(pressure.turns_away());
                let expected = share * f64::from(n);
                proptest::prop_assert!((f64::from(away) - expected).abs() <= 1.0);
            }
        }

        #[test]
        fn nobody_is_turned_away_without_a_share(requests in 0..1000_u32) {
            let pressure = Pressure::default();
            proptest::prop_assert!((0..requests).all(|_| !pressure.turns_away()));
        }
    }
}
