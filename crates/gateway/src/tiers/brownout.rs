//! Who leaves the remote tiers when the process itself does not keep up: the share that `pressure`
//! names, those that are worth least first.
//!
//! Which worth is "least" is learnt from the requests that came lately. Those worth the same leave
//! evenly, in proportion; so without a priority everybody's turn comes alike.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// How many requests the worths are learnt from.
const REMEMBERED: usize = 128;

/// The worths of one decision's latest requests.
#[derive(Debug, Default)]
pub(crate) struct Brownout {
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    worths: VecDeque<f64>,
    /// The part of a request that is owed, of those at the border.
    owed: f64,
}

impl Brownout {
    /// Whether a request of that worth is among the least worthy `share` (0 to 1).
    pub(crate) fn leaves(&self, worth: f64, share: f64) -> bool {
        if share <= 0.0 {
            return false;
        }
        let mut recent = self.recent.lock();
        recent.worths.push_back(worth);
        if recent.worths.len() > REMEMBERED {
            recent.worths.pop_front();
        }
        let part = |count: usize| count as f64 / recent.worths.len() as f64;
        let below = part(recent.worths.iter().filter(|w| **w < worth).count());
        let upto = part(recent.worths.iter().filter(|w| **w <= worth).count());
        if share <= below {
            return false;
        }
        // At least itself is worth as much as it is, so `upto` is above `below`.
        recent.owed += ((share - below) / (upto - below)).min(1.0);
        let leaves = recent.owed >= 1.0;
        if leaves {
            recent.owed -= 1.0;
        }
        leaves
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_least_worthy_leave() {
        let brownout = Brownout::default();
        let worths = (0..1000).map(|n| f64::from(n * 7 % 100));
        let left = worths.filter(|worth| brownout.leaves(*worth, 0.3));
        let left: Vec<f64> = left.skip(60).collect();
        assert!(left.len() > 150, "{}", left.len());
        assert!(left.iter().all(|worth| *worth < 45.0), "{left:?}");
    }

    proptest! {
        #[test]
        fn the_share_leaves_evenly_among_equals(share in 0.0..=1.0_f64, requests in 1..2000_u32) {
            let brownout = Brownout::default();
            let left = (0..requests).filter(|_| brownout.leaves(0.0, share)).count();
            let expected = share * f64::from(requests);
            prop_assert!((left as f64 - expected).abs() <= 1.001, "{left} of {expected}");
        }

        #[test]
        fn about_the_share_leaves_whatever_the_worths(
            share in 0.05..=0.95_f64,
            worths in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..10.0_f64], 2000),
        ) {
            let brownout = Brownout::default();
            let left = worths.iter().filter(|worth| brownout.leaves(**worth, share)).count();
            let part = left as f64 / worths.len() as f64;
            prop_assert!((part - share).abs() < 0.06, "{part} of {share}");
        }
    }
}
