//! How many calls one endpoint is given at a time: the fewest at which rows per second stop growing.
//!
//! Too few leave the server idle between two calls; too many only move the queue into the server,
//! where no deadline orders it and rows no longer merge. So the limit climbs while a further slot
//! brings more rows, and falls while one fewer brings as many (Kleinrock's power: throughput over
//! latency, with latency bought by no more than it pays for).
//!
//! ```text
//!             hold is over                    more rows: keep, try another
//!   Steady ------------------> Up (limit + 1) ----------------------------> Up
//!     ^                         | no more
//!     |                         v
//!     +---------------------- Down (limit - 1) --as many: keep, try another--> Down
//!        fewer: take it back
//! ```
//!
//! Only windows in which more slots were wanted all the time say anything about a limit; others are
//! dropped. After an ejection the limit begins at one and doubles with every answer: slow start.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest window that is judged.
const WINDOW: Duration = Duration::from_millis(200);
/// The fewest calls in a window that is judged.
const WINDOW_CALLS: u32 = 16;
/// A further slot stays if it brings so many times the rows.
const WORTH_MORE: f64 = 1.05;
/// A slot goes if without it there are still so many times the rows.
const WORTH_LESS: f64 = 0.98;
/// How long a limit that was found stays, the first time and at most.
const FIRST_HOLD: Duration = Duration::from_secs(1);
const MAX_HOLD: Duration = Duration::from_secs(30);
/// The highest limit.
const MAX_SLOTS: usize = 64;

#[derive(Debug, Clone, Copy)]
enum Phase {
    Steady { since: Instant, hold: Duration },
    Up { before: f64, hold: Duration },
    Down { before: f64, hold: Duration },
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    rows: usize,
    calls: u32,
}

/// The slots of one model at one endpoint.
#[derive(Debug)]
pub(crate) struct Slots {
    limit: usize,
    in_use: usize,
    /// Where slow start ends; `None` when it is over.
    slow_start_to: Option<usize>,
    phase: Phase,
    window: Option<Window>,
}

