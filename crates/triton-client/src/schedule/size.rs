//! How many rows the next call carries: as many as are back in time.

use tokio::time::Instant;

use super::{queue::Queue, state::Job};
use crate::service_time::ServiceTimes;

/// The size of a call, and when it is expected back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    /// Rows that are due before are not for it.
    pub(super) back: Instant,
    /// It is sent to find out whether a call of that size still takes as long as it did.
    pub(super) is_trial: bool,
}

impl Size {
    /// A row, in time or not.
    pub(super) fn probe(now: Instant) -> Self {
        Self {
            rows: 1,
            back: now,
            is_trial: true,
        }
    }
}

/// How large a call takes most of the rows that wait and is back in time for them; of equals the
/// smallest. `None` if none would be in time.
///
/// A row that is in time for a small call alone is passed over when more are in time for a large one:
/// else the most urgent row would make every call small just when there is most to do. But not again:
/// if the most urgent row `was_passed_over`, the call is one that is in time for it, if there is any.
pub(super) fn best(
    queue: &Queue<Job>,
    times: &ServiceTimes,
    most: usize,
    was_passed_over: bool,
    now: Instant,
) -> Option<Size> {
    let urgent = queue.first_deadline().filter(|_| was_passed_over);
    let for_urgent = urgent.and_then(|due| search(queue, times, most, Some(due), now));
    // With nothing that was seen lately to go by, it is time to find out.
    let unknown = || times.hoped(1, now).is_none().then(|| Size::probe(now));
    let for_urgent = for_urgent.or_else(|| urgent.and_then(|_| unknown()));
    let best = for_urgent.or_else(|| search(queue, times, most, None, now));
    best.or_else(unknown)
}

/// The best size that is back by `due`.
fn search(
    queue: &Queue<Job>,
    times: &ServiceTimes,
    most: usize,
    due: Option<Instant>,
    now: Instant,
) -> Option<Size> {
    let mut best: Option<(usize, Size)> = None;
    let mut rows = queue.rows().min(most);
    while rows > 0 {
        let predicted = times.predicted(rows, now).unwrap_or_default();
        let hoped = times.hoped(rows, now).filter(|hoped| *hoped < predicted);
        let known = (Some(predicted), false);
        for (takes, is_trial) in [(hoped, true), known] {
            let Some(back) = takes.map(|takes| now + takes) else {
                continue;
            };
            if due.is_some_and(|due| back > due) {
                continue;
            }
            let in_time = queue.rows_due_from(back, rows);
            let is_better = best.is_none_or(|(most, best)| {
                in_time > most || (in_time == most && (best.is_trial || !is_trial))
            });
            if in_time > 0 && is_better {
                let size = Size {
                    rows,
                    back,
                    is_trial,
                };
                best = Some((in_time, size));
            }
        }
        rows /= 2;
    }
    best.map(|(_, size)| size)
}
