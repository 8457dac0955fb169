//! Triton frozen, killed, and back: every request is answered in time, and the primary tier
//! returns by itself.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{task::JoinSet, time::interval};

use crate::{
    shared,
    support::{
        ask::{http1, skipped, turn},
        files,
        gateway::{Gateway, Setup},
    },
};

const REQUESTS: usize = 200;
/// 50 requests a second.
const GAP: Duration = Duration::from_millis(20);
const BUDGET_US: u64 = 50_000;

/// 200 requests at 50 a second, whatever becomes of those before.
async fn load(gateway: &Arc<Gateway>) -> Vec<Value> {
    let question = files::with_budget(files::payment(), BUDGET_US as f64 / 1e3).to_string();
    let client = http1();
    let mut asked = JoinSet::new();
    let mut ticks = interval(GAP);
    for _ in 0..REQUESTS {
        ticks.tick().await;
        let (gateway, client, question) = (Arc::clone(gateway), client.clone(), question.clone());
        asked.spawn(async move { gateway.post_with(&client, &[], question).await.decision() });
    }
    asked.join_all().await
}

/// Every answer was in time, by the secondary, for one of these reasons.
fn assert_degraded_in_time(decisions: &[Value], reasons: &[&str]) {
    assert_eq!(decisions.len(), REQUESTS);
    for decision in decisions {
        let total_us = decision["timings_us"]["total"].as_u64().unwrap();
        assert!(total_us <= BUDGET_US, "late: {decision}");
        assert_eq!(decision["tier"], "secondary", "{decision}");
        assert_eq!(decision["degraded"], true);
        let skips = skipped(decision);
        let reason = skips[0].strip_prefix("primary:").unwrap();
        assert!(skips.len() == 1 && reasons.contains(&reason), "{skips:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_triton_costs_nobody_an_answer() {
    let triton = shared::triton();
    let _turn = turn().lock().await;
    let triton = triton.lock().await;
    let setup = Setup::new().flag("triton", &triton.grpc_url);
    setup.load_examples().await;
    let gateway = Arc::new(setup.start().await);
    gateway.until_primary().await;

    triton.stop();
    let decisions = load(&gateway).await;
    let metrics = gateway.metrics().await;
    triton.cont();

    assert_degraded_in_time(&decisions, &["timeout", "breaker_open"]);
    // The breaker spared most of them the wait.
    let waited = decisions
        .iter()
        .filter(|decision| skipped(decision) == ["primary:timeout"]);
    assert!(waited.count() < REQUESTS / 4);
    assert_eq!(
        metrics.sum("gavel_decisions_total", &[("outcome", "late")]),
        0.0
    );
    gateway.until_primary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_triton_costs_nobody_an_answer() {
    let triton = shared::triton();
    let _turn = turn().lock().await;
    let mut triton = triton.lock().await;
    let setup = Setup::new().flag("triton", &triton.grpc_url);
    setup.load_examples().await;
    let gateway = Arc::new(setup.start().await);
    let before = gateway.until_primary().await;

    // Killed under load: what is in flight is answered as well.
    let loaded = tokio::spawn({
        let gateway = Arc::clone(&gateway);
        async move { load(&gateway).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    triton.kill9();
    let under_load = loaded.await.unwrap();
    assert_eq!(under_load.len(), REQUESTS);
    for decision in &under_load {
        assert!(
            decision["timings_us"]["total"].as_u64().unwrap() <= BUDGET_US,
            "late: {decision}"
        );
        assert_ne!(decision["tier"], "rules", "{decision}");
    }

    let decisions = load(&gateway).await;
    assert_degraded_in_time(&decisions, &["timeout", "breaker_open", "error"]);

    triton.restart();
    let after = gateway.until_primary().await;
    assert_eq!(after["scores"], before["scores"]);
}
