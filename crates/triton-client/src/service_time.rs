//! How long a model takes, as its completed calls say.
//!
//! The estimate is a decayed mean in which one sample can move it by no more than a bounded
//! factor, so that a lone stall does not turn callers away. It is forgotten when no call has
//! completed for a while. And it turns callers away only for so long: then one call is let
//! through as a *trial*, whose result replaces an estimate that was too gloomy.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Weight of the newest sample.
const DECAY: f64 = 0.2;
/// A sample counts as at most so many times the mean, and at least its inverse.
const MAX_FACTOR: f64 = 4.0;
/// An estimate with no sample for this long is forgotten.
const MAX_AGE: Duration = Duration::from_secs(5);
/// While the estimate turns callers away, one trial is let through this often.
const TRIAL_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug)]
struct Estimate {
    mean_s: f64,
    /// When the newest sample came.
    sampled: Instant,
    /// When the newest trial started.
    tried: Instant,
}

/// Whether a call is expected back in the time that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feasibility {
    /// It is, or nothing is known.
    Fits,
    /// It is not, but it is time to find out anew.
    Trial,
    /// It is not: calls take so long.
    TooSlow(Duration),
}

/// Estimates by model, of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct ServiceTimes {
    by_model: Mutex<HashMap<Arc<str>, Estimate>>,
}

impl ServiceTimes {
    /// The expected time of a call; `None` when no call completed within the last 5 s.
    pub(crate) fn predicted(&self, model: &str, now: Instant) -> Option<Duration> {
        let by_model = self.by_model.lock();
        by_model
            .get(model)
            .filter(|estimate| now.saturating_duration_since(estimate.sampled) <= MAX_AGE)
            .map(|estimate| Duration::from_secs_f64(estimate.mean_s))
    }

    pub(crate) fn judge(&self, model: &str, left: Duration, now: Instant) -> Feasibility {
        let mut by_model = self.by_model.lock();
        let Some(estimate) = by_model.get_mut(model) else {
            return Feasibility::Fits;
        };
        let age = now.saturating_duration_since(estimate.sampled);
        let mean = Duration::from_secs_f64(estimate.mean_s);
        if age > MAX_AGE || mean <= left {
            return Feasibility::Fits;
        }
        if age >= TRIAL_EVERY && now.saturating_duration_since(estimate.tried) >= TRIAL_EVERY {
            estimate.tried = now;
            return Feasibility::Trial;
        }
        Feasibility::TooSlow(mean)
    }

    pub(crate) fn record(&self, model: &Arc<str>, took: Duration, trial: bool, now: Instant) {
        let took_s = took.as_secs_f64();
        let mut by_model = self.by_model.lock();
        let Some(estimate) = by_model.get_mut(&**model) else {
            let estimate = Estimate {
                mean_s: took_s,
                sampled: now,
                tried: now,
            };
            by_model.insert(Arc::clone(model), estimate);
            return;
        };
        let age = now.saturating_duration_since(estimate.sampled);
        let mean_s = estimate.mean_s;
        estimate.mean_s = if age > MAX_AGE || (trial && took_s < mean_s) {
            took_s
        } else {
            let bounded = took_s.clamp(mean_s / MAX_FACTOR, mean_s * MAX_FACTOR);
            mean_s + DECAY * (bounded - mean_s)
        };
        estimate.sampled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn times(samples: &[(u32, bool)]) -> (ServiceTimes, Arc<str>, Instant) {
        let (times, model, now) = (ServiceTimes::default(), Arc::from("m"), Instant::now());
        for (ms, trial) in samples {
            times.record(&model, MS * *ms, *trial, now);
        }
        (times, model, now)
    }

    #[test]
    fn nothing_is_known_before_the_first_sample_and_after_five_seconds() {
        let (none, model, now) = times(&[]);
        assert_eq!(none.predicted(&model, now), None);
        assert_eq!(none.judge(&model, MS, now), Feasibility::Fits);
        let (old, model, now) = times(&[(50, false)]);
        assert_eq!(old.predicted(&model, now + MAX_AGE), Some(MS * 50));
        assert_eq!(old.predicted(&model, now + MAX_AGE + MS), None);
        assert_eq!(old.judge(&model, MS, now + MAX_AGE + MS), Feasibility::Fits);
    }

    #[test]
    fn one_stall_moves_the_mean_little() {
        let (times, model, now) = times(&[(5, false), (500, false)]);
        let predicted = times.predicted(&model, now).expect("a fresh sample");
        assert!(predicted <= MS * 8, "{predicted:?}");
    }

    #[test]
    fn the_mean_follows_a_lasting_change() {
        let mut samples = vec![(5, false)];
        samples.extend([(50, false); 20]);
        let (times, model, now) = times(&samples);
        let predicted = times.predicted(&model, now).expect("a fresh sample");
        assert!(predicted > MS * 40 && predicted <= MS * 50, "{predicted:?}");
    }

    #[test]
    fn turns_away_but_tries_again_and_believes_the_trial() {
        let (times, model, now) = times(&[(50, false)]);
        assert_eq!(
            times.judge(&model, MS * 40, now),
            Feasibility::TooSlow(MS * 50)
        );
        let later = now + TRIAL_EVERY;
        assert_eq!(times.judge(&model, MS * 40, later), Feasibility::Trial);
        assert_eq!(
            times.judge(&model, MS * 40, later),
            Feasibility::TooSlow(MS * 50)
        );
        times.record(&model, MS * 3, true, later);
        assert_eq!(times.predicted(&model, later), Some(MS * 3));
    }
}
