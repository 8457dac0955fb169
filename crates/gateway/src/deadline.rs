//! The one clock of a request: an absolute deadline that every stage sees.
//!
//! A stage is given an instant, never a duration. Time that a stage does not use is there for the next.

use std::time::Duration;

use tokio::time::Instant;

/// Kept to encode the answer and write it to the socket, and for a timer that fires late on a busy
/// machine: a fifth of the budget, within these bounds. The lower one is what a timer may be late
/// by itself (tokio and epoll each round up to a millisecond), so a budget below it waits for nobody.
const MIN_RESERVE: Duration = Duration::from_micros(2500);
const MAX_RESERVE: Duration = Duration::from_millis(5);
/// Kept of it when an answer is computed on the spot, without a timer; a twentieth of small budgets.
const MAX_COMPUTE_RESERVE: Duration = Duration::from_micros(1250);

/// When the answer must have left.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    received: Instant,
    at: Instant,
    reserve: Duration,
    compute_reserve: Duration,
}

impl Deadline {
    /// The smallest of the decision's own budget and what the caller asks for, from `received` on.
    /// Whoever waits is woken late by as long as tasks wait in the run queue, which is `run_queue`.
    pub fn new(
        received: Instant,
        budget: Duration,
        asked: Option<Duration>,
        run_queue: Duration,
    ) -> Self {
        let budget = asked.map_or(budget, |asked| asked.min(budget));
        Self {
            received,
            at: received + budget,
            reserve: reserve(budget) + run_queue,
            compute_reserve: compute_reserve(budget),
        }
    }

    /// How long whoever is waited for has with such a budget, when no task waits in the run queue.
    pub fn waits(budget: Duration) -> Duration {
        budget.saturating_sub(reserve(budget))
    }

    /// How long an answer that is computed on the spot has with such a budget.
    pub fn computes(budget: Duration) -> Duration {
        budget - compute_reserve(budget)
    }

    /// How long the answer may take.
    pub fn budget(&self) -> Duration {
        self.at - self.received
    }

    /// When whoever is waited for must have answered, so that the answer leaves in time.
    pub fn answer_by(&self) -> Instant {
        self.at
            .checked_sub(self.reserve)
            .map_or(self.received, |by| by.max(self.received))
    }

    /// Until when an answer may be computed on the spot. Most of the reserve is for timers that fire
    /// late; what they have left of it is better spent on a model than on rules.
    pub fn compute_by(&self) -> Instant {
        self.at - self.compute_reserve
    }

    /// Until when a stage may run: its own cap, or what is left minus what later stages must keep.
    pub fn slice(&self, now: Instant, cap: Option<Duration>, keep: Duration) -> Instant {
        let latest = self.answer_by().checked_sub(keep).unwrap_or(self.received);
        cap.map_or(latest, |cap| latest.min(now + cap))
    }

    /// When to begin work that takes `cost` and must be done by [`Self::answer_by`], started by a
    /// timer, which fires late when the thread is not scheduled: milliseconds, on a busy machine.
    pub fn begin_by(&self, cost: Duration) -> Instant {
        let latest = self.answer_by().checked_sub(cost + self.reserve);
        latest.unwrap_or(self.received)
    }

    /// Whether an answer at `now` is late.
    pub fn is_late(&self, now: Instant) -> bool {
        now > self.at
    }
}

fn compute_reserve(budget: Duration) -> Duration {
    MAX_COMPUTE_RESERVE.min(budget / 20)
}

fn reserve(budget: Duration) -> Duration {
    (budget / 5).clamp(MIN_RESERVE, MAX_RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn the_smallest_budget_wins() {
        let received = Instant::now();
        let answer_by =
            |budget, asked| Deadline::new(received, budget, asked, ms(0)).answer_by() - received;
        assert_eq!(answer_by(ms(95), None), ms(90));
        assert_eq!(answer_by(ms(95), Some(ms(50))), ms(45));
        assert_eq!(answer_by(ms(95), Some(ms(500))), ms(90));
        assert_eq!(answer_by(ms(95), Some(ms(10))), Duration::from_micros(7500));
        assert_eq!(answer_by(ms(95), Some(ms(1))), Duration::ZERO);
        assert_eq!(answer_by(ms(95), Some(Duration::ZERO)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slice_ends_at_its_cap_or_where_later_stages_begin() {
        let received = Instant::now();
        let deadline = Deadline::new(received, ms(95), None, ms(0));
        let slice = |now, cap, keep| deadline.slice(received + now, cap, keep) - received;
        assert_eq!(slice(ms(0), Some(ms(10)), ms(0)), ms(10));
        assert_eq!(
            slice(ms(80), Some(ms(40)), ms(2)),
            ms(88),
            "the cap is cut by what is kept"
        );
        assert_eq!(slice(ms(5), None, ms(2)), ms(88), "unused time rolls over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_fires_late_costs_no_better_tier_than_rules() {
        let received = Instant::now();
        let deadline = Deadline::new(received, ms(50), None, ms(0));
        assert_eq!(
            deadline.compute_by() - received,
            Duration::from_micros(48_750)
        );
        let begin_by = deadline.begin_by(ms(1));
        assert_eq!(
            begin_by - received,
            ms(39),
            "as long before as one may be late"
        );
        let short = Deadline::new(received, ms(1), None, ms(0));
        assert_eq!(short.compute_by() - received, Duration::from_micros(950));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_woken_late_is_awaited_for_less_but_computes_as_long() {
        let received = Instant::now();
        let deadline = Deadline::new(received, ms(50), None, ms(20));
        assert_eq!(deadline.answer_by() - received, ms(25));
        assert_eq!(deadline.begin_by(ms(0)), received);
        assert_eq!(
            deadline.compute_by() - received,
            Duration::from_micros(48_750)
        );
        let hopeless = Deadline::new(received, ms(50), None, ms(100));
        assert_eq!(hopeless.answer_by(), received);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_late_only_past_the_deadline() {
        let received = Instant::now();
        let deadline = Deadline::new(received, ms(50), None, ms(0));
        assert!(!deadline.is_late(received + ms(50)));
        assert!(deadline.is_late(received + ms(50) + Duration::from_nanos(1)));
    }
}
