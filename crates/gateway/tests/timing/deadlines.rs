//! Until when Triton is awaited, and what answers instead: in time, whatever Triton does.

use std::time::Duration;

use fake_triton::{FakeTriton, Step, Tensor};
use gateway::config::Config;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::harness::{Harness, ms, post, scorer, skipped};

#[tokio::test(start_paused = true)]
async fn triton_answers_inside_the_budget() {
    let harness = Harness::start(
        FakeTriton::new()
            .model(scorer())
            .script("scorer", [Step::after(ms(20))]),
    )
    .await;
    let (answer, took) = harness.ask(50).await;
    assert_eq!(took, ms(20));
    assert_eq!(
        (
            &answer["tier"],
            &answer["action"],
            &answer["scores"]["risk"]
        ),
        (&json!("primary"), &json!("pass"), &json!(0.125))
    );
    assert_eq!(answer["timings_us"]["total"], 20_000);
    assert_eq!(answer["timings_us"]["primary"], 20_000);
    assert_eq!(answer["degraded"], false);
    let sent = harness.fake.last_request("scorer").unwrap();
    assert_eq!(sent.version, "1");
    assert_eq!(
        sent.input("x").unwrap().to_fp32(),
        [11f64.ln() as f32, 7.0, 10.0]
    );
    assert!(!sent.headers.contains_key("grpc-timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_hung_triton_is_awaited_to_the_end_of_the_budget_and_rules_leave_in_time() {
    let harness = Harness::start(
        FakeTriton::new()
            .model(scorer())
            .script("scorer", [Step::Hang]),
    )
    .await;
    let (answer, took) = harness.ask(50).await;
    assert_eq!(
        took,
        ms(45),
        "the budget minus what encoding and late timers need"
    );
    assert_eq!(
        (answer["tier"].as_str(), skipped(&answer)),
        (Some("rules"), "timeout")
    );
    assert_eq!(answer["reasons"], json!(["otherwise"]));
    assert_eq!(answer["degraded"], true);
}

#[tokio::test(start_paused = true)]
async fn a_tiers_own_slice_ends_before_the_budget() {
    let fake = FakeTriton::new()
        .model(scorer())
        .script("scorer", [Step::Hang]);
    let harness = Harness::start_with(fake, "slice = \"10ms\"", Config::default()).await;
    let (answer, took) = harness.ask(50).await;
    assert_eq!((took, skipped(&answer)), (ms(10), "timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_answered_when_it_happens_not_when_the_time_is_up() {
    let script = [
        Step::after(ms(5)),
        Step::error(13, "boom"),
        Step::ZeroBytes,
        Step::NoOutputs,
        Step::Bytes(3),
    ];
    let harness = Harness::start(FakeTriton::new().model(scorer()).script("scorer", script)).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
    for _ in 0..4 {
        let (answer, took) = harness.ask(50).await;
        assert_eq!(
            (took, answer["tier"].as_str(), skipped(&answer)),
            (ms(0), Some("rules"), "error")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_score_that_is_no_number_is_no_answer() {
    let model = scorer().answer(|_| vec![Tensor::fp32("score", &[1, 1], &[f32::NAN])]);
    let harness = Harness::start(FakeTriton::new().model(model)).await;
    let (answer, _) = harness.ask(50).await;
    assert_eq!(
        (answer["tier"].as_str(), skipped(&answer)),
        (Some("rules"), "error")
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_make_it_is_not_asked() {
    let harness = Harness::start(
        FakeTriton::new()
            .model(scorer())
            .script("scorer", [Step::after(ms(30))]),
    )
    .await;
    assert_eq!(harness.ask(95).await.0["tier"], "primary");
    let calls = harness.fake.calls("scorer");
    let (answer, took) = harness.ask(20).await;
    assert_eq!((took, skipped(&answer)), (ms(0), "infeasible"));
    assert_eq!(
        harness.fake.calls("scorer"),
        calls,
        "Triton is spared work that nobody would read"
    );
}

#[tokio::test(start_paused = true)]
async fn a_budget_below_the_timers_resolution_asks_nobody_over_a_network() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    let (answer, took) = harness.ask(1).await;
    assert_eq!(
        (took, answer["tier"].as_str(), skipped(&answer)),
        (ms(0), Some("rules"), "infeasible")
    );
    assert_eq!(harness.fake.calls("scorer"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_smallest_budget_of_body_header_and_decision_counts() {
    let harness = Harness::start(
        FakeTriton::new()
            .model(scorer())
            .script("scorer", [Step::Hang, Step::Hang, Step::Hang]),
    )
    .await;
    for (header, body_ms, expected) in [("30", 80, 25), ("80", 30, 25), ("5000", 5000, 90)] {
        let started = Instant::now();
        let body = json!({
            "decision": "risk", "entities": {"user_id": "u"}, "inputs": {"amount": 10.0}, "budget_ms": body_ms,
        });
        let response = harness
            .post(post(&[("x-request-timeout-ms", header)], &body))
            .await;
        assert_eq!(
            (response.status().as_u16(), started.elapsed()),
            (200, ms(expected))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_triton_does_the_answer_is_there_in_time() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    // A fixed linear congruential sequence: delays of 0 to 255 ms, budgets of 0.1 to 95 ms, each
    // request at its own moment between two ticks of the timer.
    let mut state = 12_345_u64;
    let mut next = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..500 {
        let step = match next(8) {
            0 => Step::Hang,
            1 => Step::error(14, "down"),
            2 => Step::ZeroBytes,
            _ => Step::after(ms(next(256))),
        };
        harness.fake.push("scorer", [step]);
        tokio::time::advance(Duration::from_micros(next(1000))).await;
        let longest = if next(2) == 0 { 950 } else { 80 };
        let budget_ms = (1 + next(longest)) as f64 / 10.0;
        let (answer, took) = harness.ask(budget_ms).await;
        let budget = Duration::from_secs_f64(budget_ms / 1e3);
        assert!(took <= budget, "{took:?} of {budget:?}: {answer}");
        harness.fake.clear_script("scorer");
        sleep(ms(next(400))).await;
    }
}
