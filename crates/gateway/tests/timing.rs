//! Deadlines, slices and fallbacks, exactly: the whole gateway on a paused clock, in front of a
//! scripted Triton that is reached through pipes in memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends here"
)]

use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use fake_triton::{FakeModel, FakeTriton, Step, Tensor};
use gateway::{
    config::Config, diagnostic::Report, ingress::entry::Entry, pipeline::Gateway, serve::Service,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use triton_client::{EndpointOptions, EndpointSet};

const FEATURES: &str = r#"
[entities]
user_id = "string"

[views.user]
entity = "user_id"
ttl = "1d"
[views.user.features]
visits = { dtype = "float32", default = 7.0 }

[derived]
amount_log = { transform = "log1p", inputs = ["request.amount"] }
"#;

const RULES: &str = r#"
[[rules]]
reason = "large"
when = { "request.amount" = { gte = 1000.0 } }
scores = { risk = 0.9 }

[[rules]]
reason = "otherwise"
scores = { risk = 0.5 }
"#;

const DECISION: &str = r#"
name = "risk"
budget = "95ms"
entities = { user_id = "string" }
request = { amount = "float" }

[[tiers]]
name = "primary"
kind = "triton"
model = "scorer"
SLICE

[[tiers]]
name = "rules"
kind = "rules"
table = "risk.rules.toml"

[policy]
thresholds = [{ below = 0.3, action = "pass" }, { action = "stop" }]
"#;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn scorer() -> FakeModel {
    FakeModel::new("scorer")
        .input("x", "FP32", &[3])
        .output("score", "FP32", &[1])
        .parameter(
            "gavel.features.x",
            "amount_log, user.visits, request.amount",
        )
        .answer(|_| vec![Tensor::fp32("score", &[1, 1], &[0.125])])
}

/// The gateway under test, its Triton, and its files for as long as it runs.
struct Harness {
    fake: FakeTriton,
    gateway: Arc<Gateway>,
    routes: Entry,
    _stop: tokio_util::sync::DropGuard,
    _folder: tempfile::TempDir,
}

impl Harness {
    async fn start(fake: FakeTriton) -> Self {
        Self::start_with(fake, "", Config::default()).await
    }

    async fn start_with(fake: FakeTriton, slice: &str, mut config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("features.toml", FEATURES);
        write("risk.rules.toml", RULES);
        write("risk.toml", &DECISION.replace("SLICE", slice));
        // The same model, for a decision whose callers send no amount.
        let other = DECISION
            .replace("SLICE", "")
            .replace("\"risk\"", "\"other\"");
        let other = other.replace("request = { amount = \"float\" }", "request = {}");
        let other = other.replace("risk.rules", "other.rules");
        write("other.toml", &other);
        write(
            "other.rules.toml",
            "[[rules]]\nreason = 'any'\nscores = { other = 0.5 }\n",
        );
        config.decisions = folder.path().to_owned();
        config.store_url = store_url(folder.path());
        config.models.repository = folder.path().join("none");
        let connect = fake.connector();
        let endpoints =
            EndpointSet::with_connector("fake", move || connect(), EndpointOptions::default());
        let mut report = Report::default();
        let service = Service::new(&config, Some(endpoints), &mut report)
            .unwrap_or_else(|failure| panic!("{failure}: {}", report.render(false)));
        let (routes, _health) = service.routes(config.server.body_timeout);
        let gateway = Arc::clone(&service.gateway);
        let stop = CancellationToken::new();
        tokio::spawn(service.follow_triton(stop.clone()));
        sleep(ms(10)).await;
        Self {
            fake,
            gateway,
            routes,
            _stop: stop.drop_guard(),
            _folder: folder,
        }
    }

    async fn post(&self, request: Request) -> Response {
        self.routes.clone().oneshot(request).await.unwrap()
    }

    /// Asks with a budget; gives the answer and how long it took on the paused clock.
    async fn ask(&self, budget_ms: impl Into<f64>) -> (Value, Duration) {
        let started = Instant::now();
        let body = json!({
            "decision": "risk", "entities": {"user_id": "u"}, "inputs": {"amount": 10.0}, "budget_ms": budget_ms.into(),
        });
        let response = self.post(post(&[], &body)).await;
        let took = started.elapsed();
        assert_eq!(response.status(), 200);
        (body_of(response).await, took)
    }
}

fn store_url(folder: &Path) -> String {
    format!("embedded:{}", folder.join("store").display())
}

fn post(headers: &[(&str, &str)], body: &Value) -> Request {
    let mut request = Request::post("/v1/decide").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_string())).unwrap()
}

async fn body_of(response: Response) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

fn skipped(answer: &Value) -> &str {
    answer["skipped"][0]["reason"].as_str().unwrap_or("nothing")
}

