//! The breaker's promises, one by one and under any order of events.

use proptest::prelude::*;

use super::*;

const FAILURES: u32 = 3;
const MS: Duration = Duration::from_millis(1);

fn breaker() -> Arc<Breaker> {
    let options = EndpointOptions {
        consecutive_failures: FAILURES,
        first_backoff: MS * 200,
        max_backoff: MS * 700,
        ..EndpointOptions::default()
    };
    Breaker::new("endpoint".into(), &options)
}

fn opened(now: Instant) -> Arc<Breaker> {
    let breaker = breaker();
    for _ in 0..FAILURES {
        breaker.admit(now).expect("closed").failure(now, "down");
    }
    assert_eq!(breaker.state(), (BreakerState::Open, Some("down".into())));
    breaker
}

#[test]
fn a_success_in_between_starts_the_count_anew() {
    let (breaker, now) = (breaker(), Instant::now());
    for verdict in [false, false, true, false, false] {
        let pass = breaker.admit(now).expect("closed");
        if verdict {
            pass.success(now)
        } else {
            assert!(!pass.failure(now, "down"))
        }
    }
    assert_eq!(breaker.state().0, BreakerState::Closed);
    assert!(breaker.admit(now).expect("closed").failure(now, "down"));
    assert_eq!(breaker.state().0, BreakerState::Open);
}

#[test]
fn what_fails_together_counts_once() {
    let (breaker, now) = (breaker(), Instant::now());
    let passes: Vec<_> = (0..20)
        .map(|_| breaker.admit(now).expect("closed"))
        .collect();
    for pass in passes {
        assert!(!pass.failure(now + MS, "reset"));
    }
    assert_eq!(breaker.state().0, BreakerState::Closed, "one connection");
    for (after, opens) in [(1, false), (2, true)] {
        let pass = breaker.admit(now + MS * after).expect("closed");
        assert_eq!(pass.failure(now + MS * (after + 1), "reset"), opens);
    }
}

#[test]
fn what_stays_silent_counts_each() {
    let (breaker, now) = (breaker(), Instant::now());
    let passes: Vec<_> = (0..FAILURES)
        .map(|_| breaker.admit(now).expect("closed"))
        .collect();
    let opened: Vec<bool> = passes
        .into_iter()
        .map(|pass| pass.silence(now + MS, "silent"))
        .collect();
    assert_eq!(opened, [false, false, true]);
}

#[test]
fn a_probe_knows_what_it_is_to_find_out() {
    let mut now = Instant::now();
    let breaker = opened(now);
    now += MS * 200;
    let pass = breaker.admit(now).expect("the back-off is over");
    assert_eq!(
        pass.probe(),
        Some(Probe {
            number: 1,
            of_speed: false
        })
    );
    pass.success(now);
    breaker.trip(now, "slow");
    now += MS * 400;
    let pass = breaker.admit(now).expect("the back-off is over");
    assert_eq!(
        pass.probe(),
        Some(Probe {
            number: 1,
            of_speed: true
        })
    );
}

#[test]
fn the_back_off_grows_up_to_its_cap() {
    let mut now = Instant::now();
    let breaker = opened(now);
    for (probe, backoff_ms) in [(1, 200), (2, 400), (3, 700), (4, 700)] {
        assert!(breaker.admit(now + MS * (backoff_ms - 1)).is_none());
        now += MS * backoff_ms;
        let pass = breaker.admit(now).expect("the back-off is over");
        assert_eq!(pass.probe().map(|probe| probe.number), Some(probe));
        pass.failure(now, "still down");
    }
}

