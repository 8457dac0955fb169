//! Models that come, change and do not fit: followed by themselves, and explained.

use std::{fs, path::Path};

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;
use testkit::Triton;

use crate::support::{
    ask::{http1, skipped, try_post, turn},
    eventually, files,
    gateway::{Gateway, Setup},
};

const MODEL: &str = "fraud_primary";

/// Asks Triton to load the model as its folder is now.
async fn load(client: &Client, triton: &Triton) {
    let url = format!("{}/v2/repository/models/{MODEL}/load", triton.http_url);
    let answer = try_post(client, &url, &[], "{}").await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// What the admin port says of the primary tier.
async fn primary(gateway: &Gateway) -> Value {
    gateway.admin("/admin/decisions").await.json()["decisions"][0]["tiers"][0].clone()
}

/// A copy of the repository; Triton keeps only the newest version unless `all` of them stay.
fn repository(all: bool) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files::copy(&files::root("model_repository"), folder.path());
    if all {
        let config = folder.path().join(MODEL).join("config.pbtxt");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(config, format!("{text}\nversion_policy {{ all {{ }} }}\n")).unwrap();
    }
    folder
}

fn add_version(repository: &Path, version: u32) {
    fs::create_dir(repository.join(MODEL).join(version.to_string())).unwrap();
}

async fn until_version(gateway: &Gateway, version: &str) {
    eventually("the primary answers with that version", async || {
        let decision = gateway.decide(&files::payment()).await;
        (decision["tier"] == "primary" && decision["model_version"] == version).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_followed_as_they_come_change_and_stop_fitting() {
    let _turn = turn().lock().await;
    let client = http1();
    let repository = repository(true);
    let triton = Triton::start_with(repository.path(), &["--model-control-mode=explicit"]);
    let gateway = Setup::new().flag("triton", &triton.grpc_url).start().await;

    // Triton runs and serves nothing.
    let decision = gateway.decide(&files::payment()).await;
    assert_eq!(skipped(&decision), ["primary:not_ready"]);
    eventually(
        "the admin port says that the model is not served",
        async || {
            let why = primary(&gateway).await["why"].clone();
            why.as_str()?
                .contains("does not serve `fraud_primary`")
                .then_some(())
        },
    )
    .await;

    // The model comes, then a version of it.
    load(&client, &triton).await;
    until_version(&gateway, "1").await;
    assert_eq!(primary(&gateway).await["ready"], true);
    add_version(repository.path(), 2);
    load(&client, &triton).await;
    until_version(&gateway, "2").await;

    // A version whose feature does not exist is refused, once and with a sentence; the one before
    // is served on.
    let config = repository.path().join(MODEL).join("config.pbtxt");
    files::edit(&config, "card.txn_count_24h", "card.txn_cuont_24h");
    add_version(repository.path(), 3);
    load(&client, &triton).await;
    let refused = eventually("the admin port says which version is refused", async || {
        let tier = primary(&gateway).await;
        assert_eq!(tier["ready"], true, "{tier}");
        tier["refused"].as_str().map(str::to_owned)
    })
    .await;
    for word in ["version 3", "card.txn_cuont_24h"] {
        assert!(refused.contains(word), "{refused}");
    }
    assert_eq!(gateway.log().matches(&refused).count(), 1);
    until_version(&gateway, "2").await;

    // The mended one is taken by itself.
    files::edit(&config, "card.txn_cuont_24h", "card.txn_count_24h");
    add_version(repository.path(), 4);
    load(&client, &triton).await;
    until_version(&gateway, "4").await;
    assert!(primary(&gateway).await["refused"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_never_fitted_is_refused_with_a_sentence() {
    let _turn = turn().lock().await;
    let client = http1();
    let repository = repository(false);
    let config = repository.path().join(MODEL).join("config.pbtxt");
    files::edit(&config, "card.txn_count_24h", "card.txn_cuont_24h");
    let triton = Triton::start_with(repository.path(), &["--model-control-mode=explicit"]);
    load(&client, &triton).await;
    let gateway = Setup::new().flag("triton", &triton.grpc_url).start().await;
    let tier = eventually("the admin port says why", async || {
        let tier = primary(&gateway).await;
        tier["why"]
            .as_str()?
            .contains("card.txn_cuont_24h")
            .then_some(tier)
    })
    .await;
    assert_eq!(tier["ready"], false);
    assert!(
        tier["hint"]
            .as_str()
            .unwrap()
            .contains("card.txn_count_24h"),
        "{tier}"
    );
    let decision = gateway.decide(&files::payment()).await;
    assert_eq!(decision["tier"], "secondary");
    assert_eq!(skipped(&decision), ["primary:not_ready"]);

    files::edit(&config, "card.txn_cuont_24h", "card.txn_count_24h");
    load(&client, &triton).await;
    until_version(&gateway, "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_triton_that_starts_after_the_gateway_is_found() {
    let _turn = turn().lock().await;
    let mut triton = Triton::start_with(
        &files::root("model_repository"),
        &["--model-control-mode=explicit"],
    );
    triton.kill9();
    let gateway = Setup::new().flag("triton", &triton.grpc_url).start().await;
    let decision = gateway.decide(&files::payment()).await;
    assert_eq!(decision["tier"], "secondary");
    assert_eq!(skipped(&decision), ["primary:not_ready"]);
    triton.restart();
    load(&http1(), &triton).await;
    gateway.until_primary().await;
}
