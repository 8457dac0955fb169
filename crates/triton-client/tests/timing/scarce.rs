//! Who is served when not everybody can be.

use super::{
    schedule::{ROWS, ask, merging, outcomes, row},
    *,
};

/// A call of so many rows takes 2 ms and 5 ms a row.
fn slow_by_size() -> FakeTriton {
    let took = |request: &ReceivedRequest| {
        let rows = u32::try_from(request.rows()).expect("a few");
        Some(Step::after(MS * (2 + 5 * rows)))
    };
    let echo = |request: &ReceivedRequest| {
        let x = request.input("x").expect("the input");
        vec![Tensor::fp32("y", &x.shape, &x.to_fp32())]
    };
    let model = FakeModel::new("m")
        .input("x", "FP32", &[2])
        .output("y", "FP32", &[2]);
    FakeTriton::new().model(model.answer(echo).reacts(took))
}

fn flow(client: &Client, name: &str) -> Scheduler {
    let batching = Batching {
        max_rows: ROWS,
        ..Batching::none()
    };
    client.set.scheduler("m", None, batching, name)
}

/// Asks for a row, in a task of its own.
fn ask_for(
    scheduler: &Scheduler,
    budget: Duration,
) -> tokio::task::JoinHandle<Result<InferResponse, InferError>> {
    let (scheduler, deadline) = (scheduler.clone(), Instant::now() + budget);
    tokio::spawn(async move { scheduler.infer(row(1.0), 0.0, deadline).await })
}

#[tokio::test(start_paused = true)]
async fn who_is_in_a_hurry_is_passed_over_for_larger_calls_once_at_most() {
    let client = merging(&slow_by_size());
    let hurried = flow(&client, "hurried");
    let flood = |count| {
        (0..count)
            .map(|_| ask(&client, 1.0, 0.0, MS * 5000))
            .collect::<Vec<_>>()
    };
    let mut answers = Vec::new();
    // Full calls of 42 ms, of which one ends every 21 ms, and more that wait for them.
    let mut floods = flood(8);
    sleep(MS * 21).await;
    floods.extend(flood(64));
    for _ in 0..60 {
        floods.extend(flood(9));
        // In time for a small call after the next turn, but not for a full one after it.
        answers.push(ask_for(&hurried, MS * 58));
        sleep(MS * 26).await;
    }
    let mut answered = 0;
    for answer in answers {
        answered += usize::from(answer.await.expect("it ran").is_ok());
    }
    assert!(answered >= 50, "{answered} of 60");
    assert!(outcomes(floods).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_is_late_by_itself_knows_at_once_whatever_others_wait() {
    let fake = fake().script("m", vec![Step::after(MS * 20); 100]);
    let client = merging(&fake);
    let tight = flow(&client, "tight");
    for _ in 0..2 {
        infer(&client, MS * 50).await.expect("calls take 20 ms");
        outcomes((0..8).map(|_| ask(&client, 1.0, 0.0, MS * 50)).collect()).await;
    }
    let stuck: Vec<_> = (0..16).map(|_| ask(&client, 0.0, 0.0, MS * 900)).collect();
    sleep(MS).await;
    let relaxed: Vec<_> = (0..24).map(|_| ask(&client, 0.0, 0.0, MS * 900)).collect();
    // Within 70 ms there are four turns of two calls, of which half the rows are theirs.
    let asked: Vec<_> = (0..100).map(|_| ask_for(&tight, MS * 70)).collect();
    sleep(Duration::from_micros(10)).await;
    let left = asked.iter().filter(|asked| asked.is_finished()).count();
    assert!((60..=92).contains(&left), "{left} know at once");
    let mut answered = 0;
    for asked in asked {
        match asked.await.expect("it ran") {
            Ok(_) => answered += 1,
            Err(error) => assert_eq!(error, InferError::Overloaded),
        }
    }
    assert_eq!(answered, 100 - left, "nobody who stayed stayed in vain");
    assert!(outcomes(relaxed).await.iter().all(Result::is_ok));
    assert!(outcomes(stuck).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_size_that_was_slow_once_is_tried_again_while_smaller_ones_do_well() {
    let fake = fake();
    let client = merging(&fake);
    fake.push("m", [Step::after(MS * 4), Step::after(MS * 60)]);
    infer(&client, MS * 40).await.expect("fast");
    outcomes((0..8).map(|_| ask(&client, 1.0, 0.0, MS * 200)).collect()).await;
    fake.push("m", vec![Step::after(MS * 4); 1000]);
    for _ in 0..60 {
        let wave = (0..8).map(|_| ask(&client, 1.0, 0.0, MS * 40));
        assert!(outcomes(wave.collect()).await.iter().all(Result::is_ok));
        sleep(MS * 10).await;
    }
    assert_eq!(fake.last_request("m").expect("a request").rows(), 8);
    let totals = client.queues()[0].totals;
    assert!(totals.calls < 100, "{totals:?}: in halves for 250 ms alone");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_late_by_itself_takes_nobody_along() {
    let fake = fake().script("m", vec![Step::after(MS * 20); 100]);
    let client = merging(&fake);
    let lax = flow(&client, "lax");
    for _ in 0..2 {
        infer(&client, MS * 50).await.expect("calls take 20 ms");
    }
    let stuck = [ask(&client, 0.0, 0.0, MS * 200), {
        sleep(MS).await;
        ask(&client, 0.0, 0.0, MS * 200)
    }];
    sleep(MS).await;
    let relaxed = ask_for(&lax, MS * 500);
    sleep(Duration::from_micros(10)).await;
    let tight = ask(&client, 0.0, 0.0, MS * 25);
    assert_eq!(tight.await.expect("it ran"), Err(InferError::Overloaded));
    relaxed.await.expect("it ran").expect("it has all the time");
    assert!(outcomes(stuck.into()).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn who_will_be_taken_along_by_a_pull_on_its_way_is_not_too_much() {
    let fake = fake().script("m", vec![Step::after(MS * 20); 100]);
    let client = merging(&fake);
    for _ in 0..2 {
        infer(&client, MS * 50).await.expect("calls take 20 ms");
    }
    // Two slots: the second half of the burst comes while both pulls are on their way.
    let burst = (0..16).map(|_| ask(&client, 0.0, 0.0, MS * 40));
    assert!(outcomes(burst.collect()).await.iter().all(Result::is_ok));
}
