//! Who leaves because more waits than can be answered in time.
//!
//! The last of a flow is back after half a call until the first slot is free, the calls that go before
//! it through all slots, and its own call. That one counts among those before it as well, as a margin:
//! who knows at once has more time for something else than who learns it at the end. It is late if it is
//! late with calls of any size: full ones, which carry most a second, and smaller ones, which are back
//! sooner.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    lane::Lane,
    queue::{Flow, Queue, Tail, Waiting},
};

/// How fast what waits is sent, in calls of one size.
#[derive(Debug, Clone, Copy)]
struct Pace {
    rows_per_second: f64,
    /// What a call takes.
    call: Duration,
}

/// Takes out the least worthy, until nobody is late.
pub(super) fn shed<T>(
    queue: &mut Queue<T>,
    lanes: &[Lane],
    max_rows: usize,
    now: Instant,
) -> Vec<Waiting<T>> {
    let mut shed = Vec::new();
    while let Some(late) = late(queue, lanes, max_rows, now)
        && let Some(least) = queue.shed(late.flow, late.by_itself)
    {
        shed.push(least);
    }
    shed
}

struct Late {
    flow: Flow,
    /// Also if nobody went before it.
    by_itself: bool,
}

fn late<T>(queue: &Queue<T>, lanes: &[Lane], max_rows: usize, now: Instant) -> Option<Late> {
    let slots = lanes.iter().filter(|lane| lane.in_service(now));
    let slots: usize = slots.map(|lane| lane.slots.limit()).sum();
    let share = queue.rows().div_ceil(slots.max(1)).clamp(1, max_rows);
    let mut tails = queue.tails();
    let late = tails.find(|tail| is_late(tail, lanes, share, now))?;
    let alone = Tail { rows: 0, ..late };
    Some(Late {
        flow: late.flow,
        by_itself: is_late(&alone, lanes, share, now),
    })
}

/// Whether the last of a flow is late, when each slot's share of what waits is so many rows.
fn is_late(tail: &Tail, lanes: &[Lane], share: usize, now: Instant) -> bool {
    let left = tail.deadline.saturating_duration_since(now);
    let (mut rows, mut until_free) = (share, None);
    while rows > 0 {
        let Some(pace) = pace(lanes, rows, left, now) else {
            return false;
        };
        let until_free = *until_free.get_or_insert(pace.call / 2);
        let before_it = Duration::from_secs_f64(tail.rows as f64 / pace.rows_per_second);
        if until_free + before_it + pace.call <= left {
            return false;
        }
        rows /= 2;
    }
    true
}

/// The pace of calls of so many rows through all slots; `None` while it is not known, or a slot is
/// free. Of endpoints that are too slow for whoever has so much time `left` none counts, unless all
/// are: then the fastest does.
fn pace(lanes: &[Lane], rows: usize, left: Duration, now: Instant) -> Option<Pace> {
    let mut fastest: Option<Pace> = None;
    let mut all: Option<Pace> = None;
    for lane in lanes.iter().filter(|lane| lane.in_service(now)) {
        let free = lane.slots.is_free();
        let call = match lane.times.hoped(rows, now) {
            Some(call) => call,
            None if free => return None,
            None => continue,
        };
        if free && call <= left {
            return None;
        }
        let rows_per_second = (lane.slots.limit() * rows) as f64 / call.as_secs_f64().max(1e-6);
        let pace = Pace {
            rows_per_second,
            call,
        };
        if fastest.is_none_or(|fastest| call < fastest.call) {
            fastest = Some(pace);
        }
        if call + call / 2 <= left {
            all = Some(all.map_or(pace, |all| Pace {
                rows_per_second: all.rows_per_second + rows_per_second,
                call: all.call.max(call),
            }));
        }
    }
    all.or(fastest)
}
