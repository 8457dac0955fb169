//! Parts that are not there: the next tier answers and the log says what to do.

use crate::support::{
    ask::{skipped, turn},
    files,
    gateway::Setup,
};

#[tokio::test(flavor = "multi_thread")]
async fn without_triton_the_model_in_process_answers() {
    let _turn = turn().lock().await;
    let setup = Setup::new();
    setup.load_examples().await;
    let mut gateway = setup.start().await;
    let decision = gateway.decide(&files::payment()).await;
    assert_eq!(decision["tier"], "secondary");
    assert_eq!(decision["model"], "fraud_secondary");
    assert_eq!(skipped(&decision), ["primary:not_ready"]);
    let decisions = gateway.admin("/admin/decisions").await.json();
    let tier = &decisions["decisions"][0]["tiers"][0];
    assert_eq!(
        (&tier["tier"], &tier["ready"]),
        (&"primary".into(), &false.into())
    );
    assert!(tier["why"].is_string(), "{tier}");
    gateway.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_onnx_runtime_rules_answer_and_the_log_says_what_to_do() {
    let _turn = turn().lock().await;
    let setup = Setup::new();
    let library = setup.folder().join("libonnxruntime.so");
    let gateway = setup.flag("onnxruntime", &library).start().await;
    let decision = gateway.decide(&files::payment()).await;
    assert_eq!(decision["tier"], "rules");
    assert_eq!(decision["model"], "fraud.rules");
    assert_eq!(
        skipped(&decision),
        ["primary:not_ready", "secondary:not_ready"]
    );
    let log = gateway.log();
    assert!(log.contains("scripts/triton.sh fetch"), "{log}");
    assert!(log.contains(library.to_str().unwrap()), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_file_that_is_missing_is_named_and_the_next_tier_answers() {
    let _turn = turn().lock().await;
    let setup = Setup::new().models(|folder| {
        std::fs::remove_file(folder.join("fraud_secondary/1/model.onnx")).unwrap();
    });
    let gateway = setup.start().await;
    let decision = gateway.decide(&files::payment()).await;
    assert_eq!(decision["tier"], "rules");
    let log = gateway.log();
    assert!(
        log.contains("fraud_secondary") && log.contains("model.onnx"),
        "{log}"
    );
}
