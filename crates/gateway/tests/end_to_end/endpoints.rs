//! The operator's `/admin/endpoints`: what it shows, and endpoints that come and go under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use testkit::Triton;
use tokio::{task::JoinHandle, time::interval};

use crate::{
    shared,
    support::{
        ask::{Answer, http1, turn},
        canary::Canary,
        eventually, files,
        gateway::{Gateway, Setup},
    },
};

const ENDPOINTS: &str = "/admin/endpoints";
/// 100 requests a second.
const GAP: Duration = Duration::from_millis(10);
const BUDGET_US: u64 = 90_000;

/// What the admin port answers about the endpoint of that URL.
async fn about(gateway: &Gateway, method: &str, url: &str) -> Answer {
    let path = format!("{ENDPOINTS}?url={url}");
    gateway.admin_request(method, &path).await
}

/// Every endpoint that is given calls: its name, and what is said of it.
async fn endpoints(gateway: &Gateway) -> Vec<(String, Value)> {
    let listed = gateway.admin(ENDPOINTS).await.json();
    let listed = listed["endpoints"].as_array().unwrap().iter();
    let named = listed.map(|state| {
        (
            state["endpoint"].as_str().unwrap().to_owned(),
            state.clone(),
        )
    });
    named.collect()
}

async fn names(gateway: &Gateway) -> Vec<String> {
    let endpoints = endpoints(gateway).await.into_iter();
    endpoints.map(|(name, _)| name).collect()
}

/// Decisions that are asked for all the time, until they are wanted.
struct Load {
    enough: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Value>>,
    canary: Canary,
}

impl Load {
    fn start(gateway: &Arc<Gateway>) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let question = files::with_budget(files::payment(), BUDGET_US as f64 / 1e3).to_string();
        let (gateway, until) = (Arc::clone(gateway), Arc::clone(&enough));
        let asking = tokio::spawn(async move {
            let (client, mut ticks) = (http1(), interval(GAP));
            let mut asked = tokio::task::JoinSet::new();
            while !until.load(Ordering::Relaxed) {
                ticks.tick().await;
                let (gateway, client) = (Arc::clone(&gateway), client.clone());
                let question = question.clone();
                let ask = async move { gateway.post_with(&client, &[], question).await.decision() };
                asked.spawn(ask);
            }
            asked.join_all().await
        });
        Self {
            enough,
            asking,
            canary: Canary::start(),
        }
    }

    /// Ends it; every decision was in time and, on a free machine, by the primary.
    async fn assert_nothing_was_lost(self) {
        self.enough.store(true, Ordering::Relaxed);
        let decisions = self.asking.await.unwrap();
        assert!(decisions.len() > 10, "{}", decisions.len());
        for decision in &decisions {
            self.canary.assert_in_time(decision, BUDGET_US);
            let skipped = decision["skipped"].to_string();
            assert!(!skipped.contains("error"), "{decision}");
            if self.canary.is_machine_free() {
                assert_eq!(decision["tier"], "primary", "{decision}");
            }
        }
    }
}

