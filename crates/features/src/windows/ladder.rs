//! Which tile each window has.
//!
//! Tiles are lengths that people count in, and each divides the next longer window's, so that a
//! tile that has left one window fits whole into one of the next. Among all such chains the one
//! with the finest tiles is taken: the least sum of tile / window, with at most 60 tiles a window.

/// The most whole tiles in a window.
const MAX_TILES: u64 = 60;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Tiles in microseconds, ascending: from a second to two days.
const LADDER: [u64; 31] = [
    SECOND,
    2 * SECOND,
    3 * SECOND,
    4 * SECOND,
    5 * SECOND,
    6 * SECOND,
    10 * SECOND,
    12 * SECOND,
    15 * SECOND,
    20 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    3 * MINUTE,
    4 * MINUTE,
    5 * MINUTE,
    6 * MINUTE,
    10 * MINUTE,
    12 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    8 * HOUR,
    12 * HOUR,
    24 * HOUR,
    36 * HOUR,
    48 * HOUR,
];

/// The tile of each window, in microseconds. `windows` are in microseconds, ascending, from a
/// minute to 90 days.
pub(crate) fn tiles(windows: &[u64]) -> Vec<u64> {
    // best[g]: the least cost of a chain for the windows so far that ends in the tile LADDER[g].
    let mut best = [0f64; LADDER.len()];
    let mut came_from: Vec<[usize; LADDER.len()]> = Vec::with_capacity(windows.len());
    for window in windows {
        let mut next = [f64::INFINITY; LADDER.len()];
        let mut from = [0; LADDER.len()];
        for (g, tile) in LADDER.iter().enumerate() {
            if tile * MAX_TILES < *window {
                continue;
            }
            let divisors = (0..=g).filter(|d| tile.is_multiple_of(LADDER[*d]));
            let Some(finer) = divisors.min_by(|a, b| best[*a].total_cmp(&best[*b])) else {
                continue;
            };
            next[g] = best[finer] + *tile as f64 / *window as f64;
            from[g] = finer;
        }
        best = next;
        came_from.push(from);
    }
    let ends = 0..LADDER.len();
    let mut place = ends
        .min_by(|a, b| best[*a].total_cmp(&best[*b]))
        .unwrap_or_default();
    let mut chain: Vec<u64> = came_from
        .iter()
        .rev()
        .map(|from| {
            let tile = LADDER[place];
            place = from[place];
            tile
        })
        .collect();
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_windows_have_ordinary_tiles() {
        let windows = [
            MINUTE,
            5 * MINUTE,
            HOUR,
            24 * HOUR,
            7 * 24 * HOUR,
            30 * 24 * HOUR,
            90 * 24 * HOUR,
        ];
        let expected = [
            SECOND,
            5 * SECOND,
            MINUTE,
            30 * MINUTE,
            3 * HOUR,
            12 * HOUR,
            36 * HOUR,
        ];
        assert_eq!(tiles(&windows), expected);
        for (window, tile) in windows.iter().zip(expected) {
            assert_eq!(tiles(&[*window]), [tile]);
        }
        assert_eq!(tiles(&[]), [0; 0]);
    }

    proptest! {
        #[test]
        fn tiles_nest_and_are_fine_enough(
            seconds in proptest::collection::btree_set(60u64..=90 * 86_400, 1..8),
        ) {
            let windows: Vec<u64> = seconds.iter().map(|seconds| seconds * SECOND).collect();
            let tiles = tiles(&windows);
            prop_assert_eq!(tiles.len(), windows.len());
            for (window, tile) in windows.iter().zip(&tiles) {
                let count = window / tile;
                prop_assert!((6..=60).contains(&count), "{} tiles of {} in {}", count, tile, window);
            }
            for pair in tiles.windows(2) {
                prop_assert_eq!(pair[1] % pair[0], 0);
            }
        }
    }
}
