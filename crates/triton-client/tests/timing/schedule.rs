//! Merging, order, shedding and blame, exactly.

use futures::future::join_all;

use super::*;

pub(crate) const ROWS: usize = 8;

/// Batches of up to [`ROWS`] rows, two calls at a time.
pub(crate) fn merging(fake: &FakeTriton) -> Arc<Client> {
    let connector = fake.connector();
    let set = EndpointSet::with_connector("fake", move || connector(), EndpointOptions::default());
    let batching = Batching {
        max_rows: ROWS,
        ..Batching::none()
    };
    Client::new(set, batching)
}

/// One row that holds `value`.
pub(crate) fn row(value: f32) -> InferRequest {
    let mut request = request();
    request.inputs[0].data = [value, 0.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    request
}

/// What the fake answers to [`row`].
pub(crate) fn doubled(answer: &InferResponse) -> f32 {
    let y = answer.output("y").expect("the output");
    assert_eq!(&*y.shape, [1, 2]);
    f32::from_le_bytes(*y.data.first_chunk().expect("a number"))
}

/// Asks with `value`, in a task of its own.
pub(crate) fn ask(
    client: &Arc<Client>,
    value: f32,
    worth: f64,
    budget: Duration,
) -> tokio::task::JoinHandle<Result<f32, InferError>> {
    let (client, deadline) = (Arc::clone(client), Instant::now() + budget);
    tokio::spawn(async move {
        let answer = client.scheduler.infer(row(value), worth, deadline).await;
        answer.map(|answer| doubled(&answer))
    })
}

pub(crate) async fn outcomes(
    asked: Vec<tokio::task::JoinHandle<Result<f32, InferError>>>,
) -> Vec<Result<f32, InferError>> {
    let outcomes = join_all(asked).await;
    outcomes
        .into_iter()
        .map(|ran| ran.expect("it ran"))
        .collect()
}

/// Fills both slots with calls that take `took`, so that what comes next waits.
async fn occupy(fake: &FakeTriton, client: &Arc<Client>, took: Duration) {
    fake.push("m", [Step::after(took), Step::after(took)]);
    for _ in 0..2 {
        ask(client, 0.0, 0.0, MS * 1000);
        sleep(MS).await;
    }
    assert_eq!(fake.calls("m"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_waits_while_calls_are_out_goes_in_one_call() {
    let fake = fake();
    let client = merging(&fake);
    occupy(&fake, &client, MS * 20).await;
    let asked = (1..=6_u8).map(|value| ask(&client, f32::from(value), 0.0, MS * 100));
    let answers = outcomes(asked.collect()).await;
    let expected: Vec<_> = (1..=6_u8).map(|value| Ok(f32::from(value) * 2.0)).collect();
    assert_eq!(answers, expected, "each its own");
    assert_eq!(fake.calls("m"), 3);
    assert_eq!(fake.last_request("m").expect("a request").rows(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_idle_endpoint_is_asked_at_once_and_what_comes_together_goes_together() {
    let fake = fake();
    let client = merging(&fake);
    let started = Instant::now();
    let answers = outcomes(
        (0..5_u8)
            .map(|v| ask(&client, f32::from(v), 0.0, MS * 50))
            .collect(),
    )
    .await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(
        started.elapsed(),
        Duration::ZERO,
        "nobody waits for a batch to fill"
    );
    assert_eq!(fake.calls("m"), 1);
}

#[tokio::test(start_paused = true)]
async fn never_more_rows_than_the_model_takes() {
    let fake = fake();
    let client = merging(&fake);
    occupy(&fake, &client, MS * 20).await;
    let asked = (0..30_u8).map(|value| ask(&client, f32::from(value), 0.0, MS * 200));
    let answers = outcomes(asked.collect()).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fake.calls("m"), 2 + 4, "8 + 8 + 8 + 6");
    sleep(MS * 20).await;
    let totals = client.queues()[0].totals;
    assert_eq!((totals.rows, totals.calls), (32, 6));
}

#[tokio::test(start_paused = true)]
async fn the_most_urgent_goes_first() {
    let fake = fake();
    let client = merging(&fake);
    occupy(&fake, &client, MS * 20).await;
    fake.push("m", [Step::after(MS * 20), Step::after(MS * 20)]);
    let relaxed: Vec<_> = (0..16).map(|_| ask(&client, 1.0, 0.0, MS * 500)).collect();
    sleep(MS).await;
    let urgent: Vec<_> = (0..8).map(|_| ask(&client, 2.0, 0.0, MS * 60)).collect();
    let started = Instant::now();
    assert!(outcomes(urgent).await.iter().all(Result::is_ok));
    assert!(
        started.elapsed() <= MS * 38,
        "in the next call: {:?}",
        started.elapsed()
    );
    assert!(relaxed.iter().any(|waiting| !waiting.is_finished()));
    assert!(outcomes(relaxed).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn who_can_make_it_no_more_leaves_at_that_moment() {
    let fake = fake().script("m", [Step::after(MS * 20)]);
    let client = merging(&fake);
    infer(&client, MS * 50).await.expect("calls take 20 ms");
    fake.push("m", vec![Step::after(MS * 90); 2]);
    let stuck = [
        ask(&client, 0.0, 0.0, MS * 200),
        ask(&client, 0.0, 0.0, MS * 200),
    ];
    sleep(MS).await;
    let more = ask(&client, 0.0, 0.0, MS * 200);
    sleep(MS).await;
    let started = Instant::now();
    let late = ask(&client, 1.0, 0.0, MS * 60).await.expect("it ran");
    assert_eq!(late, Err(InferError::Infeasible { predicted: MS * 20 }));
    let waited = started.elapsed();
    assert!(
        waited >= MS * 40 && waited <= MS * 41,
        "60 ms less a call: {waited:?}"
    );
    assert!(more.await.expect("it ran").is_ok());
    assert!(outcomes(stuck.into()).await.iter().all(Result::is_ok));
    assert_eq!(client.queues()[0].totals.expired, 1);
}

#[tokio::test(start_paused = true)]
async fn past_capacity_the_least_worthy_leave_at_once() {
    let fake = fake().script("m", vec![Step::after(MS * 20); 100]);
    let client = merging(&fake);
    for _ in 0..3 {
        infer(&client, MS * 50).await.expect("calls take 20 ms");
    }
    let stuck = [ask(&client, 0.0, 0.0, MS * 200), {
        sleep(MS).await;
        ask(&client, 0.0, 0.0, MS * 200)
    }];
    sleep(MS).await;
    // Two slots of 8 rows each 20 ms: within 90 ms, about 40 more rows can be answered.
    let asked: Vec<_> = (0..100_u8)
        .map(|i| ask(&client, 1.0, f64::from(i % 10), MS * 90))
        .collect();
    sleep(Duration::from_micros(10)).await;
    let left = asked.iter().filter(|asked| asked.is_finished()).count();
    assert!((45..=75).contains(&left), "{left} know at once");
    let answers = outcomes(asked).await;
    let worth = |kept: bool| {
        let worths = answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| answer.is_ok() == kept);
        worths.map(|(i, _)| i % 10).collect::<Vec<_>>()
    };
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(_) | Err(InferError::Overloaded)))
    );
    assert!(
        worth(true).iter().min() >= worth(false).iter().max(),
        "{answers:?}"
    );
    assert!(outcomes(stuck.into()).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn flows_share_a_model_fairly() {
    let fake = fake();
    let client = merging(&fake);
    let batching = Batching {
        max_rows: ROWS,
        ..Batching::none()
    };
    let other = client.set.scheduler("m", None, batching, "other");
    occupy(&fake, &client, MS * 20).await;
    fake.push("m", vec![Step::after(MS * 20); 20]);
    let flood: Vec<_> = (0..64).map(|_| ask(&client, 1.0, 0.0, MS * 500)).collect();
    sleep(MS).await;
    let started = Instant::now();
    let deadline = started + MS * 900;
    let few = (0..4).map(|_| other.infer(row(2.0), 0.0, deadline));
    assert!(join_all(few).await.iter().all(Result::is_ok));
    assert!(started.elapsed() <= MS * 40, "{:?}", started.elapsed());
    assert!(outcomes(flood).await.iter().all(Result::is_ok));
}

/// Fails on a row that holds 13, as a whole, as Triton does.
fn superstitious(code: i32, words: &'static str) -> FakeTriton {
    let model = FakeModel::new("m")
        .input("x", "FP32", &[2])
        .output("y", "FP32", &[2]);
    let answer = |request: &ReceivedRequest| {
        let x = request.input("x").expect("the input");
        let doubled: Vec<f32> = x.to_fp32().iter().map(|value| value * 2.0).collect();
        vec![Tensor::fp32("y", &x.shape, &doubled)]
    };
    let fails = move |request: &ReceivedRequest| {
        let x = request.input("x").expect("the input").to_fp32();
        x.contains(&13.0).then(|| Step::error(code, words))
    };
    FakeTriton::new().model(model.answer(answer).reacts(fails))
}

#[tokio::test(start_paused = true)]
async fn one_bad_row_fails_nobody_else() {
    for (code, words) in [
        (INVALID_ARGUMENT, "unexpected shape for input 'x'"),
        (INTERNAL, "Failed to process the request(s) for model 'm'"),
    ] {
        let fake = superstitious(code, words);
        let client = merging(&fake);
        occupy(&fake, &client, MS * 20).await;
        let asked = (10..18_u8).map(|value| ask(&client, f32::from(value), 0.0, MS * 100));
        for (value, answer) in (10..18_u8).zip(outcomes(asked.collect()).await) {
            match value {
                13 => assert!(answer.is_err_and(|error| error.to_string().contains(words))),
                value => assert_eq!(answer, Ok(f32::from(value) * 2.0)),
            }
        }
        assert_eq!(fake.calls("m"), 2 + 7, "8, 4, 2, 1, 1, 2, 4");
        assert_eq!(client.queues()[0].totals.halved, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_model_is_not_answered_with_more_load() {
    let fake = fake();
    let client = merging(&fake);
    let failed = Step::error(INTERNAL, "Failed to process the request(s) for model 'm'");
    fake.push("m", vec![failed; 10_000]);
    let mut asked = 0;
    for _ in 0..100 {
        let wave = (0..8).map(|_| ask(&client, 1.0, 0.0, MS * 50));
        let answers = outcomes(wave.collect()).await;
        assert!(answers.iter().all(Result::is_err));
        asked += answers.len();
        sleep(MS * 10).await;
    }
    // 100 calls, plus two for every one that was halved, of which a fifth of the requests may be.
    assert!(
        fake.calls("m") <= 100 + 2 * (asked / 5 + 110),
        "{}",
        fake.calls("m")
    );
}

#[tokio::test(start_paused = true)]
async fn who_asks_nonsense_fails_nobody_else_however_often() {
    let fake = superstitious(INVALID_ARGUMENT, "unexpected shape for input 'x'");
    let client = merging(&fake);
    for _ in 0..100 {
        let wave = (6..14_u8).map(|value| ask(&client, f32::from(value), 0.0, MS * 50));
        let answers = outcomes(wave.collect()).await;
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(failed, 1, "thirteen alone: {answers:?}");
        sleep(MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn halves_are_asked_elsewhere_when_the_endpoint_goes_silent() {
    let (fake, other) = (superstitious(INVALID_ARGUMENT, "thirteen"), super::fake());
    let client = merging(&fake);
    let asked: Vec<_> = (10..18_u8)
        .map(|value| ask(&client, f32::from(value), 0.0, MS * 250))
        .collect();
    // The whole is refused, and the first half never comes back.
    fake.push("m", [Step::error(INVALID_ARGUMENT, "thirteen"), Step::Hang]);
    sleep(MS).await;
    let connector = other.connector();
    client.add_with_connector("other", move || connector());
    let answers = outcomes(asked).await;
    let expected: Vec<_> = (14..18_u8)
        .map(|value| Ok(f32::from(value) * 2.0))
        .collect();
    assert_eq!(answers[4..], expected, "the second half");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_does_not_keep_rows_apart_is_asked_row_by_row() {
    let model = FakeModel::new("m")
        .input("x", "FP32", &[2])
        .output("y", "FP32", &[2]);
    let sum = |request: &ReceivedRequest| {
        let x = request.input("x").expect("the input").to_fp32();
        vec![Tensor::fp32("y", &[1, 2], &[x.iter().sum::<f32>(), 0.0])]
    };
    let fake = FakeTriton::new().model(model.answer(sum));
    let client = merging(&fake);
    let asked = (1..=4_u8).map(|value| ask(&client, f32::from(value), 0.0, MS * 100));
    let answers = outcomes(asked.collect()).await;
    assert_eq!(answers, [Ok(1.0), Ok(2.0), Ok(3.0), Ok(4.0)]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_sent() {
    let fake = fake();
    let client = merging(&fake);
    occupy(&fake, &client, MS * 20).await;
    let gone = ask(&client, 1.0, 0.0, MS * 100);
    sleep(MS).await;
    gone.abort();
    let stays = ask(&client, 2.0, 0.0, MS * 100).await.expect("it ran");
    assert_eq!(stays, Ok(4.0));
    assert_eq!(fake.last_request("m").expect("a request").rows(), 1);
}

#[tokio::test(start_paused = true)]
async fn slots_are_not_held_by_calls_that_never_come_back() {
    let fake = fake();
    let client = merging(&fake);
    fake.push("m", [Step::Hang, Step::Hang]);
    for _ in 0..2 {
        assert_eq!(infer(&client, MS * 20).await, Err(InferError::Deadline));
    }
    sleep(MS * 100).await;
    infer(&client, MS * 20)
        .await
        .expect("the slots are free again");
    assert_eq!(
        client.states()[0].in_flight,
        2,
        "and the calls are still out"
    );
}

/// Random traffic against random trouble: every request is answered once, with its own row or an
/// error, and by its deadline.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_and_nobody_gets_anothers_answer() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let fake = superstitious(INVALID_ARGUMENT, "thirteen");
    let client = merging(&fake);
    let mut asked = Vec::new();
    for value in 0..3000_u16 {
        let step = match next(40) {
            0 => Step::Hang,
            1 => Step::error(UNAVAILABLE, "down"),
            2 => Step::ZeroBytes,
            3 => Step::after(MS * 150),
            slow => Step::after(MS * (slow as u32 % 12)),
        };
        fake.push("m", [step]);
        let budget = MS * (2 + next(60) as u32);
        let started = Instant::now();
        let waiting = ask(&client, f32::from(value), next(5) as f64, budget);
        asked.push(tokio::spawn(async move {
            let answer = waiting.await.expect("it ran");
            let took = started.elapsed();
            assert!(took <= budget + MS, "{took:?} of {budget:?}");
            (value, answer)
        }));
        if next(3) == 0 {
            sleep(Duration::from_micros(next(3000))).await;
        }
    }
    let mut answered = 0;
    for outcome in asked {
        let (value, answer) = outcome.await.expect("in time");
        if let Ok(doubled) = answer {
            assert_eq!(doubled, f32::from(value) * 2.0);
            answered += 1;
        }
    }
    assert!(answered > 300, "{answered}");
    assert_eq!(client.queues()[0].waiting_rows, 0);
}
