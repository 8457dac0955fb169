//! Deadlines, detaching, predictions and slots.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_waiter_leaves_at_the_deadline_and_the_call_runs_on() {
    let fake = fake().script("m", [Step::after(MS * 60)]);
    let client = client(&fake);
    let started = Instant::now();
    assert_eq!(infer(&client, MS * 20).await, Err(InferError::Deadline));
    let waited = started.elapsed();
    assert!(waited >= MS * 20 && waited <= MS * 21, "{waited:?}");
    assert_eq!(client.states()[0].in_flight, 1);
    sleep(MS * 50).await;
    assert_eq!(client.states()[0].in_flight, 0);
    assert_eq!(fake.abandoned("m"), 0, "nothing is cancelled on the wire");
    assert_eq!(
        client.predicted(),
        Some(MS * 60),
        "a call nobody waited for still teaches"
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_does_not_cancel_on_the_wire() {
    let fake = fake().script("m", [Step::after(MS * 60)]);
    let client = client(&fake);
    let mut waiting = Box::pin(infer(&client, MS * 500));
    tokio::select! {
        _ = &mut waiting => panic!("it takes 60 ms"),
        () = sleep(MS * 10) => drop(waiting),
    }
    sleep(MS * 100).await;
    assert_eq!((fake.calls("m"), fake.abandoned("m")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_survives_cancellation_is_spared_what_nobody_waits_for() {
    let fake = fake().version("2.59.0").script("m", [Step::Hang]);
    let client = client(&fake);
    client
        .server_metadata(Instant::now() + MS * 100)
        .await
        .expect("metadata");
    assert_eq!(infer(&client, MS * 20).await, Err(InferError::Deadline));
    sleep(MS * 60).await;
    assert_eq!(fake.abandoned("m"), 0, "not before it was judged");
    sleep(MS * 60).await;
    assert_eq!(fake.abandoned("m"), 1);
    assert_eq!(client.states()[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn no_grpc_timeout_goes_out() {
    let fake = fake();
    infer(&client(&fake), MS * 50).await.expect("an answer");
    let headers = fake.last_request("m").expect("a request").headers;
    assert!(!headers.contains_key("grpc-timeout"), "{headers:?}");
    assert_eq!(headers["content-type"], "application/grpc");
}

#[tokio::test(start_paused = true)]
async fn too_little_time_is_infeasible_without_a_call() {
    let fake = fake();
    let client = client(&fake);
    for left in [Duration::ZERO, MS, Duration::from_micros(1999)] {
        let answer = infer(&client, left).await;
        assert!(
            matches!(answer, Err(InferError::Infeasible { .. })),
            "{answer:?}"
        );
    }
    assert_eq!(fake.calls("m"), 0);
    infer(&client, MS * 2).await.expect("there is time for one");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_predicted_late_is_infeasible_without_a_call() {
    let fake = fake().script("m", [Step::after(MS * 50)]);
    let client = client(&fake);
    infer(&client, MS * 80).await.expect("an answer");
    assert_eq!(client.predicted(), Some(MS * 50));
    let late = Err(InferError::Infeasible { predicted: MS * 50 });
    assert_eq!(infer(&client, MS * 40).await, late);
    assert_eq!(fake.calls("m"), 1);
    infer(&client, MS * 60)
        .await
        .expect("there is time for this one");
    advance(Duration::from_secs(6)).await;
    assert_eq!(client.predicted(), None);
    infer(&client, MS * 10)
        .await
        .expect("an old prediction binds nobody");
}

#[tokio::test(start_paused = true)]
async fn a_stall_does_not_shut_the_model_off() {
    let fake = fake().script("m", [Step::after(MS * 90)]);
    let client = client(&fake);
    infer(&client, MS * 95).await.expect("slow, but in time");
    assert!(matches!(
        infer(&client, MS * 20).await,
        Err(InferError::Infeasible { .. })
    ));
    advance(MS * 250).await;
    infer(&client, MS * 20)
        .await
        .expect("the trial finds that it is fast again");
    infer(&client, MS * 20)
        .await
        .expect("and so is the next one");
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_slots_are_overload() {
    let fake = fake().script("m", [Step::after(MS * 30), Step::after(MS * 30)]);
    let client = client_with(
        &fake,
        EndpointOptions {
            max_in_flight: 2,
            ..Default::default()
        },
    );
    let late = |client: &Arc<Client>| {
        let client = Arc::clone(client);
        tokio::spawn(async move { infer(&client, MS * 10).await })
    };
    let (first, second) = (late(&client), late(&client));
    sleep(MS).await;
    assert_eq!(infer(&client, MS * 10).await, Err(InferError::Overloaded));
    assert_eq!(first.await.expect("it ran"), Err(InferError::Deadline));
    assert_eq!(second.await.expect("it ran"), Err(InferError::Deadline));
    assert_eq!(
        infer(&client, MS * 10).await,
        Err(InferError::Overloaded),
        "detached ones count"
    );
    sleep(MS * 30).await;
    infer(&client, MS * 100)
        .await
        .expect("the slots are free again");
}
