//! Models that come, change and do not fit, followed by themselves.

use std::time::Duration;

use fake_triton::{FakeModel, FakeTriton};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{Harness, body_of, ms, post, scorer, skipped};

#[tokio::test(start_paused = true)]
async fn a_model_that_appears_later_is_used_by_itself() {
    let harness = Harness::start(FakeTriton::new()).await;
    let (answer, took) = harness.ask(50).await;
    assert_eq!((took, skipped(&answer)), (ms(0), "not_ready"));
    harness.fake.put_model(scorer());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_does_not_fit_is_refused_and_the_last_good_one_serves() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    assert_eq!(harness.ask(50).await.0["model_version"], "1");
    let renamed = scorer()
        .versions(&["1", "2"])
        .parameter("gavel.features.x", "amount_log, user.visits, user.vists");
    harness.fake.put_model(renamed);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(harness.ask(50).await.0["model_version"], "1");
    assert_eq!(harness.fake.last_request("scorer").unwrap().version, "1");
    harness.fake.put_model(scorer().versions(&["1", "2", "3"]));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(harness.ask(50).await.0["model_version"], "3");
}

#[tokio::test(start_paused = true)]
async fn the_same_version_with_another_feature_list_is_another_model() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
    let swapped = FakeModel::new("scorer")
        .input("x", "FP32", &[3])
        .output("score", "FP32", &[1])
        .parameter("gavel.features.x", "amount_log, user.vists, request.amount");
    harness.fake.put_model(swapped);
    sleep(Duration::from_secs(5)).await;
    let (answer, _) = harness.ask(50).await;
    assert_eq!(
        (answer["tier"].as_str(), skipped(&answer)),
        (Some("rules"), "not_ready")
    );
    harness.fake.put_model(scorer());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_a_model_does_not_fit_does_not_take_it_from_others() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    let body = json!({"decision": "other", "entities": {"user_id": "u"}, "inputs": {}});
    let other = body_of(harness.post(post(&[], &body)).await).await;
    assert_eq!(
        (other["tier"].as_str(), skipped(&other)),
        (Some("rules"), "not_ready"),
        "it has no amount, which the model takes"
    );
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_never_fitted_leaves_its_tier_not_ready() {
    let model = FakeModel::new("scorer")
        .input("x", "FP32", &[4])
        .output("score", "FP32", &[1])
        .parameter(
            "gavel.features.x",
            "amount_log, user.visits, request.amount",
        );
    let harness = Harness::start(FakeTriton::new().model(model)).await;
    assert_eq!(skipped(&harness.ask(50).await.0), "not_ready");
}