#[tokio::test(start_paused = true)]
async fn triton_answers_inside_the_budget() {
    let harness = Harness::start(
        FakeTriton::new()
            .model(scorer())
            .script("scorer", [Step::after(ms(20))]),
    )
    .await;
    let (answer, took) = harness.ask(50).await;
    assert_eq!(took, ms(20));
    assert_eq!(
        (
            &answer["tier"],
            &answer["action"],
            &answer["scores"]["risk"]
        ),
        (&json!("primary"), &json!("pass"), &json!(0.125))
    );
    assert_eq!(answer["timings_us"]["total"], 20_000);
    assert_eq!(answer["timings_us"]["primary"], 20_000);
    assert_eq!(answer["degraded"], false);
    let sent = harness.fake.last_request("scorer").unwrap();
    assert_eq!(sent.version, "1");
    assert_eq!(
        sent.input("x").unwrap().to_fp32(),
        [11f64.ln() as f32, 7.0, 10.0]
    );
    assert!(!sent.headers.contains_key("grpc-timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_hung_triton_is_awaited_to_the_end_of_the_budget_and_rules_leave_in_time() {
    let harness = Harness::start(
        FakeTriton::new()
            .model(scorer())
            .script("scorer", [Step::Hang]),
    )
    .await;
    let (answer, took) = harness.ask(50).await;
    assert_eq!(
        took,
        ms(45),
        "the budget minus what encoding and late timers need"
    );
    assert_eq!(
        (answer["tier"].as_str(), skipped(&answer)),
        (Some("rules"), "timeout")
    );
    assert_eq!(answer["reasons"], json!(["otherwise"]));
    assert_eq!(answer["degraded"], true);
}

#[tokio::test(start_paused = true)]
async fn a_tiers_own_slice_ends_before_the_budget() {
    let fake = FakeTriton::new()
        .model(scorer())
        .script("scorer", [Step::Hang]);
    let harness = Harness::start_with(fake, "slice = \"10ms\"", Config::default()).await;
    let (answer, took) = harness.ask(50).await;
    assert_eq!((took, skipped(&answer)), (ms(10), "timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_answered_when_it_happens_not_when_the_time_is_up() {
    let script = [
        Step::after(ms(5)),
        Step::error(13, "boom"),
        Step::ZeroBytes,
        Step::NoOutputs,
        Step::Bytes(3),
    ];
    let harness = Harness::start(FakeTriton::new().model(scorer()).script("scorer", script)).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
    for _ in 0..4 {
        let (answer, took) = harness.ask(50).await;
        assert_eq!(
            (took, answer["tier"].as_str(), skipped(&answer)),
            (ms(0), Some("rules"), "error")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_score_that_is_no_number_is_no_answer() {
    let model = scorer().answer(|_| vec![Tensor::fp32("score", &[1, 1], &[f32::NAN])]);
    let harness = Harness::start(FakeTriton::new().model(model)).await;
    let (answer, _) = harness.ask(50).await;
    assert_eq!(
        (answer["tier"].as_str(), skipped(&answer)),
        (Some("rules"), "error")
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_make_it_is_not_asked() {
    let harness = Harness::start(
        FakeTriton::new()
            .model(scorer())
            .script("scorer", [Step::after(ms(30))]),
    )
    .await;
    assert_eq!(harness.ask(95).await.0["tier"], "primary");
    let calls = harness.fake.calls("scorer");
    let (answer, took) = harness.ask(20).await;
    assert_eq!((took, skipped(&answer)), (ms(0), "infeasible"));
    assert_eq!(
        harness.fake.calls("scorer"),
        calls,
        "Triton is spared work that nobody would read"
    );
}

#[tokio::test(start_paused = true)]
async fn a_budget_below_the_timers_resolution_asks_nobody_over_a_network() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    let (answer, took) = harness.ask(1).await;
    assert_eq!(
        (took, answer["tier"].as_str(), skipped(&answer)),
        (ms(0), Some("rules"), "infeasible")
    );
    assert_eq!(harness.fake.calls("scorer"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_smallest_budget_of_body_header_and_decision_counts() {
    let harness = Harness::start(
        FakeTriton::new()
            .model(scorer())
            .script("scorer", [Step::Hang, Step::Hang, Step::Hang]),
    )
    .await;
    for (header, body_ms, expected) in [("30", 80, 25), ("80", 30, 25), ("5000", 5000, 90)] {
        let started = Instant::now();
        let body = json!({
            "decision": "risk", "entities": {"user_id": "u"}, "inputs": {"amount": 10.0}, "budget_ms": body_ms,
        });
        let response = harness
            .post(post(&[("x-request-timeout-ms", header)], &body))
            .await;
        assert_eq!(
            (response.status().as_u16(), started.elapsed()),
            (200, ms(expected))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_triton_opens_the_breaker_and_is_found_again_by_itself() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
    harness.fake.freeze();
    let mut reasons = Vec::new();
    for _ in 0..20 {
        let (answer, took) = harness.ask(50).await;
        assert!(took <= ms(45), "{took:?}");
        reasons.push(skipped(&answer).to_owned());
        sleep(ms(20)).await;
    }
    assert_eq!(reasons.first().map(String::as_str), Some("timeout"));
    assert_eq!(
        reasons.iter().filter(|r| *r == "breaker_open").count()
            + reasons.iter().filter(|r| *r == "timeout").count(),
        20
    );
    assert!(reasons.contains(&"breaker_open".to_owned()), "{reasons:?}");
    harness.fake.thaw();
    sleep(Duration::from_secs(3)).await;
    let recovered = [harness.ask(50).await.0, harness.ask(50).await.0];
    assert_eq!(recovered[1]["tier"], "primary", "{recovered:?}");
}

#[tokio::test(start_paused = true)]
async fn impatient_callers_do_not_open_the_breaker_for_others() {
    let steps = std::iter::repeat_n(Step::after(ms(40)), 100);
    let harness = Harness::start(FakeTriton::new().model(scorer()).script("scorer", steps)).await;
    for _ in 0..30 {
        let (answer, _) = harness.ask(20).await;
        assert_ne!(skipped(&answer), "breaker_open");
    }
    assert_eq!(harness.ask(95).await.0["tier"], "primary");
}

#[tokio::test(start_paused = true)]
async fn one_decision_more_than_the_limit_is_refused_at_once() {
    let mut config = Config::default();
    config.server.max_in_flight = 1;
    let fake = FakeTriton::new()
        .model(scorer())
        .script("scorer", [Step::Hang]);
    let harness = Harness::start_with(fake, "", config).await;
    let body =
        json!({"decision": "risk", "entities": {"user_id": "u"}, "inputs": {"amount": 10.0}});
    let (first, second) = tokio::join!(harness.post(post(&[], &body)), async {
        sleep(ms(1)).await;
        harness.post(post(&[], &body)).await
    });
    assert_eq!(first.status(), 200);
    assert_eq!(second.status(), 429);
    assert_eq!(second.headers()["retry-after"], "1");
    assert_eq!(body_of(second).await["kind"], "overloaded");
    assert_eq!(harness.gateway.admission.in_flight(), 0);
}

/// The measured wait, as if every probe had waited for so long.
fn wait_in_the_run_queue(harness: &Harness, wait: Duration) {
    (0..200).for_each(|_| harness.gateway.pressure.waited(wait));
}

#[tokio::test(start_paused = true)]
async fn the_wait_in_the_run_queue_is_the_callers_time_and_comes_again_with_each_timer() {
    let script = [Step::Hang, Step::Hang, Step::after(ms(10))];
    let harness = Harness::start(FakeTriton::new().model(scorer()).script("scorer", script)).await;
    wait_in_the_run_queue(&harness, ms(15));
    let (answer, took) = harness.ask(60).await;
    // What is awaited ends at 60 - 5 - 15 ms; 15 ms of the budget had passed.
    assert!(took > ms(24) && took <= ms(26), "{took:?}");
    let total = answer["timings_us"]["total"].as_u64().unwrap();
    assert!((39_000..=41_000).contains(&total), "{total}");
    assert_eq!(skipped(&answer), "timeout");

    wait_in_the_run_queue(&harness, ms(40));
    let (answer, took) = harness.ask(60).await;
    assert_eq!((took, skipped(&answer)), (ms(0), "infeasible"));
    let (answer, took) = harness.ask(30).await;
    assert_eq!((took, skipped(&answer)), (ms(0), "infeasible"));
    assert_eq!(answer["tier"], "rules", "late, and answered all the same");

    wait_in_the_run_queue(&harness, ms(0));
    let (_, took) = harness.ask(60).await;
    assert_eq!(took, ms(55));
}

#[tokio::test(start_paused = true)]
async fn a_share_of_decisions_is_turned_away_before_their_bodies_and_probes_are_not() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    harness.gateway.pressure.shed(0.25);
    let mut refused = 0;
    for n in 1..=100_u32 {
        // A body that never ends: whoever is turned away was not asked for it.
        let endless = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, Infallible>>());
        let path = if n % 2 == 0 {
            "/v1/decide"
        } else {
            "/gavel.v1.DecisionService/Decide"
        };
        let mut request = Request::post(path).body(endless).unwrap();
        if n % 2 == 1 {
            let grpc = "application/grpc".parse().unwrap();
            request.headers_mut().insert("content-type", grpc);
        }
        let started = Instant::now();
        let response = harness.post(request).await;
        if started.elapsed() > ms(0) {
            continue;
        }
        refused += 1;
        if n % 2 == 0 {
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()["retry-after"], "1");
            let problem = body_of(response).await;
            assert_eq!(problem["kind"], "overloaded");
        } else {
            assert_eq!(response.headers()["grpc-status"], "8");
        }
    }
    assert_eq!(refused, 25);
    harness.gateway.pressure.shed(1.0);
    let contract = Request::get("/openapi.json").body(Body::empty()).unwrap();
    assert_eq!(harness.post(contract).await.status(), 200);
    harness.gateway.pressure.shed(0.0);
    for _ in 0..100 {
        assert_eq!(harness.ask(50).await.0["tier"], "primary");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_not_answered_yet_are_bounded_and_give_their_places_back() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let endless = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, Infallible>>());
        let request = Request::post("/v1/decide").body(endless).unwrap();
        waiting.spawn(harness.routes.clone().oneshot(request));
    }
    sleep(ms(1)).await;
    let body = json!({"decision": "other", "entities": {"user_id": "u"}, "inputs": {}});
    let refused = harness.post(post(&[], &body)).await;
    assert_eq!(refused.status(), 429);
    let problem = body_of(refused).await;
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("10000 requests"),
        "{problem}"
    );
    for response in waiting.join_all().await {
        assert_eq!(response.unwrap().status(), 400, "its body did not arrive");
    }
    assert_eq!(harness.post(post(&[], &body)).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_appears_later_is_used_by_itself() {
    let harness = Harness::start(FakeTriton::new()).await;
    let (answer, took) = harness.ask(50).await;
    assert_eq!((took, skipped(&answer)), (ms(0), "not_ready"));
    harness.fake.put_model(scorer());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_does_not_fit_is_refused_and_the_last_good_one_serves() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    assert_eq!(harness.ask(50).await.0["model_version"], "1");
    let renamed = scorer()
        .versions(&["1", "2"])
        .parameter("gavel.features.x", "amount_log, user.visits, user.vists");
    harness.fake.put_model(renamed);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(harness.ask(50).await.0["model_version"], "1");
    assert_eq!(harness.fake.last_request("scorer").unwrap().version, "1");
    harness.fake.put_model(scorer().versions(&["1", "2", "3"]));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(harness.ask(50).await.0["model_version"], "3");
}

#[tokio::test(start_paused = true)]
async fn the_same_version_with_another_feature_list_is_another_model() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
    let swapped = FakeModel::new("scorer")
        .input("x", "FP32", &[3])
        .output("score", "FP32", &[1])
        .parameter("gavel.features.x", "amount_log, user.vists, request.amount");
    harness.fake.put_model(swapped);
    sleep(Duration::from_secs(5)).await;
    let (answer, _) = harness.ask(50).await;
    assert_eq!(
        (answer["tier"].as_str(), skipped(&answer)),
        (Some("rules"), "not_ready")
    );
    harness.fake.put_model(scorer());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_a_model_does_not_fit_does_not_take_it_from_others() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    let body = json!({"decision": "other", "entities": {"user_id": "u"}, "inputs": {}});
    let other = body_of(harness.post(post(&[], &body)).await).await;
    assert_eq!(
        (other["tier"].as_str(), skipped(&other)),
        (Some("rules"), "not_ready"),
        "it has no amount, which the model takes"
    );
    assert_eq!(harness.ask(50).await.0["tier"], "primary");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_never_fitted_leaves_its_tier_not_ready() {
    let model = FakeModel::new("scorer")
        .input("x", "FP32", &[4])
        .output("score", "FP32", &[1])
        .parameter(
            "gavel.features.x",
            "amount_log, user.visits, request.amount",
        );
    let harness = Harness::start(FakeTriton::new().model(model)).await;
    assert_eq!(skipped(&harness.ask(50).await.0), "not_ready");
}

#[tokio::test(start_paused = true)]
async fn whatever_triton_does_the_answer_is_there_in_time() {
    let harness = Harness::start(FakeTriton::new().model(scorer())).await;
    // A fixed linear congruential sequence: delays of 0 to 255 ms, budgets of 0.1 to 95 ms, each
    // request at its own moment between two ticks of the timer.
    let mut state = 12_345_u64;
    let mut next = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..500 {
        let step = match next(8) {
            0 => Step::Hang,
            1 => Step::error(14, "down"),
            2 => Step::ZeroBytes,
            _ => Step::after(ms(next(256))),
        };
        harness.fake.push("scorer", [step]);
        tokio::time::advance(Duration::from_micros(next(1000))).await;
        let longest = if next(2) == 0 { 950 } else { 80 };
        let budget_ms = (1 + next(longest)) as f64 / 10.0;
        let (answer, took) = harness.ask(budget_ms).await;
        let budget = Duration::from_secs_f64(budget_ms / 1e3);
        assert!(took <= budget, "{took:?} of {budget:?}: {answer}");
        harness.fake.clear_script("scorer");
        sleep(ms(next(400))).await;
    }
}
