//! Triton frozen, killed, and back: every request is answered in time, and the primary tier
//! returns by itself.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{task::JoinSet, time::interval};

use crate::{
    shared,
    support::{
        ask::{http1, skipped, turn},
        canary::Canary,
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
fn assert_degraded_in_time(decisions: &[Value], reasons: &[&str], canary: &Canary) {
    assert_eq!(decisions.len(), REQUESTS);
    for decision in decisions {
        canary.assert_in_time(decision, BUDGET_US);
        assert_by_the_secondary(decision, canary);
        assert_eq!(decision["degraded"], true);
        let skips = skipped(decision);
        let reason = skips[0].strip_prefix("primary:").unwrap();
        assert!(reasons.contains(&reason), "{skips:?}");
    }
}

/// Rules answer where the machine left no time for the model in process.
fn assert_by_the_secondary(decision: &Value, canary: &Canary) {
    let by_rules = decision["tier"] == "rules" && !canary.is_machine_free();
    assert!(by_rules || decision["tier"] == "secondary", "{decision}");
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

    let canary = Canary::start();
    triton.stop();
    let decisions = load(&gateway).await;
    let metrics = gateway.metrics().await;
    triton.cont();

    let reasons = ["timeout", "infeasible", "breaker_open"];
    assert_degraded_in_time(&decisions, &reasons, &canary);
    // The breaker spared most of them the wait.
    let waited = decisions
        .iter()
        .filter(|decision| skipped(decision) != ["primary:breaker_open"]);
    assert!(waited.count() < REQUESTS / 4);
    let late = metrics.sum("gavel_decisions_total", &[("outcome", "late")]);
    assert!(late == 0.0 || !canary.is_machine_free(), "{late} late");
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

    let canary = Canary::start();
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
        canary.assert_in_time(decision, BUDGET_US);
        if decision["tier"] != "primary" {
            assert_by_the_secondary(decision, &canary);
        }
    }

    let decisions = load(&gateway).await;
    let reasons = ["timeout", "infeasible", "breaker_open", "error"];
    assert_degraded_in_time(&decisions, &reasons, &canary);

    triton.restart();
    let after = gateway.until_primary().await;
    assert_eq!(after["scores"], before["scores"]);
}
