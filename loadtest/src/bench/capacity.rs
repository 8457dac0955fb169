//! How much Gavel's primary tier can do: the rate that overload is a multiple of.
//!
//! The capacity is the highest rate of an open loop at which at least 99 % of the questions got the
//! primary's answer inside the budget. It is looked for from below, so that no step sees what a far
//! higher load has left behind: doubled until a rate is too high, then halved in between in steps of
//! equal ratio. A rate counts as too high when it fails twice: one bad moment of the machine is not
//! its capacity.

use std::{io, time::Duration};

use tokio::time;

use super::{
    measure::{Groups, Load, Measurement, measure},
    run::say,
};
use crate::wire::Target;

/// What the number means, for the report.
pub(super) const CAPACITY_IS: &str = "the highest open-loop rate at which the primary answered 99 % of the questions in time, found by halving";

const FIRST_RATE: f64 = 1_000.0;
/// Below it, no primary tier is worth a benchmark.
const LOWEST_RATE: f64 = 10.0;
const GOOD_SHARE: f64 = 0.99;
const TRIES: usize = 2;
/// After a rate that was too high, until nothing of it waits and nobody is turned away for it.
const REST: Duration = Duration::from_secs(1);

/// Questions a second; `None` if no rate is low enough. `measurement` says all but the load. Each of
/// the `halvings` halves how far, as a ratio, the capacity may be above what is found: it is a factor
/// of 2 without any.
pub(super) async fn capacity(
    target: &Target,
    measurement: &Measurement,
    halvings: usize,
) -> io::Result<Option<f64>> {
    let is_good = async |rate| {
        for _ in 0..TRIES {
            let share = good_share(target, measurement, rate).await?;
            if share >= GOOD_SHARE {
                return Ok(true);
            }
            time::sleep(REST).await;
        }
        io::Result::Ok(false)
    };
    search(is_good, halvings).await
}

/// The share of the questions that the primary answered inside the budget.
async fn good_share(target: &Target, measurement: &Measurement, rate: f64) -> io::Result<f64> {
    let measurement = Measurement {
        load: Load::Open { rate },
        ..measurement.clone()
    };
    let measured = measure(target, Groups::default(), &measurement).await?;
    let tally = measured.tally;
    let by_primary = tally.tiers.primary as f64 / tally.asked.max(1) as f64;
    let share = by_primary.min(1.0 - tally.late_share());
    say(format_args!(
        "capacity: at {rate:.0}/s {:.2} % by primary in time",
        100.0 * share
    ));
    Ok(share)
}

async fn search(
    is_good: impl AsyncFn(f64) -> io::Result<bool>,
    halvings: usize,
) -> io::Result<Option<f64>> {
    let mut low = FIRST_RATE;
    let mut high = f64::INFINITY;
    while !is_good(low).await? {
        (low, high) = (low / 2.0, low);
        if low < LOWEST_RATE {
            return Ok(None);
        }
    }
    while high.is_infinite() {
        let rate = 2.0 * low;
        match is_good(rate).await? {
            true => low = rate,
            false => high = rate,
        }
    }
    for _ in 0..halvings {
        let rate = (low * high).sqrt();
        match is_good(rate).await? {
            true => low = rate,
            false => high = rate,
        }
    }
    Ok(Some(low))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What is found where `capacity` is the truth, and the rates that were tried.
    async fn found(capacity: f64, halvings: usize) -> (Option<f64>, Vec<f64>) {
        let tried = RefCell::new(Vec::new());
        let is_good = async |rate| {
            tried.borrow_mut().push(rate);
            Ok(rate <= capacity)
        };
        let found = search(is_good, halvings).await.unwrap();
        (found, tried.into_inner())
    }

    #[tokio::test]
    async fn the_capacity_is_found_from_below_to_a_known_ratio() {
        for capacity in [16.0, 999.0, 1_000.0, 1_001.0, 5_000.0, 77_777.0] {
            for halvings in [0, 3, 5] {
                let (found, _) = found(capacity, halvings).await;
                let ratio = capacity / found.unwrap();
                let most = 2_f64.powf(0.5_f64.powi(halvings as i32));
                assert!((1.0..most).contains(&ratio), "{capacity}: {ratio}");
            }
        }
        assert_eq!(found(5.0, 3).await.0, None);
    }

    #[tokio::test]
    async fn no_rate_is_tried_again_once_it_is_judged() {
        for capacity in [100.0, 3_000.0] {
            let (_, mut tried) = found(capacity, 4).await;
            let all = tried.len();
            tried.sort_by(f64::total_cmp);
            tried.dedup();
            assert_eq!(tried.len(), all, "{tried:?}");
        }
    }
}
