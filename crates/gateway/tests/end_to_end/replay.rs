//! What was kept, through the same models: the same bits. And what would have been otherwise.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    shared,
    support::{
        ask::turn,
        files,
        gateway::{Gateway, Outcome, Setup},
    },
};

/// Payments of cards and stores that the store knows and of those that it does not, some of which have
/// no time for Triton, and some none for any model.
fn payments(count: usize) -> impl Iterator<Item = Value> {
    let known = fs::read_to_string(files::root("examples/payments.jsonl")).unwrap();
    let known: Vec<Value> = known
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let keys = move |entity: &str| -> Vec<Value> {
        let keys = known.iter().map(|payment| payment[entity].clone());
        keys.chain(["unknown".into()]).collect()
    };
    let (cards, stores) = (keys("card_id"), keys("store_id"));
    (0..count).map(move |i| {
        let mut payment = files::payment();
        payment["id"] = format!("r{i}").into();
        payment["entities"]["card_id"] = cards[i * 7 % cards.len()].clone();
        payment["entities"]["store_id"] = stores[i * 5 % stores.len()].clone();
        payment["inputs"]["amount"] = (0.01 + (i * i % 997) as f64 * 1.37).into();
        if i % 4 == 3 {
            payment["inputs"]
                .as_object_mut()
                .unwrap()
                .remove("timestamp");
        }
        match i % 3 {
            0 => payment,
            1 => files::with_budget(payment, 4.0),
            _ => files::with_budget(payment, 0.05),
        }
    })
}

/// Answers by tier.
async fn decide(gateway: &Gateway, count: usize) -> [usize; 3] {
    let mut tiers = [0; 3];
    for payment in payments(count) {
        let answer = gateway.decide(&payment).await;
        let tier = ["primary", "secondary", "rules"]
            .iter()
            .position(|tier| answer["tier"] == *tier);
        tiers[tier.unwrap()] += 1;
    }
    tiers
}

