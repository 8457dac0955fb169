//! Deadlines, detaching, the breaker and admission, exactly: on a paused clock against the fake.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fake_triton::{FakeModel, FakeTriton, Step, Tensor};
use tokio::time::{Instant, advance, sleep};
use triton_client::{
    BreakerState, ControlError, Dtype, EndpointOptions, EndpointSet, InferError, InferRequest,
    InferResponse, InputTensor, ModelFault,
};

const MS: Duration = Duration::from_millis(1);
const UNAVAILABLE: i32 = 14;
const INVALID_ARGUMENT: i32 = 3;
const INTERNAL: i32 = 13;

fn fake() -> FakeTriton {
    let double = |request: &fake_triton::ReceivedRequest| {
        let Some(x) = request.input("x") else {
            return Vec::new();
        };
        let doubled: Vec<f32> = x.to_fp32().iter().map(|value| value * 2.0).collect();
        vec![Tensor::fp32("y", &x.shape, &doubled)]
    };
    let model = FakeModel::new("m")
        .input("x", "FP32", &[2])
        .output("y", "FP32", &[2]);
    FakeTriton::new().model(model.answer(double))
}

fn client(fake: &FakeTriton) -> EndpointSet {
    client_with(fake, EndpointOptions::default())
}

fn client_with(fake: &FakeTriton, options: EndpointOptions) -> EndpointSet {
    let connector = fake.connector();
    EndpointSet::with_connector("fake", move || connector(), options)
}

fn request() -> InferRequest {
    let data: Vec<u8> = [1.5_f32, -2.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    InferRequest {
        model: Arc::from("m"),
        version: None,
        id: String::new(),
        inputs: vec![InputTensor {
            name: Arc::from("x"),
            dtype: Dtype::Fp32,
            shape: vec![1, 2],
            data: Bytes::from(data),
        }],
        outputs: vec![Arc::from("y")],
    }
}

async fn infer(client: &EndpointSet, budget: Duration) -> Result<InferResponse, InferError> {
    client.infer(request(), Instant::now() + budget).await
}

fn state(client: &EndpointSet) -> BreakerState {
    client.states()[0].state
}

#[tokio::test(start_paused = true)]
async fn answers_with_the_rows_that_came() {
    let fake = fake();
    let answer = infer(&client(&fake), MS * 50).await.expect("an answer");
    assert_eq!(answer.model_version, "1");
    let y = answer.output("y").expect("the output");
    assert_eq!(
        (y.dtype, y.shape.as_slice()),
        (Dtype::Fp32, [1, 2].as_slice())
    );
    assert_eq!(
        &y.data[..],
        [3.0_f32.to_le_bytes(), (-4.0_f32).to_le_bytes()].concat()
    );
}

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
        client.predicted("m"),
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
    for left in [Duration::ZERO, MS, Duration::from_micros(1499)] {
        let answer = infer(&client, left).await;
        assert!(
            matches!(answer, Err(InferError::Infeasible { .. })),
            "{answer:?}"
        );
    }
    assert_eq!(fake.calls("m"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_predicted_late_is_infeasible_without_a_call() {
    let fake = fake().script("m", [Step::after(MS * 50)]);
    let client = client(&fake);
    infer(&client, MS * 80).await.expect("an answer");
    assert_eq!(client.predicted("m"), Some(MS * 50));
    let late = Err(InferError::Infeasible { predicted: MS * 50 });
    assert_eq!(infer(&client, MS * 40).await, late);
    assert_eq!(fake.calls("m"), 1);
    infer(&client, MS * 60)
        .await
        .expect("there is time for this one");
    advance(Duration::from_secs(6)).await;
    assert_eq!(client.predicted("m"), None);
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
    let late = |client: &EndpointSet| {
        let client = client.clone();
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
        assert_eq!(answer, Err(InferError::Deadline));
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
        let client = client.clone();
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

#[tokio::test(start_paused = true)]
async fn an_answer_that_contradicts_itself_is_the_models_fault() {
    let fake = fake();
    let client = client(&fake);
    for step in [
        Step::ZeroBytes,
        Step::Bytes(7),
        Step::Bytes(12),
        Step::NoOutputs,
    ] {
        fake.push("m", [step.clone()]);
        let answer = infer(&client, MS * 20).await;
        let wrong = matches!(
            answer,
            Err(InferError::Model {
                fault: ModelFault::WrongOutput,
                ..
            })
        );
        assert!(wrong, "{step:?}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn versions_that_are_gone_and_models_that_load() {
    let fake = fake();
    let client = client(&fake);
    let old = InferRequest {
        version: Some(Arc::from("7")),
        ..request()
    };
    let answer = client
        .infer(old, Instant::now() + MS * 20)
        .await
        .expect_err("no such version");
    assert!(answer.is_version_gone() && answer.is_not_ready());
    fake.set_ready("m", false);
    let answer = infer(&client, MS * 20).await.expect_err("it is loading");
    assert!(answer.is_not_ready() && !answer.is_version_gone());
    let unknown = InferRequest {
        model: Arc::from("nope"),
        ..request()
    };
    let answer = client
        .infer(unknown, Instant::now() + MS * 20)
        .await
        .expect_err("unknown");
    assert!(matches!(
        answer,
        InferError::Model {
            fault: ModelFault::Unknown,
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn control_questions_keep_their_deadline_and_are_bounded() {
    let fake = fake();
    let client = client(&fake);
    let described = client
        .describe("m", Instant::now() + MS * 50)
        .await
        .expect("described");
    assert_eq!(described.versions, ["1"]);
    assert_eq!(described.inputs[0].shape, [-1, 2]);
    assert_eq!(described.config.max_batch_size, 64);
    let unknown = client.describe("nope", Instant::now() + MS * 50).await;
    assert!(
        matches!(unknown, Err(ControlError::NotFound { .. })),
        "{unknown:?}"
    );
    fake.freeze();
    for _ in 0..8 {
        let answer = client.server_live(Instant::now() + MS * 20).await;
        assert_eq!(answer, Err(ControlError::Deadline));
    }
    let ninth = client.server_live(Instant::now() + MS * 20).await;
    assert!(
        matches!(ninth, Err(ControlError::Unreachable { .. })),
        "{ninth:?}"
    );
    fake.thaw();
    sleep(MS * 20).await;
    assert_eq!(client.server_live(Instant::now() + MS * 20).await, Ok(true));
}
