//! Which share of requests is turned away, from how long they wait: a state machine over the time that
//! it is given.
//!
//! It goes by the shortest wait of a whole interval, as CoDel does (RFC 8289): a burst's queue empties
//! within it, and only a queue that stands all the time means that more comes than can be answered.
//!
//! ```text
//!            every wait of an interval is above the target:
//!            so much is answered less, a factor at a time      ---->  shed
//!   nothing  <----  so much is answered more, a smaller factor at a time
//!            an interval in which one wait was not
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// As long as it takes to tell a queue that stands from a burst.
const INTERVAL: Duration = Duration::from_millis(100);
/// Waits that an interval needs, so that a process that was stopped as a whole, and finds one long
/// wait when it goes on, is not taken for one that does not keep up.
const READINGS: u32 = 5;
/// What is still answered of what was, after an interval above the target, and after one that was not.
/// Down fast, because all that comes too late meanwhile is lost; up slowly, because each step too far
/// builds a queue again; but faster while nothing waits for anything near the target, because what
/// overloaded the process has gone.
const LESS: f64 = 0.7;
const MORE: f64 = 1.05;
const MUCH_MORE: f64 = 1.25;
const FAR_BELOW: u32 = 4;
/// Answered whatever happens: when even turning away is too much work, answering nobody helps nobody.
const LEAST_ANSWERED: f64 = 0.02;
/// How long a standing wait may be: a share of the smallest budget, within bounds that keep a busy
/// machine's scheduling from counting, and that nobody would call prompt.
const BUDGET_SHARE: u32 = 16;
const TARGETS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(10)];
/// What is shed now.
#[derive(Clone, Copy, Debug)]
pub struct Shedding {
    target: Duration,
    /// The share of requests that is answered.
    answered: f64,
    interval: Interval,
}

/// The interval that has begun.
#[derive(Clone, Copy, Debug)]
struct Interval {
    began: Instant,
    shortest: Duration,
    readings: u32,
}

/// How long a wait may stand, where the smallest budget of any decision is this: a sixteenth of it, because
/// twice as much is taken from the time of the tiers.
pub fn target(smallest_budget: Duration) -> Duration {
    (smallest_budget / BUDGET_SHARE).clamp(TARGETS[0], TARGETS[1])
}

impl Shedding {
    /// Sheds nothing as long as waits do not stay above `target`.
    pub fn new(target: Duration, now: Instant) -> Self {
        Self {
            target,
            answered: 1.0,
            interval: Interval::begun(now),
        }
    }

    /// Takes a wait; gives the share of requests to shed from now on, from 0 to 1.
    pub fn observed(&mut self, wait: Duration, now: Instant) -> f64 {
        self.interval.shortest = self.interval.shortest.min(wait);
        self.interval.readings += 1;
        if now >= self.interval.began + INTERVAL && self.interval.readings >= READINGS {
            let shortest = self.interval.shortest;
            let factor = if shortest > self.target {
                LESS
            } else if shortest > self.target / FAR_BELOW {
                MORE
            } else {
                MUCH_MORE
            };
            self.answered = (self.answered * factor).clamp(LEAST_ANSWERED, 1.0);
            self.interval = Interval::begun(now);
        }
        1.0 - self.answered
    }
}