impl Slots {
    /// Slots for a model with so many instances: one call running in each, and one on its way.
    pub(crate) fn new(instances: usize, now: Instant) -> Self {
        Self {
            limit: (instances + 1).clamp(1, MAX_SLOTS),
            in_use: 0,
            slow_start_to: None,
            phase: Phase::Steady {
                since: now,
                hold: FIRST_HOLD,
            },
            window: None,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    pub(crate) fn is_free(&self) -> bool {
        self.in_use < self.limit
    }

    /// Takes a slot; whoever does must have seen [`Self::is_free`].
    pub(crate) fn take(&mut self) {
        self.in_use += 1;
    }

    pub(crate) fn give_back(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// The endpoint is back from an ejection: it is given one call, then two, then four.
    pub(crate) fn slow_start(&mut self) {
        let target = self.slow_start_to.unwrap_or(self.limit);
        self.slow_start_to = Some(target);
        self.limit = 1;
        self.window = None;
    }

    /// A call of so many rows was answered, and rows wanted a slot that was not there, or not.
    pub(crate) fn answered(&mut self, rows: usize, wanted: bool, now: Instant) {
        if let Some(target) = self.slow_start_to {
            self.limit = (self.limit * 2).min(target);
            self.slow_start_to = (self.limit < target).then_some(target);
            return;
        }
        if !wanted {
            self.window = None;
            return;
        }
        let Some(window) = &mut self.window else {
            self.window = Some(Window {
                began: now,
                rows: 0,
                calls: 0,
            });
            return;
        };
        window.rows += rows;
        window.calls += 1;
        let lasted = now.saturating_duration_since(window.began);
        if lasted >= WINDOW && window.calls >= WINDOW_CALLS {
            let rate = window.rows as f64 / lasted.as_secs_f64();
            self.window = None;
            self.adapt(rate, now);
        }
    }

    fn adapt(&mut self, rate: f64, now: Instant) {
        self.phase = match self.phase {
            Phase::Steady { since, hold } if now.saturating_duration_since(since) < hold => {
                Phase::Steady { since, hold }
            }
            Phase::Steady { hold, .. } => self.up(rate, hold, now),
            Phase::Up { before, hold } if rate > before * WORTH_MORE => self.up(rate, hold, now),
            Phase::Up { before, hold } => {
                self.limit -= 1;
                self.down(before, hold, now)
            }
            Phase::Down { before, hold } if rate >= before * WORTH_LESS => {
                self.down(before, hold, now)
            }
            Phase::Down { hold, .. } => {
                self.limit += 1;
                steady(hold, now)
            }
        };
    }

    fn up(&mut self, before: f64, hold: Duration, now: Instant) -> Phase {
        if self.limit == MAX_SLOTS {
            return steady(hold, now);
        }
        self.limit += 1;
        Phase::Up { before, hold }
    }

    fn down(&mut self, before: f64, hold: Duration, now: Instant) -> Phase {
        if self.limit == 1 {
            return steady(hold, now);
        }
        self.limit -= 1;
        Phase::Down { before, hold }
    }
}

fn steady(hold: Duration, now: Instant) -> Phase {
    Phase::Steady {
        since: now,
        hold: (hold * 2).min(MAX_HOLD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server on which so many slots are served so many rows a second, for so long.
    fn run(slots: &mut Slots, now: &mut Instant, seconds: u64, rate: impl Fn(usize) -> f64) {
        let end = *now + Duration::from_secs(seconds);
        while *now < end {
            *now += Duration::from_millis(5);
            let rows = (rate(slots.limit()) * 0.005).round() as usize;
            slots.answered(rows, true, *now);
        }
    }

    #[test]
    fn begins_with_one_more_than_instances() {
        let now = Instant::now();
        assert_eq!(Slots::new(1, now).limit(), 2);
        assert_eq!(Slots::new(4, now).limit(), 5);
        assert_eq!(Slots::new(1000, now).limit(), MAX_SLOTS);
    }

    #[test]
    fn climbs_while_rows_grow_and_no_further() {
        let mut now = Instant::now();
        let mut slots = Slots::new(1, now);
        run(&mut slots, &mut now, 120, |slots| {
            20_000.0 * slots.min(6) as f64
        });
        let seen: Vec<usize> = (0..20)
            .map(|_| {
                run(&mut slots, &mut now, 1, |slots| {
                    20_000.0 * slots.min(6) as f64
                });
                slots.limit()
            })
            .collect();
        assert!(
            seen.iter().all(|limit| (5..=7).contains(limit)),
            "around six: {seen:?}"
        );
    }

    #[test]
    fn falls_to_the_fewest_that_serve_as_many() {
        let mut now = Instant::now();
        let mut slots = Slots::new(8, now);
        run(&mut slots, &mut now, 30, |_| 50_000.0);
        assert!(slots.limit() <= 2, "{}", slots.limit());
    }

    #[test]
    fn an_idle_moment_says_nothing_about_a_limit() {
        let mut now = Instant::now();
        let mut slots = Slots::new(1, now);
        for call in 0..100_000 {
            now += Duration::from_millis(5);
            slots.answered(10 * slots.limit(), call % 10 != 0, now);
        }
        assert_eq!(slots.limit(), 2);
    }

    #[test]
    fn after_an_ejection_it_starts_slowly() {
        let now = Instant::now();
        let mut slots = Slots::new(5, now);
        slots.slow_start();
        slots.slow_start();
        let mut limits = vec![slots.limit()];
        for _ in 0..4 {
            slots.answered(1, false, now);
            limits.push(slots.limit());
        }
        assert_eq!(limits, [1, 2, 4, 6, 6]);
    }

    proptest::proptest! {
        #[test]
        fn the_limit_stays_in_its_bounds(
            instances in 0_usize..100,
            calls in proptest::collection::vec((0_usize..300, proptest::bool::ANY, 0_u64..400, proptest::bool::ANY), 0..300),
        ) {
            let mut now = Instant::now();
            let mut slots = Slots::new(instances, now);
            for (rows, waiting, after_ms, ejected) in calls {
                now += Duration::from_millis(after_ms);
                if ejected {
                    slots.slow_start();
                }
                slots.answered(rows, waiting, now);
                proptest::prop_assert!((1..=MAX_SLOTS).contains(&slots.limit()));
            }
        }
    }
}
