//! Impatient callers, frozen and killed servers: Triton survives us, and we find it again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use testkit::Triton;
use tokio::time::{Instant, sleep};
use triton_client::{BreakerState, EndpointOptions, EndpointSet, InferError, ModelFault};

use crate::client::{MS, ask, ask_by, client, client_with, mlp, repository, slow};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survival() {
    let repository = repository(&["mlp", "slow"]);
    let mut triton = Triton::start(repository.path());

    impatient_callers_do_not_harm_it(&triton).await;
    frozen_and_thawed(&triton).await;
    killed_and_restarted(&mut triton).await;
    restarted_under_load(&mut triton).await;
    a_graceful_end_is_not_the_models_end(&mut triton).await;
}

/// 128 callers at a time whose deadlines are about as long as the model takes: every waiter that
/// leaves leaves its call behind. When this crate cancels on the wire instead, this test crashes
/// the server within seconds.
async fn impatient_callers_do_not_harm_it(triton: &Triton) {
    let mut calls = 0;
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        // A client that has not learnt yet how long the model takes sends every call.
        let fresh = client_with(
            triton,
            EndpointOptions {
                slow_call: MS * 5000,
                ..Default::default()
            },
        );
        // Some finish just when their waiter leaves.
        let wave = (0..128_u8).map(|call| {
            let client = fresh.clone();
            let request = if call % 2 == 0 {
                mlp()
            } else {
                slow(f32::from(call % 8))
            };
            tokio::spawn(async move { ask_by(&client, request, Instant::now() + MS * 6).await })
        });
        let wave: Vec<_> = wave.collect();
        for call in wave {
            let answer = call.await.expect("it ran");
            let late = matches!(
                answer,
                Err(InferError::Deadline | InferError::Infeasible { .. })
            );
            assert!(late || answer.is_ok(), "{answer:?}");
            calls += 1;
        }
        drain(&fresh).await;
    }
    assert!(calls > 500, "{calls}");
    assert!(triton.is_alive());
    ask(&client(triton), mlp())
        .await
        .expect("it answers as before");
}

/// Waits until nothing is out any more.
async fn drain(client: &EndpointSet) {
    while client.states()[0].in_flight > 0 {
        sleep(MS * 5).await;
    }
}

/// 20 requests a second of 50 ms each; the last answer.
async fn trickle(
    client: &EndpointSet,
    limit: Duration,
    mut done: impl FnMut(&Result<(), InferError>) -> bool,
) -> Vec<Result<(), InferError>> {
    let started = Instant::now();
    let mut answers = Vec::new();
    loop {
        let at = Instant::now();
        let answer = ask_by(client, mlp(), at + MS * 50).await.map(drop);
        let stop = done(&answer);
        answers.push(answer);
        if stop {
            return answers;
        }
        assert!(
            started.elapsed() < limit,
            "not within {limit:?}: {:?}, {client:?}",
            answers.last()
        );
        tokio::time::sleep_until(at + MS * 50).await;
    }
}

async fn frozen_and_thawed(triton: &Triton) {
    let client = client_with(triton, EndpointOptions::default());
    trickle(&client, Duration::from_secs(10), Result::is_ok).await;
    triton.stop();
    let seconds = Duration::from_secs(10);
    let answers = trickle(&client, seconds, |a| *a == Err(InferError::BreakerOpen)).await;
    let late = answers
        .iter()
        .filter(|answer| **answer == Err(InferError::Deadline))
        .count();
    assert!(late >= 5, "{answers:?}");
    let until = Instant::now() + Duration::from_secs(3);
    trickle(&client, seconds, |answer| {
        assert!(
            matches!(answer, Err(InferError::BreakerOpen | InferError::Deadline)),
            "{answer:?}"
        );
        Instant::now() > until
    })
    .await;
    triton.cont();
    trickle(&client, seconds, Result::is_ok).await;
    assert_eq!(client.states()[0].state, BreakerState::Closed);
    drain(&client).await;
    assert!(
        triton.is_alive(),
        "what was sent while it slept did not crash it"
    );
}

async fn killed_and_restarted(triton: &mut Triton) {
    let client = client_with(triton, EndpointOptions::default());
    trickle(&client, Duration::from_secs(10), Result::is_ok).await;
    let in_flight = tokio::spawn({
        let client = client.clone();
        async move { ask(&client, slow(5000.0)).await }
    });
    sleep(MS * 50).await;
    triton.kill9();
    let answer = in_flight.await.expect("it ran");
    assert!(
        matches!(answer, Err(InferError::Server { .. })),
        "{answer:?}"
    );
    trickle(&client, Duration::from_secs(10), |a| {
        *a == Err(InferError::BreakerOpen)
    })
    .await;
    let why = client.states()[0].why.clone().expect("a reason");
    assert!(why.to_lowercase().contains("connect"), "{why}");
    triton.restart();
    trickle(&client, Duration::from_secs(10), Result::is_ok).await;
    assert_eq!(client.states()[0].state, BreakerState::Closed);
}

/// 16 callers that never stop: whatever they are told meanwhile, in the end all are answered.
async fn restarted_under_load(triton: &mut Triton) {
    let client = client_with(triton, EndpointOptions::default());
    let restarted = Arc::new(AtomicBool::new(false));
    let callers = (0..16).map(|_| {
        let (client, restarted) = (client.clone(), Arc::clone(&restarted));
        tokio::spawn(async move {
            loop {
                let up = restarted.load(Ordering::Relaxed);
                match ask_by(&client, mlp(), Instant::now() + MS * 50).await {
                    Ok(_) if up => return,
                    Err(InferError::Caller { message }) => panic!("{message}"),
                    _ => sleep(MS * 2).await,
                }
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    sleep(MS * 300).await;
    triton.kill9();
    sleep(MS * 300).await;
    triton.restart();
    restarted.store(true, Ordering::Relaxed);
    for caller in callers {
        let answered = tokio::time::timeout(Duration::from_secs(10), caller).await;
        answered
            .expect("answered again within seconds")
            .expect("it ran");
    }
}

/// After SIGTERM, what is in flight finishes and what is new is turned away as not ready.
async fn a_graceful_end_is_not_the_models_end(triton: &mut Triton) {
    let client = client(triton);
    let in_flight = tokio::spawn({
        let client = client.clone();
        async move { ask(&client, slow(1500.0)).await }
    });
    sleep(MS * 200).await;
    triton.terminate();
    sleep(MS * 300).await;
    let answer = ask(&client, mlp()).await;
    let Err(InferError::Model {
        fault: ModelFault::NotReady,
        message,
    }) = &answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!(
        message,
        "Request for unknown model: 'mlp' has no available versions"
    );
    in_flight
        .await
        .expect("it ran")
        .expect("what was in flight is finished");
    triton.wait_for_exit();
    triton.restart();
    trickle(&client, Duration::from_secs(10), Result::is_ok).await;
}
