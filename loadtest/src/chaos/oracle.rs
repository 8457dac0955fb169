//! The questions of the load, and what every tier owes each of them.
//!
//! Right answers are learnt from Gavel itself at rest, asked one question at a time: for each tier,
//! with all features and without those of a card, a store, or both. So a score that belongs to
//! another row, a stale one, or features that were half read are noticed.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    BUDGET,
    gateway::{Gateway, Kit, Setup},
    http, pause,
};
use crate::questions::{self, is_id};

/// A merged batch may be computed by other kernels than a single row and differ in the last digits
/// of a 32-bit float; distinct questions are further apart.
const TOLERANCE: f64 = 1e-6;
const READY_LIMIT: Duration = Duration::from_secs(20);
/// Tiers, best first.
pub(super) const TIERS: [&str; 3] = ["primary", "secondary", "rules"];
/// A feature of each view that every stored row has.
const MARKERS: [&str; 2] = ["card.txn_count_24h", "store.txn_count_30d"];

/// One question, as a body.
#[derive(Debug)]
pub(super) struct Question {
    place: usize,
    /// JSON.
    pub(super) body: String,
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Its place in [`TIERS`].
    pub(super) tier: usize,
    /// Every view was read.
    pub(super) features: bool,
    /// Why the primary tier did not answer, in the gateway's word.
    pub(super) skipped: Option<String>,
    /// What is wrong with it.
    pub(super) wrong: Option<String>,
}

/// What is owed: by place of the question and of the tier, and by which views are missing.
type Owed = HashMap<(usize, usize, [bool; 2]), (f64, String)>;

/// The questions and their right answers.
#[derive(Debug)]
pub(super) struct Oracle {
    questions: Vec<Question>,
    owed: Owed,
}

impl Oracle {
    /// Learns what is owed from gateways in front of one healthy Triton.
    ///
    /// # Errors
    /// If one does not start, or a tier does not answer.
    pub(super) fn learn(kit: &Kit, triton: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let decisions = folder.path().join("decisions");
        one_decision_a_tier(&kit.root, &decisions)
            .map_err(|error| format!("decisions: {error}"))?;
        let asked = questions::read(&kit.root).map_err(|error| error.to_string())?;
        let (mut owed, mut strangers) = (Owed::new(), HashSet::new());
        for missing in [[false, false], [true, false], [false, true], [true, true]] {
            let name = format!("store-{}-{}", missing[0], missing[1]);
            let store = format!("embedded:{}", folder.path().join(&name).display());
            if missing != [true, true] {
                let payments = folder.path().join("payments.jsonl");
                let written = keep_views(&kit.payments(), &payments, missing);
                written.map_err(|error| error.to_string())?;
                kit.ingest(&store, &payments)?;
            }
            let setup = Setup {
                tritons: vec![triton.to_owned()],
                store,
                decisions: Some(decisions.clone()),
                ..Setup::default()
            };
            let gateway = Gateway::start(kit, setup, &folder.path().join("log"))?;
            for (tier, name) in TIERS.iter().enumerate() {
                for (place, payment) in asked.iter().enumerate() {
                    let answer = answer_of(&gateway, name, payment)?;
                    if missing == [false, false] && missing_views(&answer) != missing {
                        strangers.insert(place);
                    }
                    owed.insert((place, tier, missing), read(&answer)?);
                }
            }
        }
        let questions = asked.into_iter().enumerate().map(|(place, mut asked)| {
            asked.budget_ms = Some(BUDGET.as_secs_f64() * 1e3);
            Question {
                place,
                body: body_of(&asked),
            }
        });
        // A card that nobody knows is never whole.
        let known = questions.filter(|question| !strangers.contains(&question.place));
        Ok(Self {
            questions: known.collect(),
            owed,
        })
    }

    /// The question that is asked at that turn.
    pub(super) fn question(&self, turn: usize) -> &Question {
        &self.questions[turn % self.questions.len()]
    }

    /// Judges the body of an answer.
    pub(super) fn judge(&self, question: &Question, body: &[u8]) -> Judgement {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let tier = TIERS.iter().position(|tier| answer["tier"] == **tier);
        let missing = missing_views(&answer);
        let wrong = match tier {
            None => Some(format!(
                "no tier of ours: {}",
                String::from_utf8_lossy(body)
            )),
            Some(tier) => self.fault_of(question, tier, missing, &answer),
        };
        let skipped = answer["skipped"].as_array().and_then(|skips| skips.first());
        Judgement {
            skipped: skipped.and_then(|skip| Some(skip["reason"].as_str()?.to_owned())),
            tier: tier.unwrap_or(TIERS.len() - 1),
            features: missing == [false, false],
            wrong,
        }
    }

    fn fault_of(
        &self,
        question: &Question,
        tier: usize,
        missing: [bool; 2],
        answer: &Value,
    ) -> Option<String> {
        let place = question.place;
        if !is_id(answer["id"].as_str().unwrap_or_default(), place) {
            return Some(format!(
                "question {place} got the answer to {}",
                answer["id"]
            ));
        }
        let Some(owed) = self.owed.get(&(place, tier, missing)) else {
            return Some(format!("nothing is known of question {place}"));
        };
        match read(answer) {
            Ok((score, action)) if (score - owed.0).abs() <= TOLERANCE && action == owed.1 => None,
            Ok(got) => Some(format!(
                "question {place}, {} (views missing: {missing:?}): {got:?}, owed {owed:?}",
                TIERS[tier]
            )),
            Err(why) => Some(why),
        }
    }
}

/// Which of the card's and the store's features were not found.
fn missing_views(answer: &Value) -> [bool; 2] {
    let missing = answer["features"]["missing"].as_array();
    MARKERS.map(|marker| missing.is_some_and(|list| list.iter().any(|name| name == marker)))
}

