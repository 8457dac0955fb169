//! What the gateway tells its operators: metrics, logs and probes.

use serde_json::Value;

use crate::{
    shared,
    support::{
        ask::{http1, turn},
        eventually, fake, files,
        gateway::Setup,
        metrics::Metrics,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_was_decided() {
    let triton = shared::triton();
    let _turn = turn().lock().await;
    let triton = triton.lock().await;
    let setup = Setup::new().flag("triton", &triton.grpc_url);
    setup.load_examples().await;
    let gateway = setup.start().await;
    gateway.until_primary().await;
    let before = gateway.metrics().await;

    for file in [
        "fraud.json",
        "fraud-review.json",
        "fraud-decline.json",
        "fraud-unknown-card.json",
    ] {
        gateway.decide(&files::example(file)).await;
    }
    for _ in 0..3 {
        gateway
            .decide(&files::with_budget(files::payment(), 1.0))
            .await;
    }
    assert_eq!(gateway.post(&[], "{").await.status, 400);

    let after = gateway.metrics().await;
    let grown =
        |name: &str, labels: &[(&str, &str)]| after.sum(name, labels) - before.sum(name, labels);
    let fraud = ("decision", "fraud");
    let primary = ("tier", "primary");
    assert_eq!(grown("gavel_decisions_total", &[fraud]), 7.0);
    assert_eq!(grown("gavel_decisions_total", &[fraud, primary]), 4.0);
    for (action, count) in [("approve", 2.0), ("review", 1.0), ("decline", 1.0)] {
        let labels = [fraud, primary, ("action", action)];
        assert_eq!(grown("gavel_decisions_total", &labels), count, "{action}");
    }
    let outcome = |outcome| {
        grown(
            "gavel_decisions_total",
            &[fraud, primary, ("outcome", outcome)],
        )
    };
    assert_eq!(outcome("on_time") + outcome("late"), 4.0);
    let infeasible = [fraud, primary, ("reason", "infeasible")];
    assert_eq!(grown("gavel_tier_skips_total", &infeasible), 3.0);
    assert_eq!(grown("gavel_tier_skips_total", &[("tier", "rules")]), 0.0);
    let missed = [fraud, ("feature", "card.txn_count_24h")];
    assert_eq!(grown("gavel_features_missing_total", &missed), 1.0);
    assert_eq!(
        grown("gavel_rejections_total", &[("kind", "invalid_request")]),
        1.0
    );
    assert_eq!(
        grown("gavel_decision_duration_seconds_count", &[fraud]),
        7.0
    );
    for stage in ["decode", "features", "policy"] {
        let labels = [fraud, ("stage", stage)];
        assert_eq!(
            grown("gavel_stage_duration_seconds_count", &labels),
            7.0,
            "{stage}"
        );
    }
    assert_eq!(after.sum("gavel_tier_ready", &[fraud, primary]), 1.0);
    let closed = [("endpoint", &*triton.grpc_url), ("state", "closed")];
    assert_eq!(after.sum("gavel_endpoint_state", &closed), 1.0);
    assert_eq!(after.sum("gavel_in_flight", &[]), 0.0);
    buckets_resolve_budgets(&after);
}

/// Buckets lie between 1 and 100 ms, and they count upwards to the whole.
fn buckets_resolve_budgets(metrics: &Metrics) {
    let name = "gavel_decision_duration_seconds_bucket";
    let mut bounds: Vec<f64> = metrics
        .values(name, "le")
        .iter()
        .filter_map(|bound| bound.parse().ok())
        .collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let between = bounds
        .iter()
        .filter(|bound| (0.001..=0.1).contains(*bound))
        .count();
    assert!(between >= 10, "{bounds:?}");
    let primary = ("tier", "primary");
    let whole = metrics.sum("gavel_decision_duration_seconds_count", &[primary]);
    let last = metrics.sum(name, &[primary, ("le", "+Inf")]);
    assert_eq!(whole, last);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_answer_on_the_admin_port_alone() {
    let _turn = turn().lock().await;
    let gateway = Setup::new().start().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(gateway.admin(path).await.status, 200, "{path}");
    }
    let decisions = gateway.admin("/admin/decisions").await.json();
    assert_eq!(decisions["decisions"][0]["decision"], "fraud");
    for path in ["/metrics", "/livez", "/admin/decisions"] {
        let url = format!("{}{path}", gateway.url());
        let answer = crate::support::ask::get(&url).await.unwrap();
        assert_eq!(answer.status, 404, "{path} on the public port");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_json_line_by_line_and_say_nothing_of_single_requests() {
    let _turn = turn().lock().await;
    let gateway = Setup::new().flag("log-format", "json").start().await;
    let lines = gateway.log().lines().count();
    for _ in 0..20 {
        gateway.decide(&files::payment()).await;
    }
    gateway.post(&[], "not json").await;
    assert_eq!(gateway.log().lines().count(), lines, "{}", gateway.log());
    let mut gateway = gateway;
    gateway.terminate();
    assert!(gateway.ended().await.success());
    let log = gateway.log();
    // The last line is the command's own word on standard output.
    let logged = log.strip_suffix("stopped\n").unwrap();
    for line in logged.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "message", "target"] {
            assert!(line.get(key).is_some(), "{key} is not in {line}");
        }
    }
    assert!(log.contains("\"message\":\"serving\""), "{log}");
}

/// Nobody reads the log any more, as when the collector died: what decides goes on, and so does
/// what works in the background.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_takes_holds_up_nothing() {
    let _turn = turn().lock().await;
    let (triton, url) = fake::triton().await;
    triton.die();
    let (port, admin_port) = (testkit::free_port(), testkit::free_port());
    let folder = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", folder.path().join("store").display());
    let root = |name: &str| files::root(name).display().to_string();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_gavel"))
        .args([
            "serve",
            "--log-level",
            "debug",
            "--triton",
            &url,
            "--store",
            &store,
        ])
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--admin-listen", &format!("127.0.0.1:{admin_port}")])
        .args(["--decisions", &root("decisions")])
        .args(["--model-repository", &root("model_repository")])
        .current_dir(folder.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let client = http1();
    let ask = async || {
        let asked = client
            .post(format!("http://127.0.0.1:{port}/v1/decide"))
            .body(files::payment().to_string())
            .send();
        asked.await.ok()?.json::<serde_json::Value>().await.ok()
    };
    eventually("an answer without Triton", async || {
        ask().await.filter(|answer| answer["degraded"] == true)
    })
    .await;
    triton.revive();
    eventually("Triton is found", async || {
        ask().await.filter(|answer| answer["tier"] == "primary")
    })
    .await;
    let killed = std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status();
    assert!(killed.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
