//! What comes back: tensors of every type, descriptions, and errors word for word.

use std::sync::Arc;

use testkit::Triton;
use triton_client::{Dtype, EndpointOptions, EndpointSet, InferError, InferRequest, ModelFault};

use crate::client::{
    PATIENCE, ask, client, client_with, fp32, input, mlp, repository, request, slow, soon,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers() {
    let models = [
        "mlp",
        "types",
        "slow",
        "queued",
        "failing",
        "decoupled",
        "chain",
    ];
    let repository = repository(&models);
    let triton = Triton::start(repository.path());
    let client = client(&triton);

    an_answer_is_checked_and_complete(&client).await;
    every_type_comes_back_bit_for_bit(&client).await;
    large_answers_pass_up_to_the_limit(&triton, &client).await;
    models_describe_themselves(&client).await;
    the_server_says_what_it_is(&client).await;
    callers_faults(&client).await;
    missing_models(&client).await;
    a_full_queue_is_overload(&client).await;
    failing_models(&client).await;
}

async fn an_answer_is_checked_and_complete(client: &EndpointSet) {
    let rows: Vec<f32> = (0..80_u8).map(f32::from).collect();
    let two = request("mlp", vec![fp32("x", &[2, 40], &rows)]);
    let answer = ask(client, two).await.expect("an answer");
    let y = answer.output("y").expect("the output");
    assert_eq!((y.dtype, &*y.shape), (Dtype::Fp32, [2, 1].as_slice()));
    assert_eq!(
        &y.data[..],
        [780.0_f32.to_le_bytes(), 2380.0_f32.to_le_bytes()].concat()
    );
    assert_eq!(&*answer.model_version, "1");
}

async fn every_type_comes_back_bit_for_bit(client: &EndpointSet) {
    let strings = [&5_u32.to_le_bytes()[..], b"hello", &0_u32.to_le_bytes()].concat();
    let inputs = vec![
        input("bools", Dtype::Bool, &[2], vec![1_u8, 0]),
        input("bytes", Dtype::Uint8, &[3], vec![0_u8, 127, 255]),
        input("ints", Dtype::Int32, &[1], i32::MIN.to_le_bytes().to_vec()),
        input("longs", Dtype::Int64, &[1], i64::MAX.to_le_bytes().to_vec()),
        input("halves", Dtype::Fp16, &[2], vec![0, 0x3c, 0, 0xfc]),
        input(
            "floats",
            Dtype::Fp32,
            &[1],
            f32::MIN_POSITIVE.to_le_bytes().to_vec(),
        ),
        input(
            "doubles",
            Dtype::Fp64,
            &[1],
            f64::NEG_INFINITY.to_le_bytes().to_vec(),
        ),
        input("strings", Dtype::Bytes, &[2], strings),
    ];
    let answer = ask(client, request("types", inputs.clone()))
        .await
        .expect("an answer");
    assert_eq!(answer.outputs.len(), inputs.len());
    for sent in inputs {
        let name = format!("{}_out", sent.name);
        let back = answer.output(&name).expect("every input comes back");
        assert_eq!(
            (back.dtype, &*back.shape, &back.data),
            (sent.dtype, &*sent.shape, &sent.data)
        );
    }
    let none = request("types", vec![input("bytes", Dtype::Uint8, &[0], vec![])]);
    let answer = ask(client, none)
        .await
        .expect("an empty tensor is a tensor");
    assert_eq!(&*answer.outputs[0].shape, [0]);
}

/// tonic's own default would refuse more than 4 MiB.
async fn large_answers_pass_up_to_the_limit(triton: &Triton, client: &EndpointSet) {
    let elements = 6 << 20;
    let large = || {
        request(
            "types",
            vec![input("bytes", Dtype::Uint8, &[elements], vec![7; 6 << 20])],
        )
    };
    let answer = ask(client, large()).await.expect("6 MiB pass");
    assert_eq!(answer.outputs[0].data.len(), 6 << 20);

    let limit = |max_message_bytes| {
        let options = EndpointOptions {
            max_message_bytes,
            slow_call: PATIENCE,
            ..Default::default()
        };
        client_with(triton, options)
    };
    let refused = ask(&limit((6 << 20) - 1), large()).await;
    assert!(
        matches!(refused, Err(InferError::Caller { .. })),
        "{refused:?}"
    );
    let refused = ask(&limit(6 << 20), large()).await;
    let Err(InferError::Model {
        fault: ModelFault::WrongOutput,
        message,
    }) = &refused
    else {
        panic!("{refused:?}");
    };
    assert!(message.contains("message length too large"), "{message}");
    ask(client, slow(1.0)).await.expect("nobody else is harmed");
}

async fn models_describe_themselves(client: &EndpointSet) {
    let mlp = client.describe("mlp", soon()).await.expect("described");
    assert_eq!(mlp.versions, ["1"]);
    assert_eq!(
        (mlp.inputs[0].dtype, mlp.inputs[0].shape.as_slice()),
        (Dtype::Fp32, [-1, 40].as_slice())
    );
    assert_eq!(mlp.config.name, "mlp");
    assert_eq!(mlp.config.max_batch_size, 64);
    let features = mlp.config.feature_list("x").expect("it names its features");
    assert_eq!(features, ["request.amount", "card.txn_count_24h"]);
    assert!(
        mlp.config
            .dynamic_batching
            .is_some_and(|batching| batching.default_queue_policy.is_none())
    );

    let chain = client
        .describe("chain", soon())
        .await
        .expect("an ensemble is described");
    assert!(chain.config.is_ensemble());
    let steps: Vec<_> = chain
        .config
        .ensemble_steps
        .iter()
        .map(|step| &*step.model)
        .collect();
    assert_eq!(steps, ["mlp", "slow"]);
    assert_eq!(chain.outputs[0].shape, [-1, 1]);
    let through = request("chain", vec![fp32("x", &[1, 40], &[0.25; 40])]);
    let answer = ask(client, through).await.expect("an ensemble answers");
    assert_eq!(&answer.outputs[0].data[..], 10.0_f32.to_le_bytes());

    let types = client.describe("types", soon()).await.expect("described");
    assert_eq!((types.inputs.len(), types.config.max_batch_size), (8, 0));
    assert!(types.config.inputs.iter().all(|input| input.optional));
    assert!(
        client
            .describe("decoupled", soon())
            .await
            .expect("described")
            .config
            .decoupled
    );
    let unknown = client.describe("nope", soon()).await;
    assert!(
        matches!(unknown, Err(triton_client::ControlError::NotFound { .. })),
        "{unknown:?}"
    );
}

async fn the_server_says_what_it_is(client: &EndpointSet) {
    let metadata = client.server_metadata(soon()).await.expect("metadata");
    assert_eq!(
        (metadata.name.as_str(), metadata.version.as_str()),
        ("triton", "2.51.0")
    );
    assert!(!metadata.survives_cancellation());
    assert_eq!(client.server_live(soon()).await, Ok(true));
    assert_eq!(client.model_ready("mlp", None, soon()).await, Ok(true));
    assert_eq!(
        client.model_ready("mlp", Some("7"), soon()).await,
        Ok(false)
    );
    assert_eq!(client.model_ready("nope", None, soon()).await, Ok(false));
    let statistics = client.statistics("mlp", soon()).await.expect("statistics");
    assert!(statistics[0].inference_count >= statistics[0].execution_count);
    assert!(statistics[0].success.count > 0 && !statistics[0].success.total.is_zero());
}

/// Triton's words for what is wrong with a request, each of them the caller's fault.
async fn callers_faults(client: &EndpointSet) {
    let x = |shape: &[i64], values: usize| vec![fp32("x", shape, &vec![0.0; values])];
    let unknown_output = InferRequest {
        outputs: vec![Arc::from("zz")],
        ..mlp()
    };
    let strings = |data: &[u8]| vec![input("strings", Dtype::Bytes, &[1], data.to_vec())];
    let doubles = input("x", Dtype::Fp64, &[1, 40], vec![0; 320]);
    for (request, words) in [
        (
            request("mlp", x(&[1, 39], 39)),
            "unexpected shape for input 'x' for model 'mlp'. Expected [-1,40], got [1,39].",
        ),
        (
            request("mlp", x(&[40], 40)),
            "unexpected shape for input 'x' for model 'mlp'.",
        ),
        (
            request("mlp", x(&[65, 40], 2600)),
            "inference request batch-size must be <= 64 for 'mlp'",
        ),
        (
            request("mlp", vec![doubles]),
            "inference input 'x' data-type is 'FP64', but model 'mlp' expects 'FP32'",
        ),
        (
            request("mlp", x(&[1, 40], 1)),
            "input byte size mismatch for input 'x' for model 'mlp'. Expected 160, got 4",
        ),
        (
            request("mlp", x(&[0, 40], 0)),
            "input byte size mismatch for input 'x' for model 'mlp'.",
        ),
        (
            request("mlp", vec![]),
            "expected 1 inputs but got 0 inputs for model 'mlp'.",
        ),
        (
            unknown_output,
            "unexpected inference output 'zz' for model 'mlp'",
        ),
        (
            request("types", strings(&[9, 0, 0, 0, 1])),
            "incomplete string data for inference input",
        ),
        (request("decoupled", x(&[1], 1)), "decoupled"),
    ] {
        let answer = ask(client, request).await;
        let Err(InferError::Caller { message }) = &answer else {
            panic!("{words}: {answer:?}");
        };
        assert!(message.contains(words), "{message}");
    }
}

async fn missing_models(client: &EndpointSet) {
    let answer = ask(client, request("nope", vec![])).await;
    let message = "Request for unknown model: 'nope' is not found".to_owned();
    assert_eq!(
        answer,
        Err(InferError::Model {
            fault: ModelFault::Unknown,
            message
        })
    );
    let answer = ask(
        client,
        InferRequest {
            version: Some(Arc::from("7")),
            ..mlp()
        },
    )
    .await;
    let message = "Request for unknown model: 'mlp' version 7 is not found".to_owned();
    assert_eq!(
        answer,
        Err(InferError::Model {
            fault: ModelFault::VersionGone,
            message
        })
    );
}

async fn a_full_queue_is_overload(client: &EndpointSet) {
    let queued = || {
        let client = client.clone();
        let request = request("queued", vec![fp32("ms", &[1, 1], &[300.0])]);
        tokio::spawn(async move { ask(&client, request).await })
    };
    let calls: Vec<_> = (0..8).map(|_| queued()).collect();
    let mut overloaded = 0;
    for call in calls {
        match call.await.expect("it ran") {
            Err(InferError::Overloaded) => overloaded += 1,
            answer => drop(answer.expect("an answer")),
        }
    }
    assert!(overloaded > 0, "the queue holds one");
}

/// The last one: it leaves `failing` without a process.
async fn failing_models(client: &EndpointSet) {
    let failing = |how: f32| request("failing", vec![fp32("how", &[1, 1], &[how])]);
    let answer = ask(client, failing(1.0)).await;
    let Err(InferError::Model {
        fault: ModelFault::Failed,
        message,
    }) = &answer
    else {
        panic!("{answer:?}");
    };
    assert!(
        message.starts_with("Failed to process the request(s) for model 'failing_0"),
        "{message}"
    );
    assert!(message.contains("this model fails on purpose"), "{message}");

    let answer = ask(client, failing(2.0)).await;
    assert!(answer.is_err(), "{answer:?}");
    let answer = ask(client, failing(1.0)).await;
    let Err(InferError::Server { message }) = &answer else {
        panic!("{answer:?}");
    };
    assert!(
        message.contains("Stub process 'failing_0") && message.contains("is not healthy"),
        "{message}"
    );
    assert_eq!(
        client.model_ready("failing", None, soon()).await,
        Ok(true),
        "and it says it is ready"
    );
    ask(client, slow(1.0)).await.expect("the others go on");
}