/// Waits until an endpoint has answered as many calls more.
async fn until_it_answers(triton: &Triton, calls: u64) {
    let answered = async || {
        let url = format!("{}/v2/models/fraud_primary/stats", triton.http_url);
        let stats = crate::support::ask::get(&url).await?.json();
        stats["model_stats"][0]["inference_stats"]["success"]["count"].as_u64()
    };
    let before = answered().await.unwrap();
    eventually("it is given calls", async || {
        (answered().await? >= before + calls).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_come_and_go_and_fail_while_decisions_are_made() {
    let first = shared::triton();
    let _turn = turn().lock().await;
    let first = first.lock().await;
    let flags = [
        "--model-control-mode=explicit",
        "--load-model=fraud_primary",
    ];
    let mut second = Triton::start_with(&files::root("model_repository"), &flags);
    let setup = Setup::new().flag("triton", &first.grpc_url);
    setup.load_examples().await;
    let gateway = Arc::new(setup.start().await);
    gateway.until_primary().await;

    // One more.
    let load = Load::start(&gateway);
    assert_eq!(about(&gateway, "POST", &second.grpc_url).await.status, 201);
    until_it_answers(&second, 20).await;
    load.assert_nothing_was_lost().await;

    // The same one, however it is written.
    let address = second.grpc_url.strip_prefix("http://").unwrap();
    for url in [&second.grpc_url, address, &format!("grpc://{address}/")] {
        let answer = about(&gateway, "POST", url).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let shown = answer.json();
        assert_eq!(shown["endpoints"].as_array().unwrap().len(), 2, "{shown}");
    }
    let both = [first.grpc_url.clone(), second.grpc_url.clone()];
    assert_eq!(names(&gateway).await, both);

    // One fewer.
    let load = Load::start(&gateway);
    until_it_answers(&first, 5).await;
    let shown = about(&gateway, "DELETE", &first.grpc_url).await.json();
    assert_eq!(
        shown["endpoints"][0]["endpoint"], *second.grpc_url,
        "{shown}"
    );
    assert_eq!(shown["withdrawn"], serde_json::json!([]));
    until_it_answers(&second, 20).await;
    load.assert_nothing_was_lost().await;
    let again = about(&gateway, "DELETE", &first.grpc_url).await;
    assert_eq!(again.status, 404);
    for words in [&*first.grpc_url, "there are:", &second.grpc_url] {
        assert!(again.text().contains(words), "{again:?}");
    }

    // One dies: it is shown with what happened, and the other answers.
    assert_eq!(about(&gateway, "POST", &first.grpc_url).await.status, 201);
    second.kill9();
    let dead = eventually("the dead one's breaker is open", async || {
        gateway.decide(&files::payment()).await;
        let mut states = endpoints(&gateway).await.into_iter();
        let (_, state) = states.find(|(name, _)| *name == second.grpc_url)?;
        (state["state"] == "open").then_some(state)
    })
    .await;
    assert!(!dead["why"].as_str().unwrap().is_empty(), "{dead}");
    assert!(dead["ejections"].as_u64().unwrap() >= 1, "{dead}");
    let states = endpoints(&gateway).await;
    let (_, alive) = states
        .iter()
        .find(|(name, _)| *name == first.grpc_url)
        .unwrap();
    assert_eq!(alive["state"], "closed", "{alive}");
    assert!(alive["why"].is_null(), "{alive}");
    gateway.until_primary().await;

    // Who is dead can be taken away as well.
    assert_eq!(
        about(&gateway, "DELETE", &second.grpc_url).await.status,
        200
    );
    assert_eq!(names(&gateway).await, [&*first.grpc_url]);
    gateway.until_primary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_the_last_word_over_a_name() {
    let _turn = turn().lock().await;
    let listed = "http://127.0.0.1:2";
    let triton = format!("dns://localhost:1,{listed}");
    let gateway = Setup::new().flag("triton", triton).start().await;
    let url = "http://127.0.0.1:1";
    eventually("the name is resolved", async || {
        let names = names(&gateway).await;
        names.contains(&url.to_owned()).then_some(())
    })
    .await;
    let shown = about(&gateway, "DELETE", url).await.json();
    assert_eq!(shown["withdrawn"], serde_json::json!([url]), "{shown}");
    assert!(!names(&gateway).await.contains(&url.to_owned()));
    assert_eq!(about(&gateway, "DELETE", url).await.status, 404);
    let answer = about(&gateway, "POST", url).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["withdrawn"], serde_json::json!([]));
    assert!(names(&gateway).await.contains(&url.to_owned()));
    assert!(names(&gateway).await.contains(&listed.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_answered_in_words_and_changes_nothing() {
    let _turn = turn().lock().await;
    let url = "http://127.0.0.1:1";
    let gateway = Setup::new().flag("triton", url).start().await;
    let expected = "expected is one endpoint's URL, as in /admin/endpoints?url=http://";
    for method in ["POST", "DELETE"] {
        for (query, words) in [
            ("", "`url` is missing"),
            ("?", "`url` is missing"),
            ("?url", "`url` is empty"),
            ("?url=", "`url` is empty"),
            ("?url=%20", "`url` is empty"),
            ("?url=a:1&url=b:1", "`url` is given 2 times"),
            ("?uri=a:1", "`uri` is not a parameter"),
            ("?url=a:1&force=true", "`force` is not a parameter"),
        ] {
            let answer = gateway
                .admin_request(method, &format!("{ENDPOINTS}{query}"))
                .await;
            assert_eq!(answer.status, 400, "{method} {query}: {answer:?}");
            for words in [words, expected] {
                assert!(
                    answer.text().contains(words),
                    "{method} {query}: {answer:?}"
                );
            }
        }
    }
    for (bad, words) in [
        ("triton", "names no port"),
        ("http://triton:66000", "1 to 65535"),
        ("http://user:secret@triton:8001", "a login"),
        ("https://triton:8001", "must be http, not `https`"),
        ("http://triton:8001/v2", "it has a path"),
        ("dns://triton:8001", "names are given at the start"),
        ("unix:triton.sock", "absolute path"),
    ] {
        let answer = about(&gateway, "POST", bad).await;
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
        let said = answer.text();
        assert!(
            said.contains("is not the URL of a Triton endpoint"),
            "{said}"
        );
        assert!(said.contains(words) && !said.contains("secret"), "{said}");
        assert_eq!(about(&gateway, "DELETE", bad).await.status, 404, "{bad}");
    }
    let answer = about(&gateway, "PUT", url).await;
    assert_eq!(answer.status, 405);
    assert!(answer.text().contains("not served with PUT"), "{answer:?}");
    for method in ["GET", "POST", "DELETE"] {
        assert!(answer.header("allow").contains(method), "{answer:?}");
    }
    let answer = gateway.admin("/admin/endpoint").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("/admin/endpoints"), "{answer:?}");
    assert_eq!(names(&gateway).await, [url]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_triton_there_is_none_to_add_to() {
    let _turn = turn().lock().await;
    let gateway = Setup::new().start().await;
    let url = "http://127.0.0.1:1";
    let added = about(&gateway, "POST", url).await;
    assert_eq!(added.status, 409);
    assert!(added.text().contains("--triton"), "{added:?}");
    let removed = about(&gateway, "DELETE", url).await;
    assert_eq!(removed.status, 404);
    assert!(removed.text().contains("there is none"), "{removed:?}");
    assert!(names(&gateway).await.is_empty());
}
