//! The gateway under test with one decision and its scripted Triton, and ways to ask it.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use fake_triton::{FakeModel, FakeTriton, Tensor};
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

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn scorer() -> FakeModel {
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
pub(crate) struct Harness {
    pub(crate) fake: FakeTriton,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) routes: Entry,
    _stop: tokio_util::sync::DropGuard,
    _folder: tempfile::TempDir,
}

impl Harness {
    pub(crate) async fn start(fake: FakeTriton) -> Self {
        Self::start_with(fake, "", Config::default()).await
    }

    pub(crate) async fn start_with(fake: FakeTriton, slice: &str, mut config: Config) -> Self {
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
        config.decision_log.enabled = false;
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
        tokio::spawn(service.follow(stop.clone()));
        sleep(ms(10)).await;
        Self {
            fake,
            gateway,
            routes,
            _stop: stop.drop_guard(),
            _folder: folder,
        }
    }

    pub(crate) async fn post(&self, request: Request) -> Response {
        self.routes.clone().oneshot(request).await.unwrap()
    }

    /// Asks with a budget; gives the answer and how long it took on the paused clock.
    pub(crate) async fn ask(&self, budget_ms: impl Into<f64>) -> (Value, Duration) {
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

pub(crate) fn post(headers: &[(&str, &str)], body: &Value) -> Request {
    let mut request = Request::post("/v1/decide").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_string())).unwrap()
}

pub(crate) async fn body_of(response: Response) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

pub(crate) fn skipped(answer: &Value) -> &str {
    answer["skipped"][0]["reason"].as_str().unwrap_or("nothing")
}
