//! Loading and unloading over HTTP, versions that retire, and `config.pbtxt` as Triton parses it.

use std::{fs, path::Path, sync::Arc};

use testkit::Triton;
use tokio::time::sleep;
use triton_client::{
    Control, ControlError, EndpointSet, InferError, InferRequest, ModelConfig, ModelFault,
};

use crate::client::{MS, ask, client, mlp, repository, slow, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repository_and_lifecycle() {
    let repository = repository(&["mlp", "slow", "chain"]);
    let explicit = ["--model-control-mode=explicit", "--load-model=mlp"];
    let triton = Triton::start_with(repository.path(), &explicit);
    let control = Control::new(&triton.http_url).expect("a URL");
    let client = client(&triton);

    loading_and_unloading(&control, &client).await;
    a_version_retires(&control, &client, repository.path()).await;
    pbtxt_as_triton_parses_it(&control, repository.path()).await;
}

async fn loading_and_unloading(control: &Control, client: &EndpointSet) {
    assert_eq!(control.server_ready(soon()).await, Ok(true));
    assert_eq!(control.model_ready("mlp", soon()).await, Ok(true));
    assert_eq!(control.model_ready("slow", soon()).await, Ok(false));
    let answer = ask(client, slow(1.0)).await;
    assert!(
        matches!(
            answer,
            Err(InferError::Model {
                fault: ModelFault::Unknown,
                ..
            })
        ),
        "{answer:?}"
    );

    control
        .load("chain", soon())
        .await
        .expect("an ensemble brings its steps");
    ask(client, slow(1.0)).await.expect("a step is a model");
    let index = control.repository_index(soon()).await.expect("an index");
    let states: Vec<_> = index
        .iter()
        .map(|entry| (&*entry.name, &*entry.state))
        .collect();
    assert_eq!(
        states,
        [("chain", "READY"), ("mlp", "READY"), ("slow", "READY")]
    );

    control.unload("slow", soon()).await.expect("unloaded");
    let message = "Request for unknown model: 'slow' has no available versions".to_owned();
    let gone = Err(InferError::Model {
        fault: ModelFault::NotReady,
        message,
    });
    while ask(client, slow(1.0)).await != gone {
        sleep(MS * 20).await; // it still answers until it is unloaded
    }
    loop {
        let index = control.repository_index(soon()).await.expect("an index");
        let entry = index
            .iter()
            .find(|entry| entry.name == "slow")
            .expect("it is still listed");
        if entry.state == "UNAVAILABLE" {
            assert_eq!(entry.reason, "unloaded");
            break;
        }
        assert_eq!(entry.state, "UNLOADING");
        sleep(MS * 20).await;
    }
    assert_eq!(client.model_ready("slow", None, soon()).await, Ok(false));

    let unknown = control.load("nope", soon()).await;
    assert!(
        matches!(unknown, Err(ControlError::Refused { .. })),
        "{unknown:?}"
    );
}

/// With the default policy only the newest version is served. The old one serves until then.
async fn a_version_retires(control: &Control, client: &EndpointSet, repository: &Path) {
    let first = InferRequest {
        version: Some(Arc::from("1")),
        ..mlp()
    };
    ask(client, first.clone())
        .await
        .expect("version 1 is served");
    let (old, new) = (repository.join("mlp/1/model.py"), repository.join("mlp/2"));
    fs::create_dir(&new)
        .and_then(|()| fs::copy(old, new.join("model.py")))
        .expect("a version 2");
    control.load("mlp", soon()).await.expect("loaded anew");
    let answer = ask(client, mlp()).await.expect("version 2 answers");
    assert_eq!(&*answer.model_version, "2");
    let answer = loop {
        match ask(client, first.clone()).await {
            Ok(_) => sleep(MS * 20).await, // it is on its way out
            Err(error) => break error,
        }
    };
    assert!(answer.is_version_gone(), "{answer:?}");
    let InferError::Model { message, .. } = answer else {
        unreachable!("just checked")
    };
    assert!(
        message.ends_with("'mlp' version 1 is not at ready state"),
        "{message}"
    );
    assert_eq!(
        client
            .describe("mlp", soon())
            .await
            .expect("described")
            .versions,
        ["2"]
    );
}

/// Texts on which a reader may be too strict or too lax; Triton is asked about each of them.
const TEXTS: [&str; 41] = [
    r#"backend: "python""#,
    r#"backend: 'python'"#,
    r#"backend: "pyt" "hon""#,
    r#"backend: "python"; max_batch_size: 1,"#,
    r#"backend: "python" max_batch_size: 0x10"#,
    r#"backend: "python" max_batch_size: "1""#,
    r#"backend: "python" max_batch_size: 1.0"#,
    r#"backend: "python" max_batch_size: 99999999999"#,
    r#"backend: "python" backend: "python""#,
    r#"backend: "python" nonsense: 1"#,
    r#"backend "python""#,
    "backend: \"python\" # comment\n# another",
    r#"backend: "python" input [ { name: "x" data_type: TYPE_FP32 dims: [ 1 ] } ]"#,
    r#"backend: "python" input: [ { name: "x" data_type: TYPE_FP32 dims: 1 } ]"#,
    r#"backend: "python" input < name: "x" data_type: TYPE_FP32 dims: 1 >"#,
    r#"backend: "python" input { name: "x" data_type: 11 dims: [1] }"#,
    r#"backend: "python" input { name: "x" data_type: TYPE_FLOAT dims: [1] }"#,
    r#"backend: "python" input [ { name: "x" data_type: TYPE_FP32 dims [ 1 ] } ]"#,
    r#"backend: "python" input [ { name: "x" data_type: TYPE_FP32 dims: [ 1 ] }, ]"#,
    r#"backend: "python" input [ ]"#,
    r#"backend: "python" dynamic_batching { } dynamic_batching { }"#,
    r#"backend: "python" dynamic_batching { } sequence_batching { }"#,
    r#"backend: "python" max_batch_size: 8 dynamic_batching { preferred_batch_size: [ 4, 8 ] }"#,
    r#"backend: "python" parameters: { key: "a" value: { string_value: "b" } }"#,
    r#"backend: "python" parameters { key: "a" value: "b" }"#,
    r#"backend: "python" parameters { key "a" value { string_value: "b" } }"#,
    r#"backend: "python" parameters [ { key: "a" value { string_value: "b" } } ]"#,
    r#"backend: "python" parameters { key: "a\x41\n\'" value { string_value: "\303\251" } }"#,
    "backend: \"pyt\nhon\"",
    r#"backend: "python" response_cache { enable: True }"#,
    r#"backend: "python" response_cache { enable: 0 }"#,
    r#"backend: "python" response_cache { enable: yes }"#,
    r#"backend: "python" input { name: "x" data_type: TYPE_FP32 dims: [ - 1 ] }"#,
    r#"backend: "python" input { name: "x" data_type: type_fp32 dims: [ 1 ] }"#,
    r#"backend: "python" instance_group [ { kind: KIND_CPU count: 1 } ] instance_group { }"#,
    r#"backend: "python" version_policy: { latest: { num_versions: 1 } }"#,
    r#"backend: "python" version_policy { latest { num_versions: -1 } }"#,
    r#"backend: "python" { }"#,
    r#"backend: "python" }"#,
    r#"backend: "python" input { name: "x""#,
    r#"backend: "python" [inference.nothing]: 1"#,
];

async fn pbtxt_as_triton_parses_it(control: &Control, repository: &Path) {
    let folder = repository.join("parsed");
    fs::create_dir(&folder).expect("a folder");
    for text in TEXTS {
        fs::write(folder.join("config.pbtxt"), text).expect("a configuration");
        // Without a version folder the load fails in any case: how, is the question.
        let refusal = control
            .load("parsed", soon())
            .await
            .expect_err("it has no version");
        let ours = ModelConfig::parse_pbtxt(text);
        let theirs = refusal.to_string();
        // Triton says only in its log what is wrong with a text.
        let parsed = theirs.contains("at least one version must be available");
        assert_eq!(
            ours.is_ok(),
            parsed,
            "{text}\nours: {ours:?}\ntheirs: {theirs}"
        );
    }
}
