//! When questions arrive in an open loop: offsets from the start, ascending.

use std::{fs, path::Path, time::Duration};

/// A Poisson process: independent gaps, exponentially distributed. The same seed gives the same
/// arrivals.
#[derive(Clone, Debug)]
pub struct Poisson {
    rng: fastrand::Rng,
    mean_gap_s: f64,
    at_s: f64,
}

impl Poisson {
    /// `rate` arrivals a second on average.
    pub fn new(rate: f64, seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            mean_gap_s: rate.recip(),
            at_s: 0.0,
        }
    }
}

impl Iterator for Poisson {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // Of [0, 1) the logarithm of its complement is finite.
        self.at_s -= (1.0 - self.rng.f64()).ln() * self.mean_gap_s;
        Duration::try_from_secs_f64(self.at_s).ok()
    }
}

/// Why a file is no list of arrivals.
#[derive(Debug, thiserror::Error)]
pub enum ArrivalsError {
    /// It cannot be read.
    #[error("{file}: {error}")]
    File {
        /// The file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// A line is no whole number, or smaller than the one before.
    #[error(
        "{file}, line {line}: `{text}` is not a number of microseconds at or after the line before"
    )]
    Line {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

/// Reads one offset in microseconds a line, ascending; empty lines are skipped.
///
/// # Errors
/// As [`ArrivalsError`] says.
pub fn from_file(file: &Path) -> Result<Vec<Duration>, ArrivalsError> {
    let name = || file.display().to_string();
    let text = fs::read_to_string(file).map_err(|error| ArrivalsError::File {
        file: name(),
        error,
    })?;
    let mut arrivals = Vec::new();
    for (i, text) in text.lines().map(str::trim).enumerate() {
        if text.is_empty() {
            continue;
        }
        let offset = text.parse().map(Duration::from_micros);
        match offset {
            Ok(offset) if arrivals.last().is_none_or(|last| *last <= offset) => {
                arrivals.push(offset)
            }
            _ => {
                return Err(ArrivalsError::Line {
                    file: name(),
                    line: i + 1,
                    text: text.to_owned(),
                });
            }
        }
    }
    Ok(arrivals)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_arrivals_again() {
        let some = |seed| Poisson::new(4_000.0, seed).take(1_000).collect::<Vec<_>>();
        assert_eq!(some(7), some(7));
        assert_ne!(some(7), some(8));
        assert!(some(7).is_sorted());
    }

    /// Of an exponential distribution the mean and the standard deviation are the same, and a share
    /// of 1/e is longer than the mean. With 100,000 gaps each estimate is within 2 % of its value
    /// by more than five of its own deviations.
    #[test]
    fn gaps_are_exponential_with_the_rate_s_mean() {
        let arrivals: Vec<_> = Poisson::new(500.0, 1).take(100_000).collect();
        let mut before = Duration::ZERO;
        let gaps: Vec<_> = arrivals
            .iter()
            .map(|at| (*at - std::mem::replace(&mut before, *at)).as_secs_f64())
            .collect();
        let count = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count).sqrt();
        let longer = gaps.iter().filter(|gap| **gap > 0.002).count() as f64 / count;
        assert!((mean / 0.002 - 1.0).abs() < 0.02, "mean {mean}");
        assert!(
            (deviation / 0.002 - 1.0).abs() < 0.02,
            "deviation {deviation}"
        );
        assert!(
            (longer * std::f64::consts::E - 1.0).abs() < 0.02,
            "longer {longer}"
        );
    }

    #[test]
    fn a_file_of_offsets_is_read_and_a_bad_line_is_named() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "0\n250\n\n250\n1000000\n").unwrap();
        let offsets = [0, 250, 250, 1_000_000].map(Duration::from_micros);
        assert_eq!(from_file(file.path()).unwrap(), offsets);
        for (text, line) in [("5\n4\n", 2), ("1\n\nx\n", 3), ("-1\n", 1)] {
            fs::write(file.path(), text).unwrap();
            let error = from_file(file.path()).unwrap_err();
            assert!(
                matches!(error, ArrivalsError::Line { line: l, .. } if l == line),
                "{error}"
            );
        }
    }
}
