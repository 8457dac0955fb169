//! The queue's promises: order, shares, caps, and nothing lost.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn contents(batch: Vec<Waiting<u32>>) -> Vec<u32> {
    batch.into_iter().map(|waiting| waiting.content).collect()
}

fn take_all(queue: &mut Queue<u32>, max_rows: usize) -> Vec<u32> {
    contents(queue.take(max_rows, |rows| rows, |_, _, _| Choice::Take))
}

/// Requests of one row in one flow: deadlines in ms, contents 0, 1, 2, …
fn queue(now: Instant, deadlines: &[u32]) -> Queue<u32> {
    let mut queue = Queue::new();
    for (content, ms) in deadlines.iter().enumerate() {
        queue.push(0, now + MS * *ms, 0.0, 1, content as u32);
    }
    queue
}

#[test]
fn the_most_urgent_first_and_never_above_the_cap() {
    let now = Instant::now();
    let mut queue = queue(now, &[30, 10, 20, 10]);
    assert_eq!(queue.first_deadline(), Some(now + MS * 10));
    let tail = Tail {
        flow: 0,
        deadline: now + MS * 30,
        rows: 4,
    };
    assert!(queue.tails().eq([tail]));
    assert_eq!(take_all(&mut queue, 3), [1, 3, 2]);
    assert_eq!(queue.rows(), 1);
    assert_eq!(take_all(&mut queue, 3), [0]);
    assert!(take_all(&mut queue, 3).is_empty());
}

#[test]
fn each_flow_has_its_share_and_the_rest_goes_to_the_most_urgent() {
    let now = Instant::now();
    let mut queue = Queue::new();
    for content in 0..10 {
        queue.push(0, now + MS * content, 0.0, 1, content);
    }
    for content in 100..102 {
        queue.push(1, now + MS * content, 0.0, 1, content);
    }
    let batch = take_all(&mut queue, 6);
    assert_eq!(batch, [0, 1, 2, 100, 101, 3]);
    assert_eq!(take_all(&mut queue, 6), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn the_choice_is_the_callers() {
    let mut queue = queue(Instant::now(), &[1, 2, 3, 4]);
    let batch = queue.take(
        8,
        |rows| rows,
        |waiting, _, rows| match (waiting.content, rows) {
            (0, _) => Choice::Skip,
            (_, 2) => Choice::Stop,
            _ => Choice::Take,
        },
    );
    assert_eq!(contents(batch), [1, 2]);
    assert_eq!(take_all(&mut queue, 8), [0, 3]);
}

#[test]
fn a_batch_is_cut_to_its_snapped_size_by_the_least_urgent() {
    let mut queue = queue(Instant::now(), &[5, 1, 4, 2, 3]);
    let batch = queue.take(8, |rows| rows.min(2), |_, _, _| Choice::Take);
    assert_eq!(contents(batch), [1, 3]);
    assert_eq!(queue.rows(), 3);
}

#[test]
fn a_request_larger_than_a_batch_goes_alone() {
    let now = Instant::now();
    let mut queue = Queue::new();
    queue.push(0, now, 0.0, 100, 0);
    queue.push(0, now + MS, 0.0, 1, 1);
    assert_eq!(take_all(&mut queue, 8), [0]);
    assert_eq!(take_all(&mut queue, 8), [1]);
}

#[test]
fn the_least_worthy_of_the_longest_line_leaves_and_among_equals_the_last() {
    let now = Instant::now();
    let mut queue = Queue::new();
    for (content, (flow, ms, worth)) in [
        (0, 5, 10.0),
        (0, 6, 1.0),
        (0, 7, 1.0),
        (0, 8, f64::NAN),
        (1, 9, -5.0),
    ]
    .into_iter()
    .enumerate()
    {
        queue.push(flow, now + MS * ms, worth, 1, content as u32);
    }
    let shed: Vec<u32> = std::iter::from_fn(|| queue.shed(0, false))
        .map(|waiting| waiting.content)
        .take(3)
        .collect();
    assert_eq!(shed, [3, 2, 1]);
    assert_eq!(queue.rows(), 2);
}

#[test]
fn a_flow_that_is_late_by_itself_sheds_its_own() {
    let now = Instant::now();
    let mut queue = Queue::new();
    for content in 0..20 {
        queue.push(0, now + MS * 80, 0.0, 1, content);
    }
    for content in 100..104 {
        queue.push(1, now + MS * 5, 9.0, 1, content);
    }
    let rows: Vec<usize> = queue.tails().map(|tail| tail.rows).collect();
    assert_eq!(rows, [24, 8], "its own and as many of the other's");
    assert!(
        queue
            .shed(1, false)
            .is_some_and(|waiting| waiting.content == 103)
    );
    assert!(
        queue
            .shed(0, false)
            .is_some_and(|waiting| waiting.content == 19)
    );
}

#[test]
fn rows_due_from_a_moment_are_counted_up_to_enough() {
    let now = Instant::now();
    let mut queue = queue(now, &[1, 2, 3, 3]);
    queue.push(1, now + MS * 9, 0.0, 5, 9);
    let due = [0, 2, 3, 4, 10].map(|ms| queue.rows_due_from(now + MS * ms, 100));
    assert_eq!(due, [9, 8, 7, 5, 0]);
    assert_eq!(queue.rows_due_from(now, 3), 3);
}

#[test]
fn what_is_too_late_leaves() {
    let now = Instant::now();
    let mut queue = queue(now, &[3, 1, 2]);
    assert_eq!(contents(queue.expire(now + MS * 3)), [1, 2]);
    assert_eq!(take_all(&mut queue, 8), [0]);
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize, u32, i8, usize),
    Take(usize, u8),
    Remove(usize),
    Shed(Flow),
    Expire(u32),
    PutBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..3, 0_u32..50, any::<i8>(), 1_usize..5)
            .prop_map(|(flow, ms, worth, rows)| Step::Push(flow, ms, worth, rows)),
        2 => (1_usize..12, any::<u8>()).prop_map(|(max, pattern)| Step::Take(max, pattern)),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => (0_usize..3).prop_map(Step::Shed),
        1 => (0_u32..50).prop_map(Step::Expire),
        1 => Just(Step::PutBack),
    ]
}

