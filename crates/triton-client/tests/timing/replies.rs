//! What comes back, and whether it is believed.

use super::*;

#[tokio::test(start_paused = true)]
async fn answers_with_the_rows_that_came() {
    let fake = fake();
    let answer = infer(&client(&fake), MS * 50).await.expect("an answer");
    assert_eq!(&*answer.model_version, "1");
    let y = answer.output("y").expect("the output");
    assert_eq!((y.dtype, &*y.shape), (Dtype::Fp32, [1, 2].as_slice()));
    assert_eq!(
        &y.data[..],
        [3.0_f32.to_le_bytes(), (-4.0_f32).to_le_bytes()].concat()
    );
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
    let ask = async |request: InferRequest| {
        let version = request.version.as_deref();
        let scheduler = client.scheduler(&request.model, version, Batching::none(), "test");
        let answer = scheduler
            .infer(request, 0.0, Instant::now() + MS * 20)
            .await;
        answer.expect_err("it is not served")
    };
    let answer = ask(old).await;
    assert!(answer.is_version_gone() && answer.is_not_ready());
    fake.set_ready("m", false);
    let answer = infer(&client, MS * 20).await.expect_err("it is loading");
    assert!(answer.is_not_ready() && !answer.is_version_gone());
    let unknown = InferRequest {
        model: Arc::from("nope"),
        ..request()
    };
    let answer = ask(unknown).await;
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

/// Nothing is copied on the way: the second output lies right behind the first.
#[tokio::test(start_paused = true)]
async fn outputs_are_slices_of_the_frame() {
    let wide = |_: &ReceivedRequest| {
        let values = [0.5; 4096];
        vec![
            Tensor::fp32("y", &[1, 4096], &values),
            Tensor::fp32("z", &[1, 4096], &values),
        ]
    };
    let fake = FakeTriton::new().model(FakeModel::new("m").answer(wide));
    let all = InferRequest {
        outputs: Vec::new(),
        ..request()
    };
    let answer = client(&fake)
        .scheduler
        .infer(all, 0.0, Instant::now() + MS * 50)
        .await
        .expect("an answer");
    let [y, z] = &answer.outputs[..] else {
        panic!("{} outputs", answer.outputs.len())
    };
    let gap = z
        .data
        .as_ptr()
        .addr()
        .wrapping_sub(y.data.as_ptr().addr() + y.data.len());
    assert!(
        gap < 16,
        "a tag and a length lie between them, not {gap} bytes"
    );
}

#[tokio::test]
async fn the_fake_answers_over_tcp_too() {
    let fake = fake();
    let address = fake.listen().await.expect("a port");
    for url in [
        format!("http://{address}"),
        address.to_string(),
        format!("grpc://{address}/"),
    ] {
        let client = EndpointSet::new(&[url], EndpointOptions::default()).expect("a URL");
        let deadline = Instant::now() + MS * 5000;
        let scheduler = client.scheduler("m", None, Batching::none(), "test");
        let answer = scheduler.infer(request(), 0.0, deadline).await;
        answer.expect("an answer");
    }
}

#[test]
fn urls_that_name_no_endpoint_are_refused_in_words() {
    let refused = |urls: &[&str]| {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        EndpointSet::new(&urls, EndpointOptions::default())
            .expect_err("refused")
            .to_string()
    };
    assert!(refused(&[]).contains("at least one URL"));
    let login = refused(&["http://u:secret@triton:8001"]);
    assert!(
        login.contains("a login") && !login.contains("secret"),
        "{login}"
    );
    for (url, reason) in [
        (
            "https://triton:8001",
            "the scheme must be http, not `https`",
        ),
        ("http://triton", "it names no port"),
        ("http://triton:8001/v2", "it has a path"),
        ("http://tri ton:8001", "invalid"),
        ("", "empty"),
    ] {
        let words = refused(&["http://127.0.0.1:8001", url]);
        assert!(
            words.contains(reason) && words.contains(&format!("`{url}`")),
            "{words}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_finishes_its_calls_and_is_reached_anew() {
    let fake = fake().script("m", [Step::after(MS * 30)]);
    let client = client(&fake);
    let out = tokio::spawn({
        let client = Arc::clone(&client);
        async move { infer(&client, MS * 50).await }
    });
    sleep(MS * 10).await;
    fake.go_away();
    sleep(MS).await;
    infer(&client, MS * 50)
        .await
        .expect("over another connection");
    out.await
        .expect("it ran")
        .expect("it is finished over the old one");
    assert_eq!(fake.connections(), 2);
    for _ in 0..20 {
        fake.go_away();
        sleep(MS).await;
        infer(&client, MS * 50).await.expect("every time");
    }
    assert_eq!(state(&client), BreakerState::Closed);
}
