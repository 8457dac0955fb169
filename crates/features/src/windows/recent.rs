//! The newest values of a field, newest first; of equal times the later arrival comes first.

use std::collections::VecDeque;

use super::program::Recent;
use crate::value::Value;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Newest {
    /// Time in microseconds since the Unix epoch, and value.
    pub(crate) kept: VecDeque<(i64, Value)>,
}

impl Newest {
    pub(crate) fn new() -> Self {
        Newest {
            kept: VecDeque::new(),
        }
    }

    pub(crate) fn add(&mut self, recent: &Recent, time_us: i64, values: &[Option<Value>]) {
        let Some(Some(value)) = values.get(recent.of) else {
            return;
        };
        let place = self.kept.partition_point(|(known, _)| *known > time_us);
        if place < recent.length {
            self.kept.insert(place, (time_us, value.clone()));
            self.kept.truncate(recent.length);
        }
    }
}
