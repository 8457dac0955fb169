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
    let computed = format!("computed anew: {}", answers(&replayed, "primary"));
    assert!(
        replayed.said.contains(&computed),
        "{computed}: {}",
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
