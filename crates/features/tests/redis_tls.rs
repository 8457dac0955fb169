//! The store on a real Redis with TLS, whose certificate is of a private authority.
//!
//! Which authorities a process trusts is said by its environment, so the test runs itself again in
//! a process that has `SSL_CERT_FILE`.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::Bench;
use features::{Store, StoreOutcome};
use testkit::Redis;

const URL: &str = "FEATURES_TEST_TLS_URL";

#[test]
fn a_private_authority_is_trusted_by_ssl_cert_file() {
    let redis = Redis::start_tls();
    let run = |authority: &str| {
        let this = std::env::current_exe().unwrap();
        let output = Command::new(this)
            .args([
                "--exact",
                "within_the_environment",
                "--ignored",
                "--nocapture",
            ])
            .env(URL, redis.url())
            .env("SSL_CERT_FILE", authority)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let authority = redis.certificate_authority().unwrap().to_str().unwrap();
    let (trusted, output) = run(authority);
    assert!(trusted, "{output}");
    assert!(output.contains("1 passed"), "{output}");

    // Trusting somebody else, it must refuse.
    let other = Redis::start_tls();
    let (trusted, output) = run(other.certificate_authority().unwrap().to_str().unwrap());
    assert!(!trusted && output.contains("certificate"), "{output}");
}

#[tokio::test]
async fn a_server_may_have_an_authority_of_its_own() {
    let redis = Redis::start_tls();
    let trusting = |file: &Path| format!("{}?ca={}", redis.url(), file.display());
    let own = redis.certificate_authority().unwrap();
    let bench = Bench::new(&trusting(own));
    bench
        .store
        .ping()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    bench.fill(1).await;

    let other = Redis::start_tls();
    let other = Store::open(&trusting(other.certificate_authority().unwrap())).unwrap();
    let refused = other.ping().await.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
    let nowhere = Store::open(&trusting(Path::new("/nowhere.pem"))).unwrap_err();
    assert!(nowhere.to_string().contains("/nowhere.pem"), "{nowhere}");
}

#[tokio::test]
#[ignore = "run by the test above, in its own environment"]
async fn within_the_environment() {
    let bench = Bench::new(&std::env::var(URL).unwrap());
    bench
        .store
        .ping()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    bench.fill(3).await;
    assert_eq!(
        bench.check(1, 2, Duration::from_secs(5)).await,
        StoreOutcome::Answered
    );
    assert!(
        !bench
            .read(1, 1, Duration::from_secs(5))
            .await
            .view_missing("card")
    );
}