impl Interval {
    fn begun(now: Instant) -> Self {
        Self {
            began: now,
            shortest: Duration::MAX,
            readings: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const TARGET: Duration = ms(24);
    const TICK: Duration = ms(10);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What is shed after each of these waits, one every 10 ms.
    fn shed(waits: impl IntoIterator<Item = Duration>) -> Vec<f64> {
        let mut now = Instant::now();
        let mut shedding = Shedding::new(TARGET, now);
        let shed = waits.into_iter().map(|wait| {
            now += TICK;
            shedding.observed(wait, now)
        });
        shed.collect()
    }

    #[track_caller]
    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn a_wait_above_the_target_is_shed_after_a_whole_interval_and_more_after_each() {
        let shed = shed([ms(25); 500]);
        assert!(shed[..9].iter().all(|share| *share == 0.0), "{shed:?}");
        assert_near(shed[9], 0.3);
        assert_near(shed[18], 0.3);
        assert_near(shed[19], 0.51);
        assert_near(shed[499], 0.98);
    }

    #[test]
    fn one_wait_at_the_target_in_each_interval_is_a_queue_that_empties() {
        let waits = (0..1000).map(|n| if n % 10 == 0 { TARGET } else { ms(500) });
        assert!(shed(waits).iter().all(|share| *share == 0.0));
    }

    #[test]
    fn below_the_target_it_ends_by_itself() {
        let waits = |after| [ms(500); 500].into_iter().chain([ms(after); 1000]);
        let slowly = shed(waits(20));
        assert!(slowly[499..].is_sorted_by(|a, b| a >= b));
        assert!(slowly[999] > 0.0 && slowly[1499] == 0.0);
        let quickly = shed(waits(1));
        assert!(quickly[499..].is_sorted_by(|a, b| a >= b));
        assert!(
            quickly[599] > 0.0 && quickly[699] == 0.0,
            "within two seconds"
        );
    }

    #[test]
    fn one_long_wait_after_a_stop_of_the_whole_process_is_none() {
        let began = Instant::now();
        let mut shedding = Shedding::new(TARGET, began);
        assert!(shedding.observed(ms(1000), began + Duration::from_secs(60)) == 0.0);
        let after = (1..100).map(|n| began + Duration::from_secs(60) + n * TICK);
        for now in after {
            assert!(shedding.observed(ms(1), now) == 0.0);
        }
    }

    #[test]
    fn the_target_follows_the_smallest_budget_within_bounds() {
        assert_eq!(target(ms(96)), ms(6));
        assert_eq!(target(ms(2)), ms(5));
        assert_eq!(target(Duration::from_secs(10)), ms(10));
    }

    /// A queue in front of a worker: an answer takes 100 µs, turning away 15 µs, and `load` times as
    /// much comes as can be answered. Gives the wait every 10 ms, with what is shed.
    fn under(
        load: f64,
        seconds: u32,
        shedding: &mut Shedding,
        now: &mut Instant,
    ) -> Vec<(Duration, f64)> {
        const STEP: Duration = ms(1);
        let (answering, turning_away) = (100e-6, 15e-6);
        // Each step's arrivals: how many, and when.
        let mut queue: VecDeque<(f64, Instant)> = VecDeque::new();
        let mut share = shedding.observed(ms(0), *now);
        let mut seen = Vec::new();
        for step in 1..=seconds * 1000 {
            *now += STEP;
            queue.push_back((load * STEP.as_secs_f64() / answering, *now));
            let mut left = STEP.as_secs_f64();
            let cost = (1.0 - share) * answering + share * turning_away;
            while let Some((count, _)) = queue.front_mut() {
                let done = count.min(left / cost);
                *count -= done;
                left -= done * cost;
                if *count > 1e-9 {
                    break;
                }
                queue.pop_front();
            }
            if step % 10 == 0 {
                let wait = queue.front().map_or(ms(0), |(_, came)| *now - *came);
                share = shedding.observed(wait, *now);
                seen.push((wait, share));
            }
        }
        seen
    }

    #[test]
    fn a_flood_is_held_to_a_short_queue_and_forgotten_after_it() {
        for load in [1.1, 1.5, 2.0, 3.0, 4.0] {
            let mut now = Instant::now();
            let mut shedding = Shedding::new(TARGET, now);
            assert!(
                under(0.9, 5, &mut shedding, &mut now)
                    .iter()
                    .all(|(_, share)| *share == 0.0)
            );
            let flood = under(load, 20, &mut shedding, &mut now);
            let settled = &flood[500..];
            let worst = settled.iter().map(|(wait, _)| *wait).max().unwrap();
            assert!(worst < 4 * TARGET, "{load}: {worst:?}");
            // What has to be shed: load * (answered + 0.15 * shed) = 1.
            let needed = (load - 1.0) / (load * 0.85);
            let shed = settled.iter().map(|(_, share)| share).sum::<f64>() / settled.len() as f64;
            assert!(shed < needed + 0.1, "{load}: {shed}, {needed} would do");
            let after = under(0.5, 10, &mut shedding, &mut now);
            assert!(after.last().unwrap().1 == 0.0, "{load}");
        }
    }

    proptest! {
        #[test]
        fn the_share_is_one_and_it_ends(
            waits in prop::collection::vec((0..200_u64, 0..300_u64), 0..300),
        ) {
            let mut now = Instant::now();
            let mut shedding = Shedding::new(TARGET, now);
            let mut before = 0.0;
            for (wait, gap) in waits {
                now += ms(gap);
                let share = shedding.observed(ms(wait), now);
                prop_assert!((0.0..=0.98).contains(&share));
                prop_assert!(share <= before || ms(wait) > TARGET, "it grows above the target only");
                before = share;
            }
            for _ in 0..1000 {
                now += TICK;
                before = shedding.observed(TARGET, now);
            }
            prop_assert_eq!(before, 0.0);
        }

        #[test]
        fn nothing_is_shed_below_the_target(
            waits in prop::collection::vec((0..=24_u64, 0..300_u64), 0..300),
        ) {
            let mut now = Instant::now();
            let mut shedding = Shedding::new(TARGET, now);
            for (wait, gap) in waits {
                now += ms(gap);
                prop_assert_eq!(shedding.observed(ms(wait), now), 0.0);
            }
        }
    }
}
