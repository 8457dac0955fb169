//! How much Gavel's primary tier can do: the rate that overload is a multiple of.
//!
//! The capacity is the highest rate of an open loop at which at least 99 % of the questions got the
//! primary's answer inside the budget. It is found by halving: between a tenth and one and a half of
//! the primary's answers to a closed loop of 256 callers, in steps of equal ratio.

use std::io;

use super::{
    measure::{Groups, Load, Measurement, measure},
    run::say,
};
use crate::wire::Target;

/// What the number means, for the report.
pub(super) const CAPACITY_IS: &str = "the highest open-loop rate at which the primary answered 99 % of the questions in time, found by halving";

const CALLERS: usize = 256;
const STEPS: usize = 7;
const GOOD_SHARE: f64 = 0.99;

/// Questions a second. `measurement` says all but the load.
pub(super) async fn capacity(target: &Target, measurement: &Measurement) -> io::Result<f64> {
    let at = async |load| {
        let measurement = Measurement {
            load,
            ..measurement.clone()
        };
        let tally = measure(target, Groups::default(), &measurement)
            .await?
            .tally;
        io::Result::Ok(tally)
    };
    let tally = at(Load::Closed { callers: CALLERS }).await?;
    let closed = tally.tiers.primary as f64 / tally.seconds();
    say(format_args!(
        "capacity: {CALLERS} callers got {closed:.0}/s from primary"
    ));
    let (mut low, mut high) = (0.1 * closed, 1.5 * closed);
    for _ in 0..STEPS {
        let rate = (low * high).sqrt();
        let tally = at(Load::Open { rate }).await?;
        let asked = tally.asked.max(1) as f64;
        let good = (tally.tiers.primary as f64 / asked).min(1.0 - tally.late_share());
        say(format_args!(
            "capacity: at {rate:.0}/s {:.2} % by primary in time",
            100.0 * good
        ));
        if good >= GOOD_SHARE {
            low = rate;
        } else {
            high = rate;
        }
    }
    Ok(low)
}
