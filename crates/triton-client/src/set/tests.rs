//! What several endpoints say of a model, on a paused clock; and that each is held once.

use std::{collections::BTreeSet, time::Duration};

use fake_triton::{FakeModel, FakeTriton};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    time::{advance, sleep},
};

use super::*;
use crate::{breaker::BreakerState, options::EndpointOptions};

const MS: Duration = Duration::from_millis(1);

fn model(versions: &[&str], features: &str) -> FakeModel {
    let model = FakeModel::new("m").versions(versions);
    model.parameter("gavel.features.x", features)
}

fn fake(versions: &[&str], features: &str) -> FakeTriton {
    let fake = FakeTriton::new().version("2.59.0");
    fake.model(model(versions, features))
}

/// A set of endpoints named `a`, `b`, ….
fn set(fakes: &[&FakeTriton]) -> EndpointSet {
    let mut fakes = ["a", "b", "c"].iter().zip(fakes);
    let (name, first) = fakes.next().expect("an endpoint");
    let connect = first.connector();
    let set = EndpointSet::with_connector(name, move || connect(), EndpointOptions::default());
    for (name, fake) in fakes {
        let connect = fake.connector();
        set.add_with_connector(name, move || connect());
    }
    set
}

async fn describe(set: &EndpointSet) -> Result<ModelDescription, ControlError> {
    set.describe("m", Instant::now() + Duration::from_secs(2))
        .await
}

/// The versions and the feature list that the set agrees on.
async fn agreed(set: &EndpointSet) -> (Vec<String>, String) {
    said(describe(set).await.expect("described"))
}

fn said(description: ModelDescription) -> (Vec<String>, String) {
    let features = description.config.feature_list("x");
    (description.versions, features.expect("a list").concat())
}

fn versions(versions: &[&str], features: &str) -> (Vec<String>, String) {
    let versions = versions.iter().map(|v| (*v).to_owned()).collect();
    (versions, features.to_owned())
}

/// One endpoint behind a pipe on which everything takes a millisecond each way.
fn distant(fake: &FakeTriton) -> EndpointSet {
    let connect = fake.connector();
    let connect = move || {
        let connected = connect();
        async move {
            let (far_out, far_in) = split(connected.await?);
            let (near, relayed) = duplex(1 << 20);
            let (near_out, near_in) = split(relayed);
            tokio::spawn(relay(far_out, near_in));
            tokio::spawn(relay(near_out, far_in));
            Ok(near)
        }
    };
    EndpointSet::with_connector("distant", connect, EndpointOptions::default())
}

