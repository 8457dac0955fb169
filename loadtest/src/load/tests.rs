//! Both loops on a paused clock, against a server that stalls: what a closed loop omits, an open
//! loop counts.

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{
    sync::Semaphore,
    task::LocalSet,
    time::{self, Instant},
};

use super::*;
use crate::{
    expected::Expected,
    wire::{Answer, Tier},
};

const MS: Duration = Duration::from_millis(1);
const BUDGET: Duration = Duration::from_millis(50);

/// Answers one question at a time, each in 1 ms, but for a stall during which it answers nobody.
struct Stalling {
    free: Semaphore,
    stall: Option<(Instant, Instant)>,
    asked: RefCell<Vec<usize>>,
}

impl Caller for Rc<Stalling> {
    async fn call(&mut self, question: usize) -> Outcome {
        self.asked.borrow_mut().push(question);
        let turn = self.free.acquire().await;
        if let Some((from, to)) = self.stall
            && (from..to).contains(&Instant::now())
        {
            time::sleep_until(to).await;
        }
        time::sleep(MS).await;
        drop(turn);
        answered(question)
    }
}

fn answered(question: usize) -> Outcome {
    Outcome::Answered(Answer {
        tier: Tier::Primary,
        score: question as f64,
        is_to_question: true,
    })
}

fn expected(questions: usize) -> Rc<Expected> {
    let mut expected = Expected::new(questions);
    for question in 0..questions {
        if let Outcome::Answered(answer) = answered(question) {
            expected.learn(question, true, answer);
        }
    }
    Rc::new(expected)
}

/// A second after 100 ms of warm-up, with a stall of 500 ms in the middle of it.
fn second_with_stall(stall: bool) -> (Window, Rc<Stalling>, Tally) {
    let window = Window::new(100 * MS, 1_000 * MS);
    let (from, to) = (window.from + 250 * MS, window.from + 750 * MS);
    let server = Stalling {
        free: Semaphore::new(1),
        stall: stall.then_some((from, to)),
        asked: RefCell::default(),
    };
    let tally = Tally::new(window, BUDGET, expected(4));
    (window, Rc::new(server), tally)
}

async fn open(server: &Rc<Stalling>, window: Window, tally: Tally, max_callers: usize) -> Tally {
    let plan = OpenLoop {
        questions: 4,
        seed: 1,
        max_callers,
        patience: 10 * MS,
    };
    // One question every 10 ms.
    let arrivals = (0..).map(|i| 10 * i * MS);
    let new_caller = || Rc::clone(server);
    let callers = vec![new_caller()];
    let run = open_loop(
        plan,
        arrivals,
        RuntimePacer,
        callers,
        new_caller,
        window,
        tally,
    );
    LocalSet::new().run_until(run).await
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_counts_what_had_to_wait() {
    let (window, server, tally) = second_with_stall(true);
    let tally = open(&server, window, tally, 1_000).await;
    assert_eq!(tally.asked, 100);
    assert_eq!(tally.tiers.primary, 100);
    // The question number i of those that arrived in the stall, 10 ms apart, is answered 1 ms after
    // the one before it: 501 - 9 i ms late. Of i = 0 to 50 that is more than the budget.
    assert_eq!(tally.late, 51);
    let quarter = tally.latency_us(0.25);
    assert!((999.0..1_002.0).contains(&quarter), "{quarter}");
    let p99 = tally.latency_us(0.99);
    assert!((480_000.0..502_000.0).contains(&p99), "{p99}");
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_omits_it_which_is_why_there_is_an_open_one() {
    let (window, server, tally) = second_with_stall(true);
    let callers = vec![Rc::clone(&server)];
    let run = closed_loop(callers, 4, 1, window, 10 * MS, tally);
    let tally = LocalSet::new().run_until(run).await;
    // 500 ms of answers a millisecond apart, and one that waited.
    assert!((495..=502).contains(&tally.asked), "{}", tally.asked);
    assert_eq!(tally.late, 1);
    assert!(tally.latency_us(0.99) < 2_100.0);
}

#[tokio::test(start_paused = true)]
async fn too_few_callers_make_questions_wait_and_the_wait_counts() {
    let (window, server, tally) = second_with_stall(true);
    let tally = open(&server, window, tally, 1).await;
    assert_eq!((tally.asked, tally.late), (100, 51));
    assert!(tally.send_delay_us(0.99) > 480_000.0);
}

#[tokio::test(start_paused = true)]
async fn without_a_stall_latency_is_service_time_and_the_warm_up_is_not_counted() {
    let (window, server, tally) = second_with_stall(false);
    let tally = open(&server, window, tally, 1_000).await;
    assert_eq!((tally.asked, tally.late), (100, 0));
    assert_eq!(server.asked.borrow().len(), 110);
    assert!((999.0..1_002.0).contains(&tally.latency_us(1.0)));
    assert_eq!(tally.throughput(), 100.0);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_never_answered_is_late_and_counted() {
    struct Silent;
    impl Caller for Silent {
        async fn call(&mut self, _: usize) -> Outcome {
            std::future::pending().await
        }
    }
    let window = Window::new(Duration::ZERO, 100 * MS);
    let tally = || Tally::new(window, BUDGET, expected(1));
    let plan = OpenLoop {
        questions: 1,
        seed: 1,
        max_callers: 3,
        patience: 10 * MS,
    };
    let arrivals = (0..).map(|i| 10 * i * MS);
    let run = open_loop(
        plan,
        arrivals,
        RuntimePacer,
        Vec::new(),
        || Silent,
        window,
        tally(),
    );
    let of_open = LocalSet::new().run_until(run).await;
    assert_eq!(
        (of_open.asked, of_open.unanswered, of_open.late),
        (10, 10, 10)
    );
    assert_eq!(of_open.late_share(), 1.0);

    let window = Window::new(Duration::ZERO, 100 * MS);
    let tally = Tally::new(window, BUDGET, expected(1));
    let run = closed_loop(vec![Silent, Silent], 1, 1, window, 10 * MS, tally);
    let of_closed = LocalSet::new().run_until(run).await;
    assert_eq!((of_closed.asked, of_closed.unanswered), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn refusals_failures_and_wrong_answers_have_books_of_their_own() {
    let window = Window::new(Duration::ZERO, 1_000 * MS);
    let mut tally = Tally::new(window, BUDGET, expected(2));
    let at = |ms: u32| window.start + ms * MS;
    tally.record(at(0), at(1), 0, Outcome::Refused);
    tally.record(at(0), at(1), 0, Outcome::Failed);
    tally.record(at(0), at(1), 0, answered(1));
    tally.record(at(0), at(51), 1, answered(1));
    tally.record(at(0), at(50), 1, answered(1));
    tally.record(at(1_000), at(1_001), 1, answered(1)); // after the window
    assert_eq!((tally.refused, tally.failed, tally.wrong), (1, 1, 1));
    assert_eq!((tally.asked, tally.tiers.primary), (5, 2));
    assert_eq!(tally.late, 2, "the failure, and the one of 51 ms");
}
