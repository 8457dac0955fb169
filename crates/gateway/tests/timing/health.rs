//! The breaker behind the gateway: a frozen Triton opens it, impatient callers do not.

use std::time::Duration;

use fake_triton::{FakeTriton, Step};
use tokio::time::sleep;

use crate::harness::{Harness, ms, scorer, skipped};

#[tokio::test(start_paused = true)]
async fn a_frozen_triton_opens_the_breaker_and_is_found_again_by_itself() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
    harness.fake.freeze();
    let mut reasons = Vec::new();
    for _ in 0..20 {
        let (answer, took) = harness.ask(50).await;
        assert!(took <= ms(45), "{took:?}");
        reasons.push(skipped(&answer).to_owned());
        sleep(ms(20)).await;
    }
    assert_eq!(reasons.first().map(String::as_str), Some("timeout"));
    assert_eq!(
        reasons.iter().filter(|r| *r == "breaker_open").count()
            + reasons.iter().filter(|r| *r == "timeout").count(),
        20
    );
    assert!(reasons.contains(&"breaker_open".to_owned()), "{reasons:?}");
    harness.fake.thaw();
    sleep(Duration::from_secs(3)).await;
    let recovered = [harness.ask(50).await.0, harness.ask(50).await.0];
    assert_eq!(recovered[1]["tier"], "primary", "{recovered:?}");
}

#[tokio::test(start_paused = true)]
async fn impatient_callers_do_not_open_the_breaker_for_others() {
    let steps = std::iter::repeat_n(Step::after(ms(40)), 100);
    let harness = Harness::start(FakeTriton::new().model(scorer()).script("scorer", steps)).await;
    for _ in 0..30 {
        let (answer, _) = harness.ask(20).await;
        assert_ne!(skipped(&answer), "breaker_open");
    }
    assert_eq!(harness.ask(95).await.0["tier"], "primary");
}
