//! How much Gavel's primary tier can do: the rate that overload is a multiple of.
//!
//! The capacity is the highest rate of an open loop at which at least 99 % of the questions got the
//! primary's answer inside the budget. It is looked for from below, so that no step sees what a far
//! higher load has left behind: doubled until a rate is too high, then halved in between in steps of
//! equal ratio.

use std::{io, time::Duration};

use tokio::time;

use super::{
    measure::{Groups, Load, Measurement, measure},
    run::say,
};
use crate::wire::Target;

/// What the number means, for the report.
pub(super) const CAPACITY_IS: &str = "the highest open-loop rate at which the primary answered 99 % of the questions in time, found by halving";

const FIRST_RATE: f64 = 500.0;
/// Below it, no primary tier is worth a benchmark.
const LOWEST_RATE: f64 = 10.0;
const HALVINGS: usize = 5;
const GOOD_SHARE: f64 = 0.99;
/// After a rate that was too high, until nothing of it waits and nobody is turned away for it.
const REST: Duration = Duration::from_secs(1);

/// Questions a second; `None` if no rate is low enough. `measurement` says all but the load.
pub(super) async fn capacity(
    target: &Target,
    measurement: &Measurement,
) -> io::Result<Option<f64>> {
    let is_good = async |rate| {
        let measurement = Measurement {
            load: Load::Open { rate },
            ..measurement.clone()
        };
        let tally = measure(target, Groups::default(), &measurement)
            .await?
            .tally;
        let asked = tally.asked.max(1) as f64;
        let good = (tally.tiers.primary as f64 / asked).min(1.0 - tally.late_share());
        say(format_args!(
            "capacity: at {rate:.0}/s {:.2} % by primary in time",
            100.0 * good
        ));
        if good < GOOD_SHARE {
            time::sleep(REST).await;
        }
        io::Result::Ok(good >= GOOD_SHARE)
    };
    let mut low = FIRST_RATE;
    while !is_good(low).await? {
        low /= 2.0;
        if low < LOWEST_RATE {
            return Ok(None);
        }
    }
    let mut high = 2.0 * low;
    while is_good(high).await? {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..HALVINGS {
        let rate = (low * high).sqrt();
        if is_good(rate).await? {
            low = rate;
        } else {
            high = rate;
        }
    }
    Ok(Some(low))
}
