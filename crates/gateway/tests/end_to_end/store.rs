//! The store: gone, back, and across a restart of the gateway.

use serde_json::Value;
use testkit::Redis;

use crate::support::{
    ask::turn,
    canary::Canary,
    eventually, files,
    gateway::{Gateway, Setup},
};

fn missing(decision: &Value) -> usize {
    decision["features"]["missing"].as_array().unwrap().len()
}

/// In time, from a tier in process.
fn assert_in_time(decision: &Value, canary: &Canary) {
    canary.assert_in_time(decision, 50_000);
    let by_rules = decision["tier"] == "rules" && !canary.is_machine_free();
    assert!(by_rules || decision["tier"] == "secondary", "{decision}");
}

async fn until_features(gateway: &Gateway) {
    eventually("the features are there", async || {
        let decision = gateway.decide(&files::payment()).await;
        (missing(&decision) == 0).then_some(())
    })
    .await;
}

/// What the store answered a moment ago is used a moment longer.
async fn until_none_are_kept(gateway: &Gateway) {
    eventually("what was kept is forgotten", async || {
        let decision = gateway.decide(&files::payment()).await;
        (missing(&decision) > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_outlives_the_gateway() {
    let _turn = turn().lock().await;
    let gateway = Setup::new().start().await;
    assert!(missing(&gateway.decide(&files::payment()).await) > 0);

    let setup = gateway.stop().await;
    setup.load_examples().await;
    let gateway = setup.start().await;
    let first = gateway.decide(&files::payment()).await;
    assert_eq!(missing(&first), 0, "{first}");

    let gateway = gateway.stop().await.start().await;
    let again = gateway.decide(&files::payment()).await;
    assert_eq!(missing(&again), 0, "{again}");
    assert_eq!(again["scores"], first["scores"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_gives_the_same_decision_as_the_embedded_store() {
    let _turn = turn().lock().await;
    let redis = Redis::start();
    let mut decisions = Vec::new();
    for setup in [Setup::new(), Setup::new().flag("store", redis.url())] {
        setup.load_examples().await;
        let gateway = setup.start().await;
        until_features(&gateway).await;
        let decision = gateway.decide(&files::payment()).await;
        assert_eq!(decision["tier"], "secondary", "{decision}");
        decisions.push((decision["scores"].clone(), decision["action"].clone()));
    }
    assert_eq!(decisions[0], decisions[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_costs_features_and_no_answer() {
    let _turn = turn().lock().await;
    let mut redis = Redis::start();
    let setup = Setup::new().flag("store", redis.url());
    setup.load_examples().await;
    let gateway = setup.start().await;
    until_features(&gateway).await;
    let before = gateway.decide(&files::payment()).await;

    let canary = Canary::start();
    redis.kill();
    until_none_are_kept(&gateway).await;
    for _ in 0..50 {
        let decision = gateway.decide(&files::payment()).await;
        assert!(missing(&decision) > 0, "{decision}");
        assert_in_time(&decision, &canary);
    }

    redis.restart();
    gateway.setup().load_examples().await;
    until_features(&gateway).await;
    let after = gateway.decide(&files::payment()).await;
    assert_eq!(after["scores"], before["scores"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_costs_its_slice_at_most() {
    let _turn = turn().lock().await;
    let redis = Redis::start();
    let setup = Setup::new().flag("store", redis.url());
    setup.load_examples().await;
    let gateway = setup.start().await;
    until_features(&gateway).await;

    let canary = Canary::start();
    redis.stop();
    until_none_are_kept(&gateway).await;
    for _ in 0..50 {
        let decision = gateway.decide(&files::payment()).await;
        assert!(missing(&decision) > 0, "{decision}");
        assert_in_time(&decision, &canary);
    }
    redis.cont();
    until_features(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_at_start_is_no_reason_not_to_serve() {
    let _turn = turn().lock().await;
    let mut redis = Redis::start();
    redis.kill();
    let canary = Canary::start();
    let gateway = Setup::new().flag("store", redis.url()).start().await;
    let decision = gateway.decide(&files::payment()).await;
    assert!(missing(&decision) > 0, "{decision}");
    assert_in_time(&decision, &canary);
    assert!(
        gateway.log().contains("the feature store is down"),
        "{}",
        gateway.log()
    );

    redis.restart();
    gateway.setup().load_examples().await;
    until_features(&gateway).await;
}