proptest! {
    /// Against a plain list: what goes in comes out once, batches keep the cap and, within a flow,
    /// the order of deadlines among what was offered.
    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(steps in proptest::collection::vec(step(), 1..120)) {
        let base = Instant::now();
        let mut queue = Queue::new();
        let mut inside: BTreeMap<u32, (Place, usize)> = BTreeMap::new();
        let (mut next, mut spare) = (0_u32, Vec::new());
        for step in steps {
            let mut out = Vec::new();
            match step {
                Step::Push(flow, ms, worth, rows) => {
                    let place = queue.push(flow, base + MS * ms, f64::from(worth), rows, next);
                    inside.insert(next, (place, rows));
                    next += 1;
                }
                Step::Take(max, pattern) => {
                    out = queue.take(max, |rows| rows, |waiting, _, _| {
                        if pattern & (1 << (waiting.content % 8)) == 0 { Choice::Take } else { Choice::Skip }
                    });
                    let rows: usize = out.iter().map(|waiting| waiting.rows).sum();
                    prop_assert!(rows <= max || out.len() == 1, "{rows} rows of {max}");
                    for flow in 0..3 {
                        let of_flow = out.iter().filter(|waiting| waiting.place.flow == flow);
                        let deadlines: Vec<_> = of_flow.map(|waiting| waiting.place.deadline).collect();
                        prop_assert!(deadlines.is_sorted());
                    }
                }
                Step::Remove(which) if !inside.is_empty() => {
                    let (place, _) = inside.values().nth(which % inside.len()).copied().expect("in range");
                    prop_assert!(queue.waits(&place));
                    out.extend(queue.remove(&place));
                    prop_assert!(queue.remove(&place).is_none());
                }
                Step::Remove(_) => {}
                Step::Shed(late) => out.extend(queue.shed(late, next % 2 == 0)),
                Step::Expire(ms) => {
                    out = queue.expire(base + MS * ms);
                    prop_assert!(out.iter().all(|waiting| waiting.place.deadline < base + MS * ms));
                    let kept = inside.values().filter(|(place, _)| place.deadline < base + MS * ms).count();
                    prop_assert_eq!(out.len(), kept);
                }
                Step::PutBack => {
                    for waiting in std::mem::take(&mut spare) {
                        let waiting: Waiting<u32> = waiting;
                        inside.insert(waiting.content, (waiting.place, waiting.rows));
                        queue.put_back(waiting);
                    }
                }
            }
            for waiting in out {
                let known = inside.remove(&waiting.content);
                prop_assert_eq!(known, Some((waiting.place, waiting.rows)));
                spare.push(waiting);
            }
            let rows: usize = inside.values().map(|(_, rows)| rows).sum();
            prop_assert_eq!(queue.rows(), rows);
        }
        let left: Vec<u32> = queue.drain().into_iter().map(|waiting| waiting.content).collect();
        prop_assert_eq!(left.len(), inside.len());
        prop_assert!(left.iter().all(|content| inside.contains_key(content)));
        prop_assert_eq!(queue.rows(), 0);
    }
}
