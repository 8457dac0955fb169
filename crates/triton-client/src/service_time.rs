//! How long a model's calls take at one endpoint, by how many rows they carry.
//!
//! Sizes are powers of two: a call of 5 to 8 rows tells about the others. An estimate is a decayed
//! mean in which one sample can move it by no more than a bounded factor, so that a lone stall does
//! not turn rows away, plus the decayed deviation from it. It is forgotten when no call of its size
//! has completed for a while. And it turns rows away only for so long: then one call is let through
//! as a *trial*, whose result replaces an estimate that was too gloomy.

use std::time::Duration;

use tokio::time::Instant;

/// Weight of the newest sample.
const DECAY: f64 = 0.2;
/// A sample counts as at most so many times the mean, and at least its inverse.
const MAX_FACTOR: f64 = 4.0;
/// An estimate with no sample for this long is forgotten.
const MAX_AGE: Duration = Duration::from_secs(5);
/// While estimates turn rows away, one trial is let through this often.
const TRIAL_EVERY: Duration = Duration::from_millis(250);
/// 1, 2, 4, … 2^16 rows.
const SIZES: usize = 17;

#[derive(Debug, Clone, Copy)]
struct Estimate {
    mean_s: f64,
    deviation_s: f64,
    /// When the newest sample came.
    sampled: Instant,
}

/// Estimates by batch size, of one model at one endpoint.
#[derive(Debug, Default)]
pub(crate) struct ServiceTimes {
    by_size: [Option<Estimate>; SIZES],
    /// When the newest trial started.
    tried: Option<Instant>,
}

impl ServiceTimes {
    /// The time within which a call of so many rows is expected back; `None` when no call completed
    /// within the last 5 s. Of a size that is not known, the next smaller one's, else the next
    /// larger one's.
    pub(crate) fn predicted(&self, rows: usize, now: Instant) -> Option<Duration> {
        let fresh = |estimate: &Option<Estimate>| {
            estimate.filter(|known| now.saturating_duration_since(known.sampled) <= MAX_AGE)
        };
        let (upto, above) = self.by_size.split_at(size(rows) + 1);
        let estimate = upto.iter().rev().find_map(fresh);
        let estimate = estimate.or_else(|| above.iter().find_map(fresh))?;
        Some(Duration::from_secs_f64(
            estimate.mean_s + estimate.deviation_s,
        ))
    }

    /// Whether it is time to find out anew, by a call that is expected to be late; if so, that call
    /// is the trial.
    pub(crate) fn try_again(&mut self, now: Instant) -> bool {
        let due = self.trial_is_due(now);
        if due {
            self.tried = Some(now);
        }
        due
    }

    /// Whether [`Self::try_again`] would say so.
    pub(crate) fn trial_is_due(&self, now: Instant) -> bool {
        let sampled = self.by_size.iter().flatten().map(|known| known.sampled);
        let latest = sampled.max().max(self.tried);
        latest.is_none_or(|latest| now.saturating_duration_since(latest) >= TRIAL_EVERY)
    }

    /// A call of so many rows took so long.
    pub(crate) fn record(&mut self, rows: usize, took: Duration, trial: bool, now: Instant) {
        let took_s = took.as_secs_f64();
        if trial {
            // What was thought of other sizes led to the trial as well.
            self.by_size
                .iter_mut()
                .flatten()
                .filter(|known| known.mean_s > took_s)
                .for_each(|known| (known.mean_s, known.deviation_s) = (took_s, 0.0));
        }
        let Some(slot) = self.by_size.get_mut(size(rows)) else {
            return;
        };
        let stale = |known: &Estimate| now.saturating_duration_since(known.sampled) > MAX_AGE;
        *slot = Some(match *slot {
            Some(known) if !stale(&known) => {
                let mean_s = known.mean_s;
                let bounded = took_s.clamp(mean_s / MAX_FACTOR, mean_s * MAX_FACTOR);
                let off = (bounded - mean_s).abs();
                Estimate {
                    mean_s: mean_s + DECAY * (bounded - mean_s),
                    deviation_s: known.deviation_s + DECAY * (off - known.deviation_s),
                    sampled: now,
                }
            }
            _ => Estimate {
                mean_s: took_s,
                deviation_s: 0.0,
                sampled: now,
            },
        });
    }
}

/// The power of two at or above `rows`, as an index.
fn size(rows: usize) -> usize {
    let index = usize::BITS - rows.saturating_sub(1).leading_zeros();
    (index as usize).min(SIZES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn times(samples: &[u32]) -> (ServiceTimes, Instant) {
        let (mut times, now) = (ServiceTimes::default(), Instant::now());
        for ms in samples {
            times.record(1, MS * *ms, false, now);
        }
        (times, now)
    }

    #[test]
    fn sizes_are_powers_of_two() {
        let sizes = [1, 2, 3, 4, 5, 8, 9, 64, 65, 1 << 16, 1 << 20].map(size);
        assert_eq!(sizes, [0, 1, 2, 2, 3, 3, 4, 6, 7, 16, 16]);
        assert_eq!(size(0), 0);
    }

    #[test]
    fn nothing_is_known_before_the_first_sample_and_after_five_seconds() {
        let (none, now) = times(&[]);
        assert_eq!(none.predicted(1, now), None);
        let (old, now) = times(&[50]);
        assert_eq!(old.predicted(1, now + MAX_AGE), Some(MS * 50));
        assert_eq!(old.predicted(1, now + MAX_AGE + MS), None);
    }

    #[test]
    fn a_size_that_is_not_known_is_as_the_next_smaller_or_else_larger_one() {
        let (mut times, now) = times(&[]);
        times.record(8, MS * 4, false, now);
        times.record(64, MS * 9, false, now);
        let predicted = |rows| times.predicted(rows, now).expect("samples");
        assert_eq!(predicted(1), MS * 4, "the next larger");
        assert_eq!(predicted(8), MS * 4);
        assert_eq!(predicted(9), MS * 4, "the next smaller");
        assert_eq!(predicted(64), MS * 9);
        assert_eq!(predicted(4096), MS * 9);
    }

    #[test]
    fn one_stall_moves_the_mean_little() {
        let (times, now) = times(&[5, 500]);
        let predicted = times.predicted(1, now).expect("a fresh sample");
        assert!(predicted <= MS * 11, "{predicted:?}");
    }

    #[test]
    fn the_estimate_follows_a_lasting_change() {
        let mut samples = vec![5];
        samples.extend([50; 30]);
        let (times, now) = times(&samples);
        let predicted = times.predicted(1, now).expect("a fresh sample");
        assert!(predicted > MS * 48 && predicted < MS * 53, "{predicted:?}");
    }

    #[test]
    fn tries_again_now_and_then_and_believes_the_trial_for_every_size() {
        let (mut times, now) = times(&[50]);
        times.record(32, MS * 60, false, now);
        assert!(!times.try_again(now + TRIAL_EVERY - MS));
        let later = now + TRIAL_EVERY;
        assert!(times.trial_is_due(later) && times.try_again(later));
        assert!(!times.try_again(later), "one at a time");
        times.record(1, MS * 3, true, later);
        assert_eq!(times.predicted(1, later), Some(MS * 3));
        assert_eq!(times.predicted(32, later), Some(MS * 3));
    }
}
