//! More than there is room or time for: who is refused is told at once, and everyone else answered.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, extract::Request};
use fake_triton::{FakeTriton, Step};
use gateway::config::Config;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use crate::harness::{Harness, body_of, ms, post, scorer, skipped};

/// The measured wait, as if every probe had waited for so long.
fn wait_in_the_run_queue(harness: &Harness, wait: Duration) {
    (0..200).for_each(|_| harness.gateway.pressure.waited(wait));
}

#[tokio::test(start_paused = true)]
async fn one_decision_more_than_the_limit_is_refused_at_once() {
    let mut config = Config::default();
    config.server.max_in_flight = 1;
    let fake = FakeTriton::new()
        .model(scorer())
        .script("scorer", [Step::Hang]);
    let harness = Harness::start_with(fake, "", config).await;
    let body =
        json!({"decision": "risk", "entities": {"user_id": "u"}, "inputs": {"amount": 10.0}});
    let (first, second) = tokio::join!(harness.post(post(&[], &body)), async {
        sleep(ms(1)).await;
        harness.post(post(&[], &body)).await
    });
    assert_eq!(first.status(), 200);
    assert_eq!(second.status(), 429);
    assert_eq!(second.headers()["retry-after"], "1");
    assert_eq!(body_of(second).await["kind"], "overloaded");
    assert_eq!(harness.gateway.admission.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_wait_in_the_run_queue_is_the_callers_time_and_comes_again_with_each_timer() {
    let script = [Step::Hang, Step::Hang, Step::after(ms(10))];
    let harness = Harness::start(FakeTriton::new().model(scorer()).script("scorer", script)).await;
    wait_in_the_run_queue(&harness, ms(15));
    let (answer, took) = harness.ask(60).await;
    // What is awaited ends at 60 - 5 - 15 ms; 15 ms of the budget had passed.
    assert!(took > ms(24) && took <= ms(26), "{took:?}");
    let total = answer["timings_us"]["total"].as_u64().unwrap();
    assert!((39_000..=41_000).contains(&total), "{total}");
    assert_eq!(skipped(&answer), "timeout");

    wait_in_the_run_queue(&harness, ms(40));
    let (answer, took) = harness.ask(60).await;
    assert_eq!((took, skipped(&answer)), (ms(0), "infeasible"));
    let (answer, took) = harness.ask(30).await;
    assert_eq!((took, skipped(&answer)), (ms(0), "infeasible"));
    assert_eq!(answer["tier"], "rules", "late, and answered all the same");

    wait_in_the_run_queue(&harness, ms(0));
    let (_, took) = harness.ask(60).await;
    assert_eq!(took, ms(55));
}

#[tokio::test(start_paused = true)]
async fn a_share_of_decisions_is_turned_away_before_their_bodies_and_probes_are_not() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    harness.gateway.pressure.shed(0.25);
    let mut refused = 0;
    for n in 1..=100_u32 {
        // A body that never ends: whoever is turned away was not asked for it.
        let endless = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, Infallible>>());
        let path = if n % 2 == 0 {
            "/v1/decide"
        } else {
            "/gavel.v1.DecisionService/Decide"
        };
        let mut request = Request::post(path).body(endless).unwrap();
        if n % 2 == 1 {
            let grpc = "application/grpc".parse().unwrap();
            request.headers_mut().insert("content-type", grpc);
        }
        let started = Instant::now();
        let response = harness.post(request).await;
        if started.elapsed() > ms(0) {
            continue;
        }
        refused += 1;
        if n % 2 == 0 {
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()["retry-after"], "1");
            let problem = body_of(response).await;
            assert_eq!(problem["kind"], "overloaded");
        } else {
            assert_eq!(response.headers()["grpc-status"], "8");
        }
    }
    assert_eq!(refused, 25);
    harness.gateway.pressure.shed(1.0);
    let contract = Request::get("/openapi.json").body(Body::empty()).unwrap();
    assert_eq!(harness.post(contract).await.status(), 200);
    harness.gateway.pressure.shed(0.0);
    for _ in 0..100 {
        assert_eq!(harness.ask(50).await.0["tier"], "primary");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_not_answered_yet_are_bounded_and_give_their_places_back() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let endless = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, Infallible>>());
        let request = Request::post("/v1/decide").body(endless).unwrap();
        waiting.spawn(harness.routes.clone().oneshot(request));
    }
    sleep(ms(1)).await;
    let body = json!({"decision": "other", "entities": {"user_id": "u"}, "inputs": {}});
    let refused = harness.post(post(&[], &body)).await;
    assert_eq!(refused.status(), 429);
    let problem = body_of(refused).await;
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("10000 requests"),
        "{problem}"
    );
    for response in waiting.join_all().await {
        assert_eq!(response.unwrap().status(), 400, "its body did not arrive");
    }
    assert_eq!(harness.post(post(&[], &body)).await.status(), 200);
}
