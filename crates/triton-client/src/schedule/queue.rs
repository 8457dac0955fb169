//! Requests that wait for a slot, ordered by deadline; fair to the decisions that share a model.
//!
//! ```text
//!            push                                       take (at most so many rows)
//!   request ------> flow "fraud"   by deadline, by worth  ------> each flow its share of the batch,
//!                   flow "credit"  by deadline, by worth          most urgent first; the rest of the
//!                                                                 batch to the most urgent of all
//! ```
//!
//! When more waits than can be served in time, the least worthy of the flow that waits with the most
//! rows leaves, or of the one that is late by itself: with rows that take equally long and are served by deadline, dropping the least of
//! those before the first late one is what keeps the most worth (Moore and Hodgson; Lawler).
//!
//! Pure: no clock, no tasks. What a request carries is the caller's.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet},
};

use tokio::time::Instant;

/// Which decision a request belongs to.
pub(crate) type Flow = usize;

/// A request's place: unique, and ordered by deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) deadline: Instant,
    arrival: u64,
    pub(crate) flow: Flow,
}

/// What a row is worth; among equals, who came first is worth more. NaN is worth least.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Worth(f64);

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    pub(crate) place: Place,
    pub(crate) worth: f64,
    /// Rows in it; at least one.
    pub(crate) rows: usize,
    pub(crate) content: T,
}

/// The request that a flow waits for longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) flow: Flow,
    pub(crate) deadline: Instant,
    /// Rows that are sent until then, at most: all that wait, or its own and as many of every other
    /// flow that shares the batches.
    pub(crate) rows: usize,
}

/// What to do with a request that a batch could take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Take,
    /// Not in this batch; look at the next.
    Skip,
    /// The batch is full.
    Stop,
}

#[derive(Debug)]
struct Line<T> {
    by_deadline: BTreeMap<Place, Waiting<T>>,
    by_worth: BTreeSet<(Worth, Reverse<Place>)>,
    rows: usize,
}

