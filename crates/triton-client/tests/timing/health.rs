//! The breaker, over whole outages.

use super::*;

#[tokio::test(start_paused = true)]
async fn impatient_waiters_do_not_open_the_breaker() {
    let fake = fake();
    let client = client(&fake);
    for _ in 0..20 {
        fake.push("m", [Step::after(MS * 90)]);
        let _ = infer(&client, MS * 10).await;
        sleep(MS * 100).await;
    }
    assert_eq!(state(&client), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_server_opens_the_breaker_and_a_thawed_one_closes_it() {
    let fake = fake();
    let client = client(&fake);
    infer(&client, MS * 50).await.expect("an answer");
    fake.freeze();
    let frozen = Instant::now();
    while state(&client) == BreakerState::Closed {
        let answer = infer(&client, MS * 20).await;
        let opened = state(&client) == BreakerState::Open;
        let why = if opened {
            InferError::BreakerOpen
        } else {
            InferError::Deadline
        };
        assert_eq!(
            answer,
            Err(why),
            "whoever waits when it opens need not wait on"
        );
    }
    assert!(
        frozen.elapsed() <= MS * 210,
        "five calls, each slow after 100 ms"
    );
    assert_eq!(infer(&client, MS * 20).await, Err(InferError::BreakerOpen));
    let why = client.states()[0].why.clone().expect("a reason");
    assert!(why.contains("no answer within 100ms"), "{why}");

    sleep(Duration::from_secs(20)).await;
    assert_eq!(
        infer(&client, MS * 20).await,
        Err(InferError::Deadline),
        "a probe"
    );
    assert_eq!(infer(&client, MS * 20).await, Err(InferError::BreakerOpen));
    fake.thaw();
    sleep(Duration::from_secs(2)).await;
    infer(&client, MS * 50).await.expect("the probe closes it");
    assert_eq!(state(&client), BreakerState::Closed);
    assert_eq!(fake.abandoned("m"), 0, "no call was cancelled on the wire");
    sleep(MS * 10).await;
    assert_eq!(client.states()[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn half_open_lets_one_call_through() {
    let fake = fake().script("m", vec![Step::error(UNAVAILABLE, "down"); 5]);
    let client = client(&fake);
    for _ in 0..5 {
        assert!(matches!(
            infer(&client, MS * 20).await,
            Err(InferError::Server { .. })
        ));
    }
    assert_eq!(state(&client), BreakerState::Open);
    fake.push("m", [Step::after(MS * 30)]);
    advance(MS * 200).await;
    let probe = tokio::spawn({
        let client = Arc::clone(&client);
        async move { infer(&client, MS * 50).await }
    });
    sleep(MS * 5).await;
    assert_eq!(state(&client), BreakerState::HalfOpen);
    for _ in 0..10 {
        assert_eq!(infer(&client, MS * 50).await, Err(InferError::BreakerOpen));
    }
    assert_eq!(fake.calls("m"), 6);
    probe
        .await
        .expect("it ran")
        .expect("the probe's answer is an answer");
    assert_eq!(state(&client), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_answered_closes_the_breaker_whoever_is_at_fault() {
    let shape = "unexpected shape for input 'x'";
    let failed = "Failed to process the request(s) for model 'm'";
    for (code, words) in [(INVALID_ARGUMENT, shape), (INTERNAL, failed)] {
        let fake = fake().script("m", vec![Step::error(UNAVAILABLE, "down"); 5]);
        let client = client(&fake);
        for _ in 0..5 {
            let _ = infer(&client, MS * 20).await;
        }
        assert_eq!(state(&client), BreakerState::Open);
        fake.push("m", [Step::error(code, words)]);
        advance(MS * 200).await;
        let probe = infer(&client, MS * 20).await;
        assert!(
            matches!(
                probe,
                Err(InferError::Caller { .. } | InferError::Model { .. })
            ),
            "{probe:?}"
        );
        assert_eq!(state(&client), BreakerState::Closed, "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_sends_nonsense_does_not_hide_a_failing_server() {
    let fake = fake();
    let client = client(&fake);
    for _ in 0..5 {
        fake.push("m", [Step::error(UNAVAILABLE, "down")]);
        fake.push("m", [Step::error(INVALID_ARGUMENT, "unexpected shape")]);
        let _ = infer(&client, MS * 20).await;
        let _ = infer(&client, MS * 20).await;
    }
    assert_eq!(state(&client), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_is_found_again_over_a_fresh_connection() {
    let fake = fake().script("m", [Step::Die]);
    let client = client(&fake);
    for _ in 0..5 {
        assert!(matches!(
            infer(&client, MS * 50).await,
            Err(InferError::Server { .. })
        ));
    }
    assert_eq!(infer(&client, MS * 50).await, Err(InferError::BreakerOpen));
    fake.revive();
    advance(MS * 200).await;
    infer(&client, MS * 50).await.expect("the probe reconnects");
    assert_eq!(fake.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_long_freeze_leaves_few_connections_behind() {
    let fake = fake();
    let client = client(&fake);
    fake.freeze();
    for _ in 0..6000 {
        let _ = infer(&client, MS * 20).await;
        sleep(MS * 80).await;
    }
    assert!(
        fake.connections() <= 12,
        "{} connections in ten minutes",
        fake.connections()
    );
    assert!(client.states()[0].in_flight <= 80, "{:?}", client.states());
    fake.thaw();
    sleep(Duration::from_secs(2)).await;
    infer(&client, MS * 50).await.expect("it recovers");
}

#[tokio::test(start_paused = true)]
async fn whose_fault_it_is_decides_whether_the_breaker_hears_of_it() {
    let fake = fake();
    let client = client(&fake);
    for _ in 0..20 {
        fake.push(
            "m",
            [Step::error(
                INVALID_ARGUMENT,
                "unexpected shape for input 'x'",
            )],
        );
        assert!(matches!(
            infer(&client, MS * 20).await,
            Err(InferError::Caller { .. })
        ));
        fake.push(
            "m",
            [Step::error(
                INTERNAL,
                "Failed to process the request(s) for model 'm'",
            )],
        );
        let failed = infer(&client, MS * 20).await;
        assert!(matches!(
            failed,
            Err(InferError::Model {
                fault: ModelFault::Failed,
                ..
            })
        ));
    }
    assert_eq!(state(&client), BreakerState::Closed);
    fake.push(
        "m",
        vec![Step::error(INTERNAL, "Stub process 'm' is not healthy."); 5],
    );
    for _ in 0..5 {
        assert!(matches!(
            infer(&client, MS * 20).await,
            Err(InferError::Server { .. })
        ));
    }
    assert_eq!(state(&client), BreakerState::Open);
}