#[test]
fn what_was_sent_before_it_opened_does_not_judge_the_probe() {
    let (breaker, now) = (breaker(), Instant::now());
    let early: Vec<_> = (0..5)
        .map(|_| breaker.admit(now).expect("closed"))
        .collect();
    for _ in 0..FAILURES {
        breaker.admit(now).expect("closed").failure(now, "down");
    }
    let probe = breaker.admit(now + MS * 200).expect("due");
    for (at, pass) in early.into_iter().enumerate() {
        match at {
            0 | 1 => pass.success(now),
            2 => drop(pass),
            _ => assert!(!pass.failure(now, "late")),
        }
    }
    assert_eq!(breaker.state().0, BreakerState::HalfOpen);
    probe.success(now);
    assert_eq!(breaker.state().0, BreakerState::Closed);
}

#[test]
fn a_probe_without_a_verdict_is_due_again() {
    let now = Instant::now();
    let breaker = opened(now);
    let later = now + Duration::from_secs(3600);
    drop(breaker.admit(later).expect("due"));
    assert_eq!(breaker.state().0, BreakerState::Open);
    let pass = breaker.admit(later).expect("due again");
    assert_eq!(pass.probe().map(|probe| probe.number), Some(1));
}

#[derive(Debug, Clone)]
enum Op {
    Admit,
    Succeed(usize),
    Fail(usize),
    Drop(usize),
    Wait(u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Admit),
        2 => any::<usize>().prop_map(Op::Succeed),
        4 => any::<usize>().prop_map(Op::Fail),
        1 => any::<usize>().prop_map(Op::Drop),
        2 => (0..400_u32).prop_map(Op::Wait),
    ]
}

proptest! {
    /// Whatever happens in whatever order: one probe at a time, none before it is due, open
    /// after N failures in a row and not before, and never shut for good.
    #[test]
    fn holds_its_promises(ops in proptest::collection::vec(op(), 1..200)) {
        let (breaker, mut now) = (breaker(), Instant::now());
        let mut out: Vec<Pass> = Vec::new();
        let (mut row, mut failed) = (0, None);
        for op in ops {
            let before = breaker.state().0;
            let epoch = breaker.inner.lock().epoch;
            match op {
                Op::Wait(ms) => now += MS * ms,
                Op::Admit => {
                    let due = breaker.would_admit(now);
                    let pass = breaker.admit(now);
                    prop_assert_eq!(pass.is_some(), due);
                    let probes = |p: &Pass| p.probe().is_some() && p.epoch == epoch;
                    if before == BreakerState::HalfOpen {
                        prop_assert_eq!(out.iter().filter(|p| probes(p)).count(), 1);
                        prop_assert!(pass.is_none());
                    }
                    out.extend(pass);
                }
                Op::Succeed(at) | Op::Fail(at) | Op::Drop(at) if !out.is_empty() => {
                    let at = at % out.len();
                    let pass = out.swap_remove(at);
                    let (counts, admitted) = (pass.epoch == epoch, pass.admitted);
                    match op {
                        Op::Succeed(_) => pass.success(now),
                        Op::Fail(_) => drop(pass.failure(now, "down")),
                        _ => drop(pass),
                    }
                    let after = breaker.state().0;
                    let closed = before == BreakerState::Closed;
                    match op {
                        _ if !counts => prop_assert_eq!(before, after),
                        Op::Succeed(_) => {
                            (row, failed) = (0, None);
                            prop_assert_eq!(after, BreakerState::Closed);
                        }
                        Op::Fail(_) if closed && failed.is_some_and(|at| admitted < at) => {
                            prop_assert_eq!(after, BreakerState::Closed, "counted already");
                        }
                        Op::Fail(_) if closed => {
                            failed = Some(now);
                            row += 1;
                            let opens = row == FAILURES;
                            prop_assert_eq!(after == BreakerState::Open, opens);
                            if opens { (row, failed) = (0, None) }
                        }
                        Op::Drop(_) if closed => prop_assert_eq!(after, BreakerState::Closed),
                        _ => prop_assert_eq!(after, BreakerState::Open),
                    }
                }
                _ => {}
            }
        }
        out.clear();
        let much_later = now + Duration::from_secs(3600);
        prop_assert!(breaker.admit(much_later).is_some(), "never shut for good");
    }
}