/// How many of the log a tier answered, as the replay says.
fn answers(replayed: &Outcome, tier: &str) -> usize {
    let (_, after) = replayed.said.split_once(&format!("{tier} ")).unwrap();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn assert_code(outcome: &Outcome, code: i32) {
    assert_eq!(outcome.status.code(), Some(code), "{}", outcome.said);
}

/// A copy of the rules in which what was nothing unusual is to be declined.
fn stricter(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("stricter.rules.toml");
    fs::copy(files::root("decisions/fraud.rules.toml"), &file).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let mut rules: Vec<String> = text.split("[[rules]]").map(str::to_owned).collect();
    for rule in &mut rules {
        if rule.contains("\"nothing_unusual\"") || rule.contains("\"small_amount\"") {
            let (before, _) = rule.split_once("fraud = ").unwrap();
            *rule = format!("{before}fraud = 0.95 }}\n\n");
        }
    }
    fs::write(&file, rules.join("[[rules]]")).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tier_s_decisions_are_replayed_to_the_bit() {
    let triton = shared::triton();
    let _turn = turn().lock().await;
    let url = triton.lock().await.grpc_url.clone();
    let setup = Setup::new().flag("triton", &url);
    setup.load_examples().await;
    let gateway = setup.start().await;
    gateway.until_primary().await;
    let tiers = decide(&gateway, 300).await;
    assert!(tiers.iter().all(|answers| *answers >= 50), "{tiers:?}");
    let setup = gateway.stop().await;

    let replayed = setup.run(&["replay", "--budgets"]).await;
    assert_code(&replayed, 0);
    for said in [
        "replayed with others: 0",
        "not replayed: 0",
        "answered over the network, by budget",
    ] {
        assert!(replayed.said.contains(said), "{}", replayed.said);
    }
    assert_eq!(answers(&replayed, "rules"), tiers[2], "{}", replayed.said);
    // Those that were asked for until the primary answered are kept as well.
    assert!(
        answers(&replayed, "primary") > tiers[0],
        "{}",
        replayed.said
    );

    // Without Triton, its own cannot be replayed, and that is said.
    let offline = setup.flag("triton", "");
    let replayed = offline.run(&["replay"]).await;
    assert_code(&replayed, 2);
    assert!(
        replayed.said.contains("replayed with others: 0"),
        "{}",
        replayed.said
    );
    assert!(
        replayed.said.contains("none is named: --triton"),
        "{}",
        replayed.said
    );

    // A version that is not served, then.
    let setup = offline.flag("triton", &url);
    let replayed = setup.run(&["replay", "--model", "fraud_primary=4"]).await;
    assert_code(&replayed, 2);
    assert!(
        replayed.said.contains("versions that it serves: 1"),
        "{}",
        replayed.said
    );
    let replayed = setup
        .run(&[
            "replay",
            "--model",
            "fraud_primary=1",
            "--max-changed",
            "0%",
        ])
        .await;
    assert_code(&replayed, 0);
    assert!(replayed.said.contains("max 0.000000"), "{}", replayed.said);

    // Less time: the next tier would have answered what Triton did.
    let replayed = setup.run(&["replay", "--budget", "1ms"]).await;
    assert_code(&replayed, 0);
    let (_, computed) = replayed.said.split_once("computed anew: ").unwrap();
    let digits: String = computed.chars().take_while(char::is_ascii_digit).collect();
    // And what the next tier would not have had the time for either.
    assert!(
        digits.parse::<usize>().unwrap() >= answers(&replayed, "primary"),
        "{}",
        replayed.said
    );
    assert!(replayed.said.contains("PSI"), "{}", replayed.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_rules_and_models_in_process_are_replayed_and_compared_with_others() {
    let _turn = turn().lock().await;
    let setup = Setup::new();
    setup.load_examples().await;
    let gateway = setup.start().await;
    let [_, secondary, rules] = decide(&gateway, 90).await;
    assert!(secondary >= 30 && rules >= 30, "{secondary} {rules}");
    let setup = gateway.stop().await;
    let replayed = setup.run(&["replay"]).await;
    assert_code(&replayed, 0);
    assert!(
        replayed.said.contains("with the same bits: 90"),
        "{}",
        replayed.said
    );
    let some = setup
        .run(&[
            "replay",
            "--limit",
            "7",
            "--decision",
            "fraud",
            "--from",
            "1h",
        ])
        .await;
    assert_code(&some, 0);
    assert!(
        some.said.contains("7 decisions of the log"),
        "{}",
        some.said
    );
    assert_code(&setup.run(&["replay", "--to", "1h"]).await, 2);

    // Other rules change what rules decided, and only that.
    let stricter = stricter(setup.folder());
    let words = ["replay", "--rules", stricter.to_str().unwrap()];
    let replayed = setup.run(&words).await;
    assert_code(&replayed, 0);
    let computed = format!("computed anew: {rules}");
    assert!(
        replayed.said.contains(&computed),
        "{computed}: {}",
        replayed.said
    );
    assert!(
        replayed.said.contains("approve -> decline"),
        "{}",
        replayed.said
    );
    let gate = setup
        .run(&[&words[..], &["--max-changed", "0.5%"]].concat())
        .await;
    assert_code(&gate, 1);
    let wide = setup
        .run(&[&words[..], &["--max-changed", "100%"]].concat())
        .await;
    assert_code(&wide, 0);
    let broken = setup.folder().join("broken.rules.toml");
    fs::write(
        &broken,
        "[[rules]]\nreason = 'a'\nscores = { other = 1.0 }\n",
    )
    .unwrap();
    let refused = setup
        .run(&["replay", "--rules", broken.to_str().unwrap()])
        .await;
    assert_code(&refused, 2);
    assert!(
        refused.said.contains("gives the scores other"),
        "{}",
        refused.said
    );

    // A what-if that is about nothing passes no gate.
    let typo = setup.run(&["replay", "--model", "fraud_secondry=1"]).await;
    assert_code(&typo, 2);
    assert!(typo.said.contains("did you mean"), "{}", typo.said);
    let longer = ["replay", "--budget", "300s", "--max-changed", "100%"];
    let longer = setup.run(&longer).await;
    assert_code(&longer, 2);
    for said in [
        "the what-if is about none of these 90 decisions",
        "a budget of 300s changes nothing",
    ] {
        assert!(longer.said.contains(said), "{}", longer.said);
    }
    // In less time than the model takes rules answer, and who answered is said.
    let shorter = setup.run(&["replay", "--budget", "1us"]).await;
    assert_code(&shorter, 0);
    let by = format!("computed anew: {secondary} (by rules {secondary})");
    assert!(shorter.said.contains(&by), "{by}: {}", shorter.said);

    // Which log is meant cannot be known where the settings are wrong.
    let setup = setup.config("[decision_log]\ndirectry = \"elsewhere\"\n");
    let refused = setup.run(&["log", "ls"]).await;
    assert_code(&refused, 1);
    assert!(
        refused.said.contains("the settings cannot be read"),
        "{}",
        refused.said
    );
    fs::remove_file(setup.folder().join("gavel.toml")).unwrap();
    let setup = setup.without("config");

    // Features that are derived otherwise now are named, with both values.
    let changed = setup.decisions(|folder| {
        let file = folder.join("features.toml");
        let old = "\"store.txn_amount_mean_30d\"], default = 1.0";
        files::edit(&file, old, &old.replace("1.0", "2.0"));
    });
    let replayed = changed.run(&["replay"]).await;
    assert_code(&replayed, 1);
    let said = "feature amount_over_store_mean: logged 1 (0x3ff0000000000000), replayed 2";
    assert!(replayed.said.contains(said), "{}", replayed.said);

    // A stored feature that was not read then cannot be replayed.
    let more = changed.models(|folder| {
        let config = folder.join("fraud_secondary/config.pbtxt");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(
            config,
            text.replacen("card.txn_count_24h", "card.txn_amount_max_30d", 1),
        )
        .unwrap();
    });
    let replayed = more.run(&["replay"]).await;
    assert!(
        replayed
            .said
            .contains("stored features `card.txn_amount_max_30d` were not kept"),
        "{}",
        replayed.said
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_do_not_answer_in_the_place_of_a_model_that_does_not_load() {
    let _turn = turn().lock().await;
    let setup = Setup::new();
    setup.load_examples().await;
    let gateway = setup.start().await;
    let [_, secondary, _] = decide(&gateway, 12).await;
    assert!(secondary >= 4, "{secondary}");
    let setup = gateway.stop().await.models(|folder| {
        fs::write(folder.join("fraud_secondary/1/model.onnx"), "broken").unwrap();
    });
    let replayed = setup.run(&["replay", "--budget", "1us"]).await;
    assert_code(&replayed, 2);
    let said = "the tier `secondary` does not answer in process";
    assert!(replayed.said.contains(said), "{}", replayed.said);
    assert!(
        replayed.said.contains("computed anew: 0"),
        "{}",
        replayed.said
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_events_some_of_which_are_none_is_written_and_says_so() {
    let setup = Setup::new().decisions(|folder| {
        let file = folder.join("features.toml");
        let mut text = fs::read_to_string(&file).unwrap();
        text += "\n[events.visit]\ntime = \"at\"\nfields = { card_id = \"string\" }\n\
                 [views.visits]\nentity = \"card_id\"\nevents = \"visit\"\n\
                 features.count = { dtype = \"int64\", default = 0, aggregate = \"count\", window = \"1h\" }\n";
        fs::write(file, text).unwrap();
    });
    let file = |name: &str, text: &str| {
        let file = setup.folder().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let events = file("events.jsonl", "nothing\n");
    let spine = file("spine.csv", "card_id,time\na,1567245600\n");
    let out = setup.folder().join("train.csv");
    let rejects = setup.folder().join("elsewhere.jsonl");
    let made = setup
        .run(&[
            "features",
            "history",
            "--events",
            &events,
            "--spine",
            &spine,
            "--views",
            "visits",
            "--out",
            out.to_str().unwrap(),
            "--rejects",
            rejects.to_str().unwrap(),
        ])
        .await;
    assert_code(&made, 1);
    assert!(made.said.contains("1 rejected"), "{}", made.said);
    assert!(out.exists() && rejects.exists());
}
