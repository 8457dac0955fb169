//! `gavel check`: the project's own files pass, and each way to break them is named with its file,
//! line, key and what to do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends here"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A copy of the project's decisions and models that a test may break.
struct Project {
    folder: tempfile::TempDir,
}

/// What `gavel check` said.
struct Checked {
    passed: bool,
    text: String,
}

impl Project {
    fn copy() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for name in ["decisions", "model_repository"] {
            copy(&root.join(name), &folder.path().join(name));
        }
        Self { folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn edit(self, file: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`");
        fs::write(self.path(file), text.replacen(from, to, 1)).unwrap();
        self
    }

    fn write(self, file: &str, text: &str) -> Self {
        fs::write(self.path(file), text).unwrap();
        self
    }

    fn remove(self, file: &str) -> Self {
        fs::remove_file(self.path(file)).unwrap();
        self
    }

    fn check(&self) -> Checked {
        let output = Command::new(env!("CARGO_BIN_EXE_gavel"))
            .args(["check", "--model-config-name", "cpu"])
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        let text = text.concat();
        assert!(!text.contains("panicked"), "{text}");
        Checked {
            passed: output.status.code() == Some(0),
            text,
        }
    }

    /// The check fails, and says all of `expected`.
    fn fails_with(self, expected: &[&str]) {
        let checked = self.check();
        assert!(!checked.passed, "passed: {}", checked.text);
        for words in expected {
            assert!(
                checked.text.contains(words),
                "no `{words}` in:\n{}",
                checked.text
            );
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_projects_own_files_pass() {
    let checked = Project::copy().check();
    assert!(checked.passed, "{}", checked.text);
    assert!(checked.text.contains("ok: 1 decision"), "{}", checked.text);
}

#[test]
fn problems_of_all_files_are_reported_at_once() {
    Project::copy()
        .write("gavel.toml", "[server]\nlisten = \"8080\"\n")
        .edit(
            "decisions/features.toml",
            "ttl = \"365d\"",
            "ttl = \"ninety days\"",
        )
        .edit("decisions/fraud.toml", "budget =", "budgte =")
        .edit(
            "model_repository/fraud_deep/config.pbtxt",
            "max_batch_size",
            "max_batchsize",
        )
        .fails_with(&[
            "gavel.toml:2",
            "ADDRESS:PORT",
            "decisions/features.toml:",
            "decisions/fraud.toml:3",
            "did you mean `budget`?",
            "model_repository/fraud_deep/config.pbtxt:",
            "max_batchsize",
        ]);
}

#[test]
fn a_feature_that_is_not_there_is_named_with_the_nearest_that_is() {
    Project::copy()
        .edit(
            "model_repository/fraud_secondary/config.pbtxt",
            "amount_over_card_mean",
            "amount_over_crad_mean",
        )
        .fails_with(&[
            "decisions/fraud.toml:",
            "tiers.secondary",
            "amount_over_crad_mean",
            "amount_over_card_mean",
        ]);
}

#[test]
fn inputs_that_do_not_match_the_onnx_file_are_found() {
    Project::copy()
        .edit(
            "model_repository/fraud_secondary/config.pbtxt",
            "name: \"features\"",
            "name: \"featurs\"",
        )
        .fails_with(&["model_repository/fraud_secondary/config.pbtxt:", "featurs"]);
}

#[test]
fn features_that_do_not_fill_an_input_are_found_and_lists_count_by_their_length() {
    const CONFIG: &str = "model_repository/fraud_primary/config.pbtxt";
    Project::copy()
        .edit(CONFIG, "amount_log, ", "")
        .fails_with(&[
            "the features that are listed fill ",
            "model_repository/fraud_primary/config.pbtxt:",
            "a feature fills one column, a list as many as its dtype says",
        ]);
    let with_list = |dtype: &str| {
        let list = format!(
            "[views.card.features]\nlast = {{ dtype = \"{dtype}\", default = 0.0, aggregate = \"last_n\", of = \"lat\" }}\n"
        );
        Project::copy()
            .edit("decisions/features.toml", "[views.card.features]\n", &list)
            .edit(CONFIG, "amount_log, amount_bucket, ", "card.last, ")
    };
    let checked = with_list("float32[2]").check();
    assert!(checked.passed, "{}", checked.text);
    with_list("float32[3]").fails_with(&["the features that are listed fill "]);
}

#[test]
fn a_missing_onnx_file_is_found() {
    Project::copy()
        .remove("model_repository/fraud_secondary/1/model.onnx")
        .fails_with(&["model_repository/fraud_secondary", "model.onnx"]);
}

#[test]
fn a_truncated_onnx_file_is_found() {
    let project = Project::copy();
    let file = project.path("model_repository/fraud_secondary/1/model.onnx");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    project.fails_with(&["fraud_secondary/1/model.onnx"]);
}

#[test]
fn a_model_that_is_not_in_the_repository_is_found() {
    Project::copy()
        .edit(
            "decisions/fraud.toml",
            "\"fraud_primary\"",
            "\"fraud_primry\"",
        )
        .fails_with(&[
            "decisions/fraud.toml:",
            "there is no model `fraud_primry`",
            "did you mean `fraud_primary`?",
        ]);
}

#[test]
fn a_queue_policy_is_a_warning_with_its_reason() {
    let checked = Project::copy()
        .edit(
            "model_repository/fraud_deep/configs/cpu.pbtxt",
            "dynamic_batching {",
            "dynamic_batching { default_queue_policy { max_queue_size: 10 }",
        )
        .check();
    assert!(checked.passed, "{}", checked.text);
    assert!(checked.text.contains("warning"), "{}", checked.text);
    assert!(checked.text.contains("500 ms"), "{}", checked.text);
}

#[test]
fn rules_are_typed_by_the_features_that_they_test() {
    Project::copy()
        .edit(
            "decisions/fraud.rules.toml",
            "\"request.amount\" = { gt = 900.0 }",
            "\"request.currency\" = { gt = 900.0 }",
        )
        .edit(
            "decisions/fraud.rules.toml",
            "\"travel_kmh\" = { gt",
            "\"travel_khm\" = { gt",
        )
        .fails_with(&[
            "decisions/fraud.rules.toml:7",
            "`request.currency` is string, but it is compared with a number",
            "decisions/fraud.rules.toml:27",
            "there is no feature `travel_khm`",
        ]);
}

#[test]
fn a_priority_is_a_number_that_there_is() {
    let with =
        |feature: &str| Project::copy().edit("decisions/fraud.toml", "\"request.amount\"", feature);
    for fits in [
        "\"amount_log\"",
        "\"store.txn_count_24h\"",
        "\"request.customer_present\"",
    ] {
        let checked = with(fits).check();
        assert!(checked.passed, "{fits}: {}", checked.text);
    }
    with("\"request.amuont\"").fails_with(&[
        "decisions/fraud.toml:4",
        "priority",
        "the request has no input `amuont`",
        "did you mean `amount`?",
    ]);
    with("\"request.currency\"").fails_with(&[
        "decisions/fraud.toml:4",
        "priority",
        "`request.currency`, which is string, expected a number",
        "such as priority = \"request.amount\"",
    ]);
    with("5").fails_with(&[
        "decisions/fraud.toml:4",
        "`priority` is the number 5, expected a string",
    ]);
}

#[test]
fn a_required_view_may_be_read_through_derived_features() {
    let require = |view: &str| {
        let kind = "kind = \"onnx\"";
        let required = format!("{kind}\nrequires = [\"{view}\"]");
        Project::copy().edit("decisions/fraud.toml", kind, &required)
    };
    assert!(require("card").check().passed);
    require("shop").fails_with(&["decisions/fraud.toml:", "requires the view `shop`"]);
}

#[test]
fn time_that_does_not_fit_is_found() {
    let with = |tier: &str| Project::copy().edit("decisions/fraud.toml", "kind = \"triton\"", tier);
    with("kind = \"triton\"\nslice = \"2s\"")
        .fails_with(&["decisions/fraud.toml:", "more than the budget"]);
    let slow = Project::copy()
        .edit("decisions/fraud.toml", "\"95ms\"", "\"500ms\"")
        .check();
    assert!(
        slow.passed && slow.text.contains("opens the breaker"),
        "{}",
        slow.text
    );
}

#[test]
fn the_example_configuration_is_the_defaults() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut report = gateway::diagnostic::Report::default();
    let read = gateway::config::Config::read(&folder.join("gavel.toml"), &mut report);
    assert!(report.diagnostics().is_empty(), "{}", report.render(false));
    let defaults = gateway::config::Config {
        file: read.file.clone(),
        ..Default::default()
    };
    assert_eq!(format!("{read:?}"), format!("{defaults:?}"));
}

#[test]
fn a_missing_rule_table_and_a_missing_folder_are_found() {
    Project::copy()
        .remove("decisions/fraud.rules.toml")
        .fails_with(&["decisions/fraud.toml:", "cannot read", "fraud.rules.toml"]);
    let project = Project::copy();
    fs::remove_dir_all(project.path("decisions")).unwrap();
    project.fails_with(&["cannot read the folder of decisions"]);
    let project = Project::copy();
    fs::remove_dir_all(project.path("model_repository")).unwrap();
    project.fails_with(&["model_repository"]);
}

#[test]
fn names_that_would_break_headers_or_metrics_are_refused() {
    Project::copy()
        .edit(
            "decisions/fraud.toml",
            "name = \"secondary\"",
            "name = \"second, ary\"",
        )
        .fails_with(&["decisions/fraud.toml:", "second, ary", "letters, digits"]);
}

#[test]
fn a_feast_repository_is_looked_for_from_the_folder_of_the_features() {
    let feast = "[feast]\nfeature_store = \"feast.yaml\"\n\n[derived]";
    let project = || Project::copy().edit("decisions/features.toml", "[derived]", feast);
    project().fails_with(&[
        "decisions/feast.yaml cannot be read",
        "feast.feature_store",
        "decisions/features.toml:",
    ]);
    let yaml = "project: p\nregistry: s3://bucket/registry.db\nonline_store: {type: redis, connection_string: 'h:1,ssl=False'}\n";
    project().write("decisions/feast.yaml", yaml).fails_with(&[
        "decisions/feast.yaml: registry is not a file on this machine",
        "online_store.connection_string has ssl=False, which turns TLS on in Feast",
    ]);
}
