//! How long a model's calls take at one endpoint, by how many rows they carry.
//!
//! Sizes are powers of two: a call of 5 to 8 rows tells about the others. An estimate is a decayed
//! mean in which one sample can move it by no more than a bounded factor, so that a lone stall does
//! not turn rows away, plus the decayed deviation from it. It is forgotten when no call of its size
//! has completed for a while. And it turns rows away only for so long: then one call of its size is
//! let through as a *trial*, whose result replaces an estimate that was too gloomy.

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

impl Estimate {
    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.mean_s + self.deviation_s)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.sampled) <= MAX_AGE
    }
}

/// Estimates by batch size, of one model at one endpoint.
#[derive(Debug, Default)]
pub(crate) struct ServiceTimes {
    by_size: [Option<Estimate>; SIZES],
    /// When the newest trial of each size started.
    tried: [Option<Instant>; SIZES],
}

impl ServiceTimes {
    /// The time within which a call of so many rows is expected back; `None` when no call completed
    /// within the last 5 s. Of a size that is not known, the next smaller one's, else the next
    /// larger one's.
    pub(crate) fn predicted(&self, rows: usize, now: Instant) -> Option<Duration> {
        let index = self.known(rows, now)?;
        self.by_size[index].map(|known| known.time())
    }

    /// The same by what was seen within the last 250 ms alone: what is older may turn no rows away,
    /// nor may what is known of larger calls alone. So that of the next smaller size where there is
    /// one, else `None`, and it is time to find out.
    pub(crate) fn hoped(&self, rows: usize, now: Instant) -> Option<Duration> {
        let (known, own) = (self.known(rows, now)?, size(rows));
        let predicted = self.by_size[known]?.time();
        if known > own {
            return (!self.is_due(own, now)).then_some(predicted);
        }
        let recent = (0..=known).rev().find(|index| !self.is_due(*index, now))?;
        Some(self.by_size[recent]?.time().min(predicted))
    }

    /// At most how long a call of so many rows takes, for a larger one takes no less; `None` if none
    /// of at least the size completed lately.
    pub(crate) fn at_most(&self, rows: usize, now: Instant) -> Option<Duration> {
        let mut from = self.by_size[size(rows)..].iter().flatten();
        from.find(|known| known.is_fresh(now)).map(Estimate::time)
    }

    /// A trial of so many rows begins.
    pub(crate) fn try_again(&mut self, rows: usize, now: Instant) {
        if let Some(known) = self.known(rows, now) {
            self.tried[known.min(size(rows))] = Some(now);
        }
    }

    /// Whether it is time to find out anew about a size: none came back, nor was any tried, lately.
    fn is_due(&self, index: usize, now: Instant) -> bool {
        let sampled = self.by_size[index].map(|known| known.sampled);
        let latest = sampled.max(self.tried[index]);
        latest.is_none_or(|latest| now.saturating_duration_since(latest) >= TRIAL_EVERY)
    }

    /// Which estimate tells about a call of so many rows.
    fn known(&self, rows: usize, now: Instant) -> Option<usize> {
        let is_fresh =
            |index: &usize| self.by_size[*index].is_some_and(|known| known.is_fresh(now));
        let upto = (0..=size(rows)).rev().find(is_fresh);
        upto.or_else(|| (size(rows)..SIZES).find(is_fresh))
    }

    /// A call of so many rows took so long.
    pub(crate) fn record(&mut self, rows: usize, took: Duration, trial: bool, now: Instant) {
        let took_s = took.as_secs_f64();
        if trial {
            // A smaller call would have taken no longer.
            self.by_size[..=size(rows)]
                .iter_mut()
                .flatten()
                .filter(|known| known.mean_s > took_s)
                .for_each(|known| (known.mean_s, known.deviation_s) = (took_s, 0.0));
        }
        let slot = &mut self.by_size[size(rows)];
        *slot = Some(match *slot {
            Some(known) if known.is_fresh(now) => {
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
    fn an_estimate_turns_rows_away_for_so_long_and_one_trial_replaces_it() {
        let (mut times, now) = times(&[50]);
        assert_eq!(times.hoped(1, now), Some(MS * 50));
        let later = now + TRIAL_EVERY;
        assert_eq!(times.hoped(1, later - MS), Some(MS * 50));
        assert_eq!(times.hoped(1, later), None, "it is time");
        assert_eq!(times.predicted(1, later), Some(MS * 50));
        times.try_again(1, later);
        assert_eq!(times.hoped(1, later), Some(MS * 50), "one at a time");
        times.record(1, MS * 3, true, later);
        assert_eq!(times.predicted(1, later), Some(MS * 3));
    }

    #[test]
    fn every_size_is_tried_for_itself() {
        let (mut times, now) = times(&[]);
        times.record(32, MS * 60, false, now);
        let later = now + TRIAL_EVERY;
        times.record(1, MS * 3, false, later);
        assert_eq!(times.predicted(32, later), Some(MS * 60));
        assert_eq!(times.hoped(32, later), Some(MS * 3), "as the small ones");
        assert_eq!(times.hoped(64, later), Some(MS * 3), "known by the same");
        times.try_again(32, later);
        assert_eq!(times.hoped(32, later), Some(MS * 60));
        times.record(32, MS * 2, true, later);
        assert_eq!(times.predicted(32, later), Some(MS * 2));
        assert_eq!(
            times.predicted(1, later),
            Some(MS * 2),
            "no longer than a large one"
        );
    }

    #[test]
    fn a_size_below_all_that_is_known_is_tried() {
        let (mut times, now) = times(&[]);
        times.record(8, MS * 40, false, now);
        assert_eq!(times.predicted(1, now), Some(MS * 40), "at most");
        assert_eq!(times.hoped(1, now), None, "but who knows");
        times.try_again(1, now);
        assert_eq!(times.hoped(1, now), Some(MS * 40));
        assert_eq!(times.hoped(8, now), Some(MS * 40));
        assert_eq!(times.hoped(1, now + TRIAL_EVERY), None);
    }

    #[test]
    fn a_trial_of_one_row_says_little_of_many() {
        let (mut times, now) = times(&[50]);
        times.record(32, MS * 60, false, now);
        times.record(1, MS * 3, true, now);
        assert_eq!(times.predicted(1, now), Some(MS * 3));
        assert_eq!(times.predicted(32, now), Some(MS * 60));
    }

    #[test]
    fn a_larger_call_bounds_a_smaller_one() {
        let (mut times, now) = times(&[]);
        times.record(8, MS * 4, false, now);
        assert_eq!(times.at_most(1, now), Some(MS * 4));
        assert_eq!(times.at_most(8, now), Some(MS * 4));
        assert_eq!(times.at_most(9, now), None);
        assert_eq!(times.at_most(1, now + MAX_AGE + MS), None);
    }
}