/// The score and the action of an answer.
fn read(answer: &Value) -> Result<(f64, String), String> {
    let scores = answer["scores"].as_object();
    let score = scores.and_then(|scores| scores.values().next()?.as_f64());
    let action = answer["action"].as_str();
    score
        .zip(action)
        .map(|(score, action)| (score, action.to_owned()))
        .ok_or_else(|| format!("no decision: {answer}"))
}

/// The answer of a tier, once it gives one.
fn answer_of(
    gateway: &Gateway,
    tier: &str,
    payment: &questions::Question,
) -> Result<Value, String> {
    let mut payment = payment.clone();
    payment.decision = tier.to_owned();
    let payment = body_of(&payment);
    let began = Instant::now();
    loop {
        let answer = http::ask(gateway.port, "/v1/decide", Some(&payment));
        let (_, body) = answer.map_err(|error| format!("at rest, {tier}: {error}"))?;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        if answer["tier"] == tier {
            return Ok(answer);
        }
        if began.elapsed() > READY_LIMIT {
            return Err(format!("at rest, {tier} does not answer: {body}"));
        }
        pause(Duration::from_millis(50));
    }
}

fn body_of(question: &questions::Question) -> String {
    String::from_utf8_lossy(&question.to_json()).into_owned()
}

/// The repository's decision three times, named after the tier that answers it, without those
/// above.
fn one_decision_a_tier(root: &Path, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let ours = root.join("decisions");
    fs::copy(ours.join("features.toml"), folder.join("features.toml"))?;
    let rules = fs::read_to_string(ours.join("fraud.rules.toml"))?;
    let decision = fs::read_to_string(ours.join("fraud.toml"))?;
    let mut parts = decision.split("[[tiers]]");
    let head = parts.next().unwrap_or_default();
    let tiers: Vec<_> = parts.collect();
    for (place, name) in TIERS.iter().enumerate() {
        // A score is named after its decision.
        let scores = rules.replace("{ fraud = ", &format!("{{ {name} = "));
        fs::write(folder.join(format!("{name}.rules.toml")), scores)?;
        let named = head.replace("name = \"fraud\"", &format!("name = \"{name}\""));
        // Time enough on a busy machine: what is learnt is not how fast.
        let patient = named.replace("budget = \"95ms\"", "budget = \"2s\"");
        let patient = patient.replace("slice = \"10ms\"", "slice = \"1s\"");
        let rest = tiers.iter().skip(place).copied().collect::<Vec<_>>();
        let rest = rest
            .join("[[tiers]]")
            .replace("fraud.rules.toml", &format!("{name}.rules.toml"));
        let text = format!("{patient}[[tiers]]{rest}");
        fs::write(folder.join(format!("{name}.toml")), text)?;
    }
    Ok(())
}

/// Copies the payments, with other cards or stores in place of those that are to be missing: as many as
/// there were, so that the others' rows stay what they are.
fn keep_views(from: &Path, to: &Path, missing: [bool; 2]) -> std::io::Result<()> {
    let mut copied = String::new();
    for line in fs::read_to_string(from)?.lines() {
        let mut payment: Value = serde_json::from_str(line)?;
        for (missing, entity) in missing.into_iter().zip(["card_id", "store_id"]) {
            if missing {
                let other = format!("not-{}", payment[entity].as_str().unwrap_or_default());
                payment[entity] = other.into();
            }
        }
        copied.push_str(&format!("{payment}\n"));
    }
    fs::write(to, copied)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WHOLE: [bool; 2] = [false, false];
    const NO_CARD: [bool; 2] = [true, false];

    fn oracle() -> Oracle {
        let question = |place| Question {
            place,
            body: String::new(),
        };
        let owed = [
            ((0, 0, WHOLE), (0.25, "approve".to_owned())),
            ((0, 0, NO_CARD), (0.5, "review".to_owned())),
            ((1, 0, WHOLE), (0.75, "review".to_owned())),
        ];
        Oracle {
            questions: vec![question(0), question(1)],
            owed: owed.into(),
        }
    }

    fn judged(id: &str, score: f64, action: &str, missing: &[&str]) -> Judgement {
        let oracle = oracle();
        let answer = json!({
            "id": id,
            "action": action,
            "scores": { "fraud": score },
            "tier": "primary",
            "skipped": [],
            "features": { "missing": missing },
        });
        oracle.judge(oracle.question(0), answer.to_string().as_bytes())
    }

    #[test]
    fn an_answer_is_right_with_the_features_that_it_says_it_had() {
        let whole = judged("q-0", 0.25 + 1e-7, "approve", &[]);
        assert_eq!((whole.wrong, whole.features), (None, true));
        let without = judged("q-0", 0.5, "review", &MARKERS[..1]);
        assert_eq!((without.wrong, without.features), (None, false));
        for (id, score, action, missing) in [
            ("q-0", 0.75, "review", &[][..]),
            ("q-0", 0.25, "review", &[]),
            ("q-0", 0.5, "review", &[]),
            ("q-0", 0.25, "approve", &MARKERS[..1]),
            ("q-1", 0.25, "approve", &[]),
            ("q-0", 0.25, "approve", &MARKERS[1..]),
        ] {
            let judgement = judged(id, score, action, missing);
            assert!(
                judgement.wrong.is_some(),
                "{id} {score} {action} {missing:?}"
            );
        }
        let oracle = oracle();
        assert!(oracle.judge(oracle.question(0), b"{}").wrong.is_some());
    }

    #[test]
    fn questions_come_in_turn() {
        let oracle = oracle();
        let places = [0, 1, 2, 3].map(|turn| oracle.question(turn).place);
        assert_eq!(places, [0, 1, 0, 1]);
    }
}
