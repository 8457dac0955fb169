//! Decisions, features, rules, models and `gavel.toml` that are wrong: one run names every problem.

use std::fs;

use crate::{
    problem::assert_ended,
    support::{ask::skipped, files, gateway::Setup},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_every_file_is_printed_at_once() {
    let setup = Setup::new().decisions(|folder| {
        let features = folder.join("features.toml");
        files::edit(
            &features,
            "ttl = \"365d\"\n\n[views.card.features]",
            "tttl = \"365d\"\n\n[views.card.features]",
        );
        files::edit(
            &features,
            "transform = \"ratio\", inputs = [\"request.amount\", \"card.txn_amount_mean_30d\"]",
            "transform = \"ratoi\", inputs = [\"request.amount\", \"card.txn_amount_mean_30d\"]",
        );
        let rules = folder.join("fraud.rules.toml");
        files::edit(
            &rules,
            "\"travel_km\" = { gt = 500.0 }",
            "\"travel_km\" = { above = 500.0 }",
        );
        let decision = folder.join("fraud.toml");
        files::edit(&decision, "budget = \"95ms\"", "budget = \"95\"");
        files::edit(&decision, "kind = \"onnx\"", "kind = \"onxx\"");
        files::edit(&decision, "slice = \"10ms\"", "slize = \"10ms\"");
    });
    let words = [
        "features.toml:",
        "views.card.tttl",
        "ttl",
        "ratoi",
        "ratio",
        "fraud.rules.toml:",
        "above",
        "fraud.toml:3:",
        "expected a duration above zero",
        "onxx",
        "unknown key `features.slize`",
        "did you mean `slice`?",
        "nothing is served until they are mended",
    ];
    let outcome = setup.run(&["serve"]).await;
    let words: Vec<&str> = words.to_vec();
    assert_ended("serve", &outcome, 1, &words);
    let outcome = setup.run(&["check"]).await;
    assert_ended("check", &outcome, 1, &words[..words.len() - 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_file_is_named_with_line_and_key() {
    type Edit = (&'static str, &'static str, &'static str);
    let cases: [(&str, Edit, &[&str]); 10] = [
        (
            "no TOML",
            ("features.toml", "[entities]", "[entities"),
            &["features.toml:", "not valid TOML"],
        ),
        (
            "a cycle",
            (
                "features.toml",
                "inputs = [\"hour_of_day\"]",
                "inputs = [\"hour_band\"]",
            ),
            &["features.toml:", "hour_band"],
        ),
        (
            "an unknown input",
            (
                "features.toml",
                "inputs = [\"card_gap\"], mean",
                "inputs = [\"card_gapp\"], mean",
            ),
            &["features.toml:", "card_gapp", "did you mean `card_gap`"],
        ),
        (
            "a wrong dtype",
            (
                "features.toml",
                "txn_count_24h       = { dtype = \"float32\"",
                "txn_count_24h       = { dtype = \"float31\"",
            ),
            &["features.toml:", "float31"],
        ),
        (
            "no rules tier",
            (
                "fraud.toml",
                "[[tiers]]\nname = \"rules\"\nkind = \"rules\"\ntable = \"fraud.rules.toml\"\n",
                "",
            ),
            &["fraud.toml:", "the last tier"],
        ),
        (
            "no such table",
            ("fraud.toml", "fraud.rules.toml", "other.rules.toml"),
            &["fraud.toml:", "other.rules.toml"],
        ),
        (
            "thresholds that fall",
            ("fraud.toml", "below = 0.80", "below = 0.10"),
            &[
                "fraud.toml:",
                "thresholds must rise",
                "policy.thresholds[1].below",
            ],
        ),
        (
            "a type that is none",
            ("fraud.toml", "amount = \"float\"", "amount = \"money\""),
            &["fraud.toml:", "money"],
        ),
        (
            "a rule on no feature",
            ("fraud.rules.toml", "\"travel_km\" = {", "\"travel_kn\" = {"),
            &["fraud.rules.toml:", "travel_kn", "did you mean `travel_km`"],
        ),
        (
            "a score that is text",
            (
                "fraud.rules.toml",
                "scores = { fraud = 0.071 }",
                "scores = { fraud = \"0.071\" }",
            ),
            &["fraud.rules.toml:", "expected a finite number"],
        ),
    ];
    for (case, (file, from, to), words) in cases {
        let setup = Setup::new().decisions(|folder| files::edit(&folder.join(file), from, to));
        let outcome = setup.run(&["serve"]).await;
        assert_ended(case, &outcome, 1, words);
    }
    for name in ["features.toml", "fraud.rules.toml"] {
        let setup = Setup::new().decisions(|folder| fs::remove_file(folder.join(name)).unwrap());
        let outcome = setup.run(&["serve"]).await;
        assert_ended("missing", &outcome, 1, &[name, "cannot read"]);
    }
    let setup = Setup::new()
        .decisions(|folder| fs::write(folder.join("fraud.toml"), [0xff, 0xfe]).unwrap());
    assert_ended(
        "not text",
        &setup.run(&["serve"]).await,
        1,
        &["fraud.toml", "cannot read"],
    );
    let setup =
        Setup::new().decisions(|folder| fs::remove_file(folder.join("fraud.toml")).unwrap());
    assert_ended(
        "none",
        &setup.run(&["serve"]).await,
        1,
        &["no decision found"],
    );
    let outcome = Setup::new()
        .flag("decisions", "/nonexistent")
        .run(&["serve"])
        .await;
    assert_ended("no folder", &outcome, 1, &["/nonexistent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_gavel_toml_names_every_problem() {
    let config = "[server]\nlisten = 'nowhere'\nmax_in_flight = 0\nbody_timeout = '2'\n[stor]\nurl = 'x'\n\
                  [[clients]]\nname = 'shop'\nkey_sha256 = 'abc'\n";
    let setup = Setup::new().config(config);
    for words in [["serve"], ["check"]] {
        let outcome = setup.run(&words).await;
        let said = [
            "gavel.toml:2:",
            "server.listen",
            "max_in_flight",
            "body_timeout",
            "`stor`",
            "did you mean `store`",
            "key_sha256",
        ];
        assert_ended(words[0], &outcome, 1, &said);
    }
    let outcome = Setup::new().config("[server\n").run(&["serve"]).await;
    assert_ended("no TOML", &outcome, 1, &["gavel.toml:1:", "not TOML"]);
    let outcome = Setup::new()
        .flag("config", "/nonexistent.toml")
        .run(&["serve"])
        .await;
    assert_ended(
        "no file",
        &outcome,
        1,
        &["/nonexistent.toml", "cannot read the configuration"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_cannot_be_used_are_explained_and_rules_answer() {
    let secondary = "fraud_secondary";
    type Spoil = fn(&std::path::Path);
    let cases: [(&str, Spoil, &[&str]); 6] = [
        (
            "no ONNX file",
            |model| fs::remove_file(model.join("1/model.onnx")).unwrap(),
            &["model.onnx", secondary],
        ),
        (
            "an ONNX file that is none",
            |model| fs::write(model.join("1/model.onnx"), "not ONNX").unwrap(),
            &["model.onnx"],
        ),
        (
            "an empty ONNX file",
            |model| fs::write(model.join("1/model.onnx"), "").unwrap(),
            &["model.onnx"],
        ),
        (
            "no version",
            |model| fs::remove_dir_all(model.join("1")).unwrap(),
            &[secondary, "version"],
        ),
        (
            "a feature that is not there",
            |model| {
                files::edit(
                    &model.join("config.pbtxt"),
                    "travel_km_log",
                    "travel_kn_log",
                )
            },
            &["travel_kn_log", "travel_km_log"],
        ),
        (
            "one feature too few",
            |model| files::edit(&model.join("config.pbtxt"), "request.amount, ", ""),
            &["fill 16 elements", "17"],
        ),
    ];
    for (case, spoil, words) in cases {
        let setup = Setup::new().models(|folder| spoil(&folder.join(secondary)));
        let mut gateway = setup.start().await;
        let decision = gateway.decide(&files::payment()).await;
        assert_eq!(decision["tier"], "rules", "{case}");
        assert_eq!(skipped(&decision)[1], "secondary:not_ready", "{case}");
        let log = gateway.log();
        let admin = gateway.admin("/admin/decisions").await.text().to_owned();
        for word in words {
            assert!(
                log.contains(word),
                "{case}: `{word}` is not in the log:\n{log}"
            );
            assert!(
                admin.contains(word),
                "{case}: `{word}` is not on the admin port:\n{admin}"
            );
        }
        gateway.assert_well().await;
    }
}