async fn relay(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        sleep(MS).await;
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_is_never_described_by_anothers_configuration() {
    let mut seen = BTreeSet::new();
    for quarters in 0..160 {
        let fake = fake(&["1"], "old");
        let set = distant(&fake);
        let described = tokio::spawn(async move { agreed(&set).await });
        sleep(MS * quarters / 4).await;
        fake.put_model(model(&["2"], "new"));
        seen.insert(described.await.expect("it ran"));
    }
    let either = [versions(&["1"], "old"), versions(&["2"], "new")];
    assert_eq!(seen, BTreeSet::from(either));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_never_holds_still_is_given_up() {
    let fake = fake(&["1"], "old");
    let set = distant(&fake);
    let described = tokio::spawn(async move { describe(&set).await });
    let mut version = 1;
    while !described.is_finished() {
        sleep(MS).await;
        version += 1;
        fake.put_model(model(&[&version.to_string()], "new"));
        assert!(version < 200, "it asks and asks");
    }
    let answer = described.await.expect("it ran");
    assert!(
        matches!(answer, Err(ControlError::Malformed { .. })),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_versions_are_those_that_every_endpoint_serves() {
    let (a, b, c) = (
        fake(&["1", "2", "3"], "same"),
        fake(&["2", "10", "1"], "same"),
        fake(&["1", "2"], "same"),
    );
    let set = set(&[&a, &b, &c]);
    assert_eq!(agreed(&set).await, versions(&["1", "2"], "same"));
    let endpoints = set.members.endpoints();
    assert!(
        endpoints
            .iter()
            .all(|endpoint| endpoint.survives_cancellation())
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_version_in_common_the_oldest_stays() {
    let (a, b) = (fake(&["3", "10"], "new"), fake(&["2"], "old"));
    assert_eq!(agreed(&set(&[&a, &b])).await, versions(&["2"], "old"));
    b.put_model(model(&["3", "10"], "new"));
    assert_eq!(agreed(&set(&[&a, &b])).await, versions(&["3", "10"], "new"));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_does_not_answer_is_left_out() {
    let (a, b) = (fake(&["1"], "same"), fake(&["1", "2"], "same"));
    let set = set(&[&a, &b]);
    a.die();
    assert_eq!(agreed(&set).await, versions(&["1", "2"], "same"));
    a.revive();
    assert_eq!(agreed(&set).await, versions(&["1"], "same"));
    a.freeze();
    assert_eq!(agreed(&set).await, versions(&["1", "2"], "same"));
    b.freeze();
    let asked = Instant::now();
    let answer = describe(&set).await;
    assert_eq!(answer, Err(ControlError::Deadline));
    assert!(asked.elapsed() <= MS * 2001, "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_whose_breaker_is_open_is_not_asked_unless_all_are() {
    let (a, b) = (fake(&["1"], "same"), fake(&["1", "2"], "same"));
    let set = set(&[&a, &b]);
    let open = |endpoint: usize| {
        set.members.endpoints()[endpoint].eject("down");
        assert_eq!(set.states()[endpoint].state, BreakerState::Open);
    };
    open(0);
    assert_eq!(agreed(&set).await, versions(&["1", "2"], "same"));
    open(1);
    assert_eq!(agreed(&set).await, versions(&["1"], "same"), "all are open");
    advance(MS * 200).await;
    assert_eq!(
        agreed(&set).await,
        versions(&["1"], "same"),
        "a probe is due"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_without_the_model_is_left_out() {
    let (a, b) = (FakeTriton::new(), fake(&["1"], "same"));
    let set = set(&[&a, &b]);
    assert_eq!(agreed(&set).await, versions(&["1"], "same"));
    b.set_ready("m", false);
    let answer = describe(&set).await;
    assert!(
        matches!(answer, Err(ControlError::NotFound { .. })),
        "{answer:?}"
    );
    b.die();
    let answer = describe(&set).await;
    assert!(
        matches!(answer, Err(ControlError::Unreachable { .. })),
        "the one that is away may serve it still: {answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_contradict_each_other_are_named() {
    let (a, b, c) = (fake(&["1"], "x"), fake(&["1"], "x"), fake(&["1"], "y"));
    let Err(ControlError::Malformed { message }) = describe(&set(&[&a, &b, &c])).await else {
        panic!("it went unnoticed")
    };
    assert!(message.contains("version 1 of `m`"), "{message}");
    assert!(message.contains("`a` and `c`"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn endpoints_may_have_other_devices() {
    let (a, b) = (FakeTriton::new(), FakeTriton::new());
    a.put_model(model(&["1"], "same").instances(1));
    b.put_model(model(&["1"], "same").instances(4));
    assert_eq!(agreed(&set(&[&a, &b])).await, versions(&["1"], "same"));
}

#[test]
fn an_endpoint_is_held_once_however_its_url_is_written() {
    let spellings = [
        "http://triton:8001",
        "triton:8001",
        "http://triton:8001/",
        "grpc://Triton:8001",
    ];
    let urls = spellings.map(str::to_owned);
    let set = EndpointSet::new(&urls, EndpointOptions::default()).expect("good URLs");
    for spelling in spellings {
        assert_eq!(set.add(spelling), Ok(false), "{spelling}");
        let states = set.states();
        assert_eq!(states.len(), 1, "{states:?}");
        assert_eq!(&*states[0].name, "http://triton:8001");
        assert!(set.remove(spelling), "{spelling}");
        assert!(!set.remove("triton:8001"));
        assert_eq!(set.add(spelling), Ok(true), "{spelling}");
    }
}
