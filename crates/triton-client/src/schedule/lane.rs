//! One endpoint as one model sees it: its slots, its service times, and whether it has the model.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{outlier, slots::Slots};
use crate::{endpoint::Endpoint, error::InferError, service_time::ServiceTimes};

/// An endpoint that lacks the model is asked again after this, then after twice that, up to the cap.
const FIRST_ABSENCE: Duration = Duration::from_millis(50);
const MAX_ABSENCE: Duration = Duration::from_millis(800);

#[derive(Debug)]
struct Absence {
    until: Instant,
    lasts: Duration,
    error: InferError,
}

/// Its calls take longer than the others'.
#[derive(Debug, Clone, Copy)]
struct Slow {
    since: Instant,
    /// When the newest of them came back.
    seen: Instant,
}

/// A call that was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) rows: usize,
    pub(crate) took: Duration,
    /// It was sent to find out how long it takes.
    pub(crate) trial: bool,
}

/// Who would like more slots.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    pub(crate) waiting_rows: usize,
    /// Requests that were shed, ever.
    pub(crate) shed: u64,
}

/// What is known of one model at one endpoint.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) slots: Slots,
    pub(crate) times: ServiceTimes,
    absence: Option<Absence>,
    /// How many requests had been shed when it last answered.
    shed: u64,
    slow: Option<Slow>,
    /// How often the endpoint had been ejected when slots were last given.
    ejections: u32,
}

impl Lane {
    pub(crate) fn new(endpoint: Arc<Endpoint>, instances: usize, now: Instant) -> Self {
        Self {
            slots: Slots::new(instances, now),
            times: ServiceTimes::default(),
            absence: None,
            shed: 0,
            slow: None,
            ejections: endpoint.ejections(),
            endpoint,
        }
    }

    pub(crate) fn is_of(&self, endpoint: &Arc<Endpoint>) -> bool {
        Arc::ptr_eq(&self.endpoint, endpoint)
    }

    /// Whether it may be given a call, slots aside.
    pub(crate) fn in_service(&self, now: Instant) -> bool {
        self.absent(now).is_none() && self.endpoint.would_admit(now) && self.endpoint.has_room()
    }

    /// Why it has no use for a call: it said that it does not serve the model.
    pub(crate) fn absent(&self, now: Instant) -> Option<&InferError> {
        let absence = self.absence.as_ref()?;
        (now < absence.until).then_some(&absence.error)
    }

    /// It said that it does not serve the model.
    pub(crate) fn lacks_model(&mut self, error: &InferError, now: Instant) {
        let before = self.absence.as_ref().map(|absence| absence.lasts * 2);
        let lasts = before.unwrap_or(FIRST_ABSENCE).min(MAX_ABSENCE);
        self.absence = Some(Absence {
            until: now + lasts,
            lasts,
            error: error.clone(),
        });
    }

    /// It answered a call of so many rows.
    pub(crate) fn answered(&mut self, sample: Sample, demand: Demand, now: Instant) {
        let Sample { rows, took, trial } = sample;
        self.absence = None;
        self.times.record(rows, took, trial, now);
        // Where what would be late leaves at once, a queue that is empty is no sign of leisure.
        let wanted = demand.waiting_rows > 0 || demand.shed > self.shed;
        self.shed = demand.shed;
        let ejections = self.endpoint.ejections();
        // What was out when it was ejected may still be answered: it is not back yet.
        if ejections != self.ejections && self.endpoint.is_closed() {
            self.ejections = ejections;
            self.slots.slow_start();
        }
        self.slots.answered(rows, wanted, now);
    }

    /// Whether its calls have taken longer than the `limit` all the time for so long that it should be
    /// ejected. A time without a call, or without others to compare with, is none of it.
    pub(crate) fn is_outlier(
        &mut self,
        own: Duration,
        limit: Option<Duration>,
        now: Instant,
    ) -> bool {
        let is_slow = limit.is_some_and(|limit| own > limit);
        let goes_on = |slow: &Slow| now.saturating_duration_since(slow.seen) < outlier::PATIENCE;
        let before = self.slow.filter(goes_on);
        self.slow = is_slow.then(|| Slow {
            since: before.map_or(now, |slow| slow.since),
            seen: now,
        });
        let since = self.slow.map(|slow| slow.since);
        since.is_some_and(|since| now.saturating_duration_since(since) >= outlier::PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dial::Dial, options::EndpointOptions};

    #[tokio::test(start_paused = true)]
    async fn slots_are_judged_also_while_nothing_waits_because_it_was_shed() {
        let options = EndpointOptions::default();
        let dial = Dial::to("127.0.0.1:1", &options).expect("a URL");
        let endpoint = dial.endpoint(&options);
        let mut now = Instant::now();
        let limits = [true, false].map(|sheds| {
            let mut lane = Lane::new(Arc::clone(&endpoint), 8, now);
            for call in 0..10_000 {
                now += Duration::from_millis(5);
                let (rows, took) = (8, Duration::from_millis(4));
                let shed = if sheds { call } else { 0 };
                let demand = Demand {
                    waiting_rows: 0,
                    shed,
                };
                lane.answered(
                    Sample {
                        rows,
                        took,
                        trial: false,
                    },
                    demand,
                    now,
                );
            }
            lane.slots.limit()
        });
        assert_eq!(limits[1], 9, "at leisure, nothing is learnt");
        assert!(limits[0] <= 2, "{limits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_now_and_slow_an_hour_ago_is_not_slow_all_the_time() {
        let options = EndpointOptions::default();
        let dial = Dial::to("127.0.0.1:1", &options).expect("a URL");
        let mut now = Instant::now();
        let mut lane = Lane::new(dial.endpoint(&options), 1, now);
        let (ms, limit) = (Duration::from_millis(1), Some(Duration::from_millis(5)));
        let mut later = |after: Duration| {
            now += after;
            now
        };
        assert!(!lane.is_outlier(ms * 9, limit, later(ms)));
        assert!(
            !lane.is_outlier(ms * 9, limit, later(ms * 3_600_000)),
            "idle meanwhile"
        );
        assert!(!lane.is_outlier(ms * 9, limit, later(ms * 300)));
        assert!(
            !lane.is_outlier(ms * 9, None, later(ms * 100)),
            "nobody to compare with"
        );
        assert!(!lane.is_outlier(ms * 9, limit, later(ms * 100)));
        assert!(!lane.is_outlier(ms * 9, limit, later(ms * 300)));
        assert!(lane.is_outlier(ms * 9, limit, later(ms * 200)));
    }
}
