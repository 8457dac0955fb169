//! Counting distinct values: exactly up to 64 of them, then with HyperLogLog.
//!
//! What is kept is a function of the set of hashes alone: the hashes while there are at most
//! [`EXACT`], else 512 registers. So it does not matter in how many tiles, or in which order, the
//! values came.
//!
//! HyperLogLog: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal
//! cardinality estimation algorithm", 2007. 512 registers have a standard error of
//! 1.04 / √512 = 4.6 %; below 1,280 or so linear counting is used, which is better. Hashes have 64
//! bits, so large counts need no correction.

/// The most values that are counted exactly.
pub(crate) const EXACT: usize = 64;
pub(crate) const REGISTERS: usize = 512;
const REGISTER_BITS: u32 = 9;
/// The greatest value of a register: the place of the first 1 among 55 bits, or 56 for none.
pub(crate) const MAX_RANK: u8 = 56;

pub(crate) type Registers = [u8; REGISTERS];

/// The distinct values of one tile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sketch {
    /// Ascending hashes, at most [`EXACT`].
    Few(Vec<u64>),
    Many(Box<Registers>),
}

impl Sketch {
    pub(crate) const EMPTY: Sketch = Sketch::Few(Vec::new());

    pub(crate) fn insert(&mut self, hash: u64) {
        match self {
            Sketch::Few(hashes) => {
                let Err(place) = hashes.binary_search(&hash) else {
                    return;
                };
                if hashes.len() < EXACT {
                    hashes.insert(place, hash);
                    return;
                }
                let mut registers = Box::new([0; REGISTERS]);
                for known in hashes.iter().chain([&hash]) {
                    raise(&mut registers, *known);
                }
                *self = Sketch::Many(registers);
            }
            Sketch::Many(registers) => raise(registers, hash),
        }
    }

    pub(crate) fn merge(&mut self, other: Sketch) {
        match (&mut *self, other) {
            (_, Sketch::Few(hashes)) => hashes.into_iter().for_each(|hash| self.insert(hash)),
            (Sketch::Many(registers), Sketch::Many(others)) => raise_all(registers, &others),
            (Sketch::Few(hashes), Sketch::Many(mut others)) => {
                hashes.iter().for_each(|hash| raise(&mut others, *hash));
                *self = Sketch::Many(others);
            }
        }
    }
}

/// The union of many tiles' values, without allocating: 1 KiB on the stack.
#[derive(Debug)]
pub(crate) struct Union {
    /// Ascending; the first `count` are in use, as long as there are few.
    hashes: [u64; EXACT],
    count: usize,
    many: bool,
    registers: Registers,
}

impl Union {
    pub(crate) fn new() -> Self {
        Union {
            hashes: [0; EXACT],
            count: 0,
            many: false,
            registers: [0; REGISTERS],
        }
    }

    pub(crate) fn insert(&mut self, hash: u64) {
        if self.many {
            return raise(&mut self.registers, hash);
        }
        let Err(place) = self.hashes[..self.count].binary_search(&hash) else {
            return;
        };
        if self.count < EXACT {
            self.hashes.copy_within(place..self.count, place + 1);
            self.hashes[place] = hash;
            self.count += 1;
        } else {
            self.go_many();
            raise(&mut self.registers, hash);
        }
    }

    pub(crate) fn add(&mut self, registers: &Registers) {
        if !self.many {
            self.go_many();
        }
        raise_all(&mut self.registers, registers);
    }

    fn go_many(&mut self) {
        self.many = true;
        for hash in &self.hashes[..self.count] {
            raise(&mut self.registers, *hash);
        }
    }

    /// How many values there are, to the nearest whole number.
    pub(crate) fn count(&self) -> u64 {
        match self.many {
            false => self.count as u64,
            true => estimate(&self.registers),
        }
    }
}

fn raise(registers: &mut Registers, hash: u64) {
    let place = (hash >> (64 - REGISTER_BITS)) as usize;
    // Of the remaining bits the place of the first 1, counted from 1.
    let rank = ((hash << REGISTER_BITS).leading_zeros() + 1).min(u32::from(MAX_RANK)) as u8;
    registers[place] = registers[place].max(rank);
}

fn raise_all(registers: &mut Registers, others: &Registers) {
    for (register, other) in registers.iter_mut().zip(others) {
        *register = (*register).max(*other);
    }
}

fn estimate(registers: &Registers) -> u64 {
    let m = REGISTERS as f64;
    let alpha = 0.7213 / (1.0 + 1.079 / m);
    let zeros = registers.iter().filter(|rank| **rank == 0).count();
    let sum: f64 = registers
        .iter()
        .map(|rank| 1.0 / (1u64 << (*rank).min(MAX_RANK)) as f64)
        .sum();
    let estimate = alpha * m * m / sum;
    let estimate = match zeros {
        1.. if estimate <= 2.5 * m => m * (m / zeros as f64).ln(),
        _ => estimate,
    };
    estimate.round() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::windows::hash;

    fn hashes(from: u64, count: u64) -> impl Iterator<Item = u64> {
        (from..from + count).map(|i| hash::text(&format!("store-{i}")))
    }

    fn of(hashes: impl IntoIterator<Item = u64>) -> Sketch {
        let mut sketch = Sketch::EMPTY;
        hashes.into_iter().for_each(|hash| sketch.insert(hash));
        sketch
    }

    fn union(sketches: &[Sketch]) -> Union {
        let mut union = Union::new();
        for sketch in sketches {
            match sketch {
                Sketch::Few(hashes) => hashes.iter().for_each(|hash| union.insert(*hash)),
                Sketch::Many(registers) => union.add(registers),
            }
        }
        union
    }

    #[test]
    fn up_to_64_are_exact() {
        for count in [0, 1, 63, 64] {
            let twice = hashes(0, count).chain(hashes(0, count));
            assert_eq!(union(&[of(twice)]).count(), count);
        }
    }

    /// Three standard errors; each row is another set of values.
    #[test]
    fn estimates_stay_within_three_standard_errors() {
        for (from, count) in [
            (0, 65),
            (1_000, 200),
            (9_000, 1_000),
            (50_000, 2_000),
            (100_000, 10_000),
            (900_000, 300_000),
        ] {
            let estimated = union(&[of(hashes(from, count))]).count() as f64;
            let error = (estimated / count as f64 - 1.0).abs();
            assert!(error < 3.0 * 0.046, "{count}: {estimated}");
        }
    }

    proptest! {
        #[test]
        fn only_the_set_matters(
            parts in proptest::collection::vec(proptest::collection::vec(0u64..120, 0..90), 1..5),
        ) {
            let hashed = |i: &u64| hash::text(&i.to_string());
            let set: BTreeSet<u64> = parts.iter().flatten().map(hashed).collect();
            let whole = of(set.iter().copied());
            let sketches: Vec<Sketch> = parts.iter().map(|part| of(part.iter().map(hashed))).collect();
            let mut merged = Sketch::EMPTY;
            for sketch in sketches.iter().rev() {
                merged.merge(sketch.clone());
            }
            prop_assert_eq!(&merged, &whole);
            let count = union(&sketches).count();
            prop_assert_eq!(count, union(&[whole]).count());
            if set.len() <= EXACT {
                prop_assert_eq!(count, set.len() as u64);
            }
        }
    }
}
