//! When an endpoint is so much slower than the others that it is better left alone.
//!
//! A pod that answers ten times later than its neighbours fails nothing, so no count of failures
//! finds it. It is held against the median of the others, for a while, and never are more than half
//! of a set's endpoints ejected for it: then it is the load that is slow, not the pod.

use std::time::Duration;

/// Slower than the median of the others by so many times…
const FACTOR: u32 = 3;
/// …and by at least so much, for so long.
const MARGIN: Duration = Duration::from_millis(2);
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// The longest service time that does not stand out from those of the others; `None` without others.
pub(crate) fn limit(others: &mut [Duration]) -> Option<Duration> {
    others.sort_unstable();
    let median = *others.get(others.len().checked_sub(1)? / 2)?;
    Some((median * FACTOR).max(median + MARGIN))
}

/// Whether one more of a set may be ejected, when so many are out already.
pub(crate) fn may_eject(endpoints: usize, out: usize) -> bool {
    (out + 1) * 2 <= endpoints
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_limit_is_a_factor_and_a_margin_from_the_median() {
        assert_eq!(limit(&mut [MS, MS * 9, MS * 2]), Some(MS * 6));
        assert_eq!(
            limit(&mut [MS / 4]),
            Some(MS / 4 + MARGIN),
            "less would not matter"
        );
        assert_eq!(limit(&mut []), None, "nobody to compare with");
    }

    #[test]
    fn at_most_half_of_a_set_is_ejected() {
        let may = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (4, 1), (4, 2)]
            .map(|(endpoints, out)| may_eject(endpoints, out));
        assert_eq!(may, [false, true, false, true, false, true, false]);
    }
}
