//! Budgets: where they may be named, which one counts, and those that no model can keep.

use fake_triton::Step;
use serde_json::Value;

use crate::{
    shared,
    support::{
        ask::{message, skipped, turn},
        eventually, fake, files,
        gateway::{Gateway, Setup},
    },
};

/// Twice the shortest budget that the tests name, for a machine that is busy. What is named beside
/// it is far longer, so an answer within this shows which one counted.
const SMALL_US: u64 = 40_000;
/// Likewise for the decision's own budget of 95 ms.
const OWN_US: u64 = 190_000;

fn total_us(decision: &Value) -> u64 {
    decision["timings_us"]["total"].as_u64().unwrap()
}

/// A gateway in front of a Triton that never answers and is never given up on.
async fn hanging() -> (Gateway, fake_triton::FakeTriton) {
    let (triton, url) = fake::triton().await;
    let gateway = Setup::new()
        .config("[triton]\nslow_call = '10m'\n")
        .flag("triton", url)
        .start()
        .await;
    gateway.until_primary().await;
    triton.push("fraud_primary", vec![Step::Hang; 100]);
    (gateway, triton)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_of_all_budgets_counts() {
    let _turn = turn().lock().await;
    let (gateway, _triton) = hanging().await;
    let json = ("content-type", "application/json");
    let header = "x-request-timeout-ms";
    for (in_body, in_header) in [
        (20.0, None),
        (20.0, Some("5000")),
        (5000.0, Some("20")),
        (20.0, Some("20.5")),
    ] {
        let question = files::with_budget(files::payment(), in_body);
        let headers: Vec<_> = [json]
            .into_iter()
            .chain(in_header.map(|ms| (header, ms)))
            .collect();
        let decision = gateway
            .post(&headers, question.to_string())
            .await
            .decision();
        let asked = format!("{in_body} ms in the body, {in_header:?} in the header: {decision}");
        assert!(total_us(&decision) <= SMALL_US, "{asked}");
        // Calls that hang hold their slots: who comes after them waits for one in vain.
        let reasons = ["primary:timeout", "primary:infeasible"];
        assert!(reasons.contains(&&*skipped(&decision)[0]), "{asked}");
    }

    // The decision's own budget is a cap.
    let mut question = files::with_budget(files::payment(), 5000.0);
    let capped = gateway.decide(&question).await;
    assert!((SMALL_US..=OWN_US).contains(&total_us(&capped)), "{capped}");
    question["budget_ms"] = Value::Null;
    let unasked = gateway.decide(&question).await;
    assert!(
        (SMALL_US..=OWN_US).contains(&total_us(&unasked)),
        "{unasked}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_timeout_and_the_header_count_over_grpc() {
    let _turn = turn().lock().await;
    let (gateway, _triton) = hanging().await;
    let mut client = gateway.grpc().await;
    for (in_body, in_header, timeout) in [
        (20.0, None, Some("5S")),
        (5000.0, None, Some("20m")),
        (5000.0, Some("20"), Some("5S")),
        (5000.0, Some("5000"), Some("20000u")),
        (20.0, None, None),
    ] {
        let question = files::with_budget(files::payment(), in_body);
        let request = || {
            let mut request = tonic::Request::new(message(&question));
            for (name, value) in [
                ("x-request-timeout-ms", in_header),
                ("grpc-timeout", timeout),
            ] {
                if let Some(value) = value {
                    request.metadata_mut().insert(name, value.parse().unwrap());
                }
            }
            request
        };
        // The client gives up at its own timeout, which on a busy machine comes before the answer.
        let mut answer = client.decide(request()).await;
        for _ in 0..20 {
            if answer.is_err() {
                answer = client.decide(request()).await;
            }
        }
        let answer = answer.unwrap().into_inner();
        let asked = format!("{in_body}, {in_header:?}, {timeout:?}: {answer:?}");
        assert!(answer.timings_us["total"] <= SMALL_US, "{asked}");
        assert_ne!(answer.tier, "primary", "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_no_model_over_a_network_can_keep_is_answered_in_process() {
    let triton = shared::triton();
    let _turn = turn().lock().await;
    let triton = triton.lock().await;
    let setup = Setup::new().flag("triton", &triton.grpc_url);
    setup.load_examples().await;
    let gateway = setup.start().await;
    gateway.until_primary().await;
    for budget_ms in [1.0, 0.5, 0.001] {
        let question = files::with_budget(files::payment(), budget_ms);
        for _ in 0..30 {
            let decision = gateway.decide(&question).await;
            let skips = skipped(&decision);
            assert_eq!(skips[0], "primary:infeasible", "{decision}");
            assert_eq!(decision["degraded"], true);
            match decision["tier"].as_str() {
                Some("secondary") => assert_eq!(skips.len(), 1),
                Some("rules") => assert_eq!(skips[1], "secondary:infeasible"),
                other => panic!("{other:?}"),
            }
        }
    }
    // Nothing of it lasts.
    eventually("a usual budget is answered by the primary", async || {
        let decision = gateway.decide(&files::payment()).await;
        (decision["tier"] == "primary").then_some(())
    })
    .await;
}
