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

/// Whether an endpoint's service time stands out from those of the others, which are sorted by it.
pub(crate) fn stands_out(own: Duration, others: &mut [Duration]) -> bool {
    limit(others).is_some_and(|limit| own > limit)
}

/// The longest service time that does not stand out; `None` without others.
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
    fn stands_out_from_the_median_by_factor_and_margin() {
        let mut others = [MS, MS * 9, MS * 2];
        assert!(!stands_out(MS * 6, &mut others));
        assert!(stands_out(MS * 7, &mut others));
        assert!(!stands_out(MS * 2, &mut [MS / 4]), "too little to matter");
        assert!(!stands_out(MS * 500, &mut []), "nobody to compare with");
    }

    #[test]
    fn at_most_half_of_a_set_is_ejected() {
        let may = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (4, 1), (4, 2)]
            .map(|(endpoints, out)| may_eject(endpoints, out));
        assert_eq!(may, [false, true, false, true, false, true, false]);
    }
}