/// The requests that wait for one model.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    lines: Vec<Line<T>>,
    rows: usize,
    arrivals: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            lines: Vec::new(),
            rows: 0,
            arrivals: 0,
        }
    }

    /// Rows that wait.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a request of at least one row.
    pub(crate) fn push(
        &mut self,
        flow: Flow,
        deadline: Instant,
        worth: f64,
        rows: usize,
        content: T,
    ) -> Place {
        let arrival = self.arrivals;
        self.arrivals += 1;
        let place = Place {
            deadline,
            arrival,
            flow,
        };
        self.put_back(Waiting {
            place,
            worth,
            rows: rows.max(1),
            content,
        });
        place
    }

    /// Adds a request at the place that it had.
    pub(crate) fn put_back(&mut self, waiting: Waiting<T>) {
        while self.lines.len() <= waiting.place.flow {
            self.lines.push(Line {
                by_deadline: BTreeMap::new(),
                by_worth: BTreeSet::new(),
                rows: 0,
            });
        }
        let line = &mut self.lines[waiting.place.flow];
        line.rows += waiting.rows;
        self.rows += waiting.rows;
        line.by_worth
            .insert((Worth(waiting.worth), Reverse(waiting.place)));
        line.by_deadline.insert(waiting.place, waiting);
    }

    /// Takes a request out; `None` if it does not wait any more.
    pub(crate) fn remove(&mut self, place: &Place) -> Option<Waiting<T>> {
        let line = self.lines.get_mut(place.flow)?;
        let waiting = line.by_deadline.remove(place)?;
        line.by_worth
            .remove(&(Worth(waiting.worth), Reverse(waiting.place)));
        line.rows -= waiting.rows;
        self.rows -= waiting.rows;
        Some(waiting)
    }

    /// Whether a request waits.
    pub(crate) fn waits(&self, place: &Place) -> bool {
        let line = self.lines.get(place.flow);
        line.is_some_and(|line| line.by_deadline.contains_key(place))
    }

    /// Everything that waits.
    pub(crate) fn drain(&mut self) -> Vec<Waiting<T>> {
        let all = self.lines.iter_mut().flat_map(|line| {
            line.rows = 0;
            line.by_worth.clear();
            std::mem::take(&mut line.by_deadline).into_values()
        });
        let all = all.collect();
        self.rows = 0;
        all
    }

    /// Takes out the requests whose deadline is before `until`.
    pub(crate) fn expire(&mut self, until: Instant) -> Vec<Waiting<T>> {
        let mut expired = Vec::new();
        for flow in 0..self.lines.len() {
            while let Some((place, _)) = self.lines[flow].by_deadline.first_key_value()
                && place.deadline < until
            {
                let place = *place;
                expired.extend(self.remove(&place));
            }
        }
        expired
    }

    /// Rows with a deadline from `at` on, counted up to `enough`.
    pub(crate) fn rows_due_from(&self, at: Instant, enough: usize) -> usize {
        let from = Place {
            deadline: at,
            arrival: 0,
            flow: 0,
        };
        let mut rows = 0;
        for line in &self.lines {
            for waiting in line.by_deadline.range(from..).map(|(_, waiting)| waiting) {
                rows += waiting.rows;
                if rows >= enough {
                    return enough;
                }
            }
        }
        rows
    }

    /// The most urgent of all.
    pub(crate) fn first_deadline(&self) -> Option<Instant> {
        let first = |line: &Line<T>| line.by_deadline.first_key_value().map(|(p, _)| p.deadline);
        self.lines.iter().filter_map(first).min()
    }

    /// The last request of each flow that waits.
    pub(crate) fn tails(&self) -> impl Iterator<Item = Tail> + '_ {
        let waiting = self.waiting_flows();
        self.lines
            .iter()
            .enumerate()
            .filter_map(move |(flow, line)| {
                let (place, _) = line.by_deadline.last_key_value()?;
                Some(Tail {
                    flow,
                    deadline: place.deadline,
                    rows: self.rows.min(line.rows * waiting),
                })
            })
    }

    fn waiting_flows(&self) -> usize {
        self.lines.iter().filter(|line| line.rows > 0).count()
    }

    /// Takes out the request that is to leave so that the last of that flow is served sooner: the
    /// least worthy of the flow that waits with the most rows. Of its own if it is late `by_itself`, or
    /// its share of every batch is all that it has to share.
    pub(crate) fn shed(&mut self, late: Flow, by_itself: bool) -> Option<Waiting<T>> {
        let own = self.lines.get(late)?;
        let line = if by_itself || own.rows * self.waiting_flows() < self.rows {
            own
        } else {
            let lines = self.lines.iter().enumerate();
            let (_, most) = lines.max_by_key(|(flow, line)| (line.rows, *flow == late))?;
            most
        };
        let (_, Reverse(place)) = *line.by_worth.first()?;
        self.remove(&place)
    }

    /// Takes a batch of at most `max_rows`, whose size is then cut to `snap` of it. `choose` sees
    /// each candidate, the first of the batch, and the rows taken so far.
    pub(crate) fn take(
        &mut self,
        max_rows: usize,
        snap: impl FnOnce(usize) -> usize,
        mut choose: impl FnMut(&Waiting<T>, Option<&Waiting<T>>, usize) -> Choice,
    ) -> Vec<Waiting<T>> {
        let mut heads: Vec<_> = self
            .lines
            .iter()
            .filter(|line| line.rows > 0)
            .map(|line| (line.by_deadline.values().peekable(), 0))
            .collect();
        let share = max_rows.div_ceil(heads.len().max(1));
        let (mut chosen, mut rows, mut first) = (Vec::new(), 0, None);
        while rows < max_rows {
            let next = heads.iter_mut().filter_map(|(line, taken)| {
                let place = line.peek()?.place;
                Some((*taken >= share, place, line, taken))
            });
            let Some((_, _, line, taken)) =
                next.min_by_key(|(served, place, ..)| (*served, *place))
            else {
                break;
            };
            let Some(candidate) = line.next() else {
                break;
            };
            if rows > 0 && rows + candidate.rows > max_rows {
                continue;
            }
            match choose(candidate, first, rows) {
                Choice::Take => {
                    first.get_or_insert(candidate);
                    rows += candidate.rows;
                    *taken += candidate.rows;
                    chosen.push((candidate.place, candidate.rows));
                }
                Choice::Skip => {}
                Choice::Stop => break,
            }
        }
        drop(heads);
        let size = snap(rows);
        while let Some((_, last)) = chosen.last()
            && chosen.len() > 1
            && rows > size
        {
            rows -= last;
            chosen.pop();
        }
        let taken = chosen.iter().filter_map(|(place, _)| self.remove(place));
        taken.collect()
    }
}

impl Eq for Worth {}

impl PartialOrd for Worth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Worth {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |worth: f64| {
            if worth.is_nan() {
                f64::NEG_INFINITY
            } else {
                worth
            }
        };
        rank(self.0).total_cmp(&rank(other.0))
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
