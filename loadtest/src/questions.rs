//! The distinct questions that are asked: payments from the repository's examples.
//!
//! A question's id is its place, so that an answer to another question is noticed. All are asked as of one
//! moment, right after everything in `examples/payments.jsonl`, so that what a card did is one row.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One payment, and what is asked about it.
#[derive(Clone, Debug, Deserialize)]
pub struct Question {
    /// Which decision.
    pub decision: String,
    /// Returned as it came.
    #[serde(default)]
    pub id: String,
    /// Entity keys by name.
    pub entities: Map<String, Value>,
    /// What the caller knows, by name.
    pub inputs: Map<String, Value>,
    /// The caller's latency budget in milliseconds; `None` is the decision's own.
    pub budget_ms: Option<f64>,
}

/// Why there are no questions.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct QuestionsError {
    file: String,
    why: String,
}

/// Reads the payments of `examples/*.json` and `models/golden/fraud_rows.json` below `root`, in a
/// fixed order, all at the moment of `examples/fraud.json`. What their cards and stores did until then is in
/// `examples/payments.jsonl`.
///
/// # Errors
/// A file that cannot be read, in words.
pub fn read(root: &Path) -> Result<Vec<Question>, QuestionsError> {
    let mut questions = Vec::new();
    let examples = root.join("examples");
    let mut files: Vec<_> = fs::read_dir(&examples)
        .map_err(|error| failed(&examples, error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    for file in files {
        questions.push(parse::<Question>(&file)?);
    }
    questions.extend(golden(root)?.into_iter().map(|row| row.request));
    let example = parse::<Question>(&examples.join("fraud.json"))?;
    let moment = example.inputs.get("timestamp").cloned().unwrap_or_default();
    for question in &mut questions {
        question.inputs.insert("timestamp".into(), moment.clone());
    }
    Ok(numbered(questions))
}

/// Reads other questions: a line of JSON each, as a caller would ask them.
///
/// # Errors
/// The file cannot be read, or a line is no question; in words.
pub fn read_lines(file: &Path) -> Result<Vec<Question>, QuestionsError> {
    let text = fs::read_to_string(file).map_err(|error| failed(file, error))?;
    let questions: Vec<Question> = text
        .lines()
        .enumerate()
        .map(|(line, text)| {
            let question = serde_json::from_str(text);
            question.map_err(|error| failed(file, format!("line {}: {error}", line + 1)))
        })
        .collect::<Result<_, _>>()?;
    if questions.is_empty() {
        return Err(failed(file, "there is no question in it"));
    }
    Ok(numbered(questions))
}

/// Each with the id of its place, and the decision's own budget.
fn numbered(mut questions: Vec<Question>) -> Vec<Question> {
    for (place, question) in questions.iter_mut().enumerate() {
        question.id = id_of(place);
        question.budget_ms = None;
    }
    questions
}

/// The id of the question at that place.
pub fn id_of(place: usize) -> String {
    format!("q-{place}")
}

/// Whether `id` is that of the question at that place.
pub fn is_id(id: &str, place: usize) -> bool {
    id.strip_prefix("q-")
        .is_some_and(|digits| digits.parse() == Ok(place))
}

impl Question {
    /// As a JSON body.
    pub fn to_json(&self) -> Vec<u8> {
        let mut body = json!({
            "decision": self.decision,
            "id": self.id,
            "entities": self.entities,
            "inputs": self.inputs,
        });
        if let Some(budget_ms) = self.budget_ms {
            body["budget_ms"] = budget_ms.into();
        }
        body.to_string().into_bytes()
    }

    /// The same payment by a card and in a store that nobody has seen: what is left of it when the
    /// online store does not answer.
    pub fn of_strangers(&self) -> Self {
        let mut stranger = self.clone();
        for value in stranger.entities.values_mut() {
            *value = Value::from("nobody-has-seen-this-one");
        }
        stranger
    }
}

/// A row of the golden file: a payment, and the tensor that the primary model is owed for it.
#[derive(Debug, Deserialize)]
pub(crate) struct GoldenRow {
    pub(crate) request: Question,
    #[cfg(test)]
    pub(crate) views: Map<String, Value>,
    #[cfg(test)]
    pub(crate) vectors: std::collections::HashMap<String, Vec<f32>>,
}

pub(crate) fn golden(root: &Path) -> Result<Vec<GoldenRow>, QuestionsError> {
    #[derive(Deserialize)]
    struct Golden {
        rows: Vec<GoldenRow>,
    }
    Ok(parse::<Golden>(&root.join("models/golden/fraud_rows.json"))?.rows)
}

fn parse<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<T, QuestionsError> {
    let text = fs::read(file).map_err(|error| failed(file, error))?;
    serde_json::from_slice(&text).map_err(|error| failed(file, error))
}

fn failed(file: &Path, why: impl ToString) -> QuestionsError {
    QuestionsError {
        file: file.display().to_string(),
        why: why.to_string(),
    }
}

/// The repository's root, where this crate was built.
pub fn repository_root() -> &'static Path {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root.parent().unwrap_or(crate_root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_a_question_of_its_own() {
        let questions = read(repository_root()).unwrap();
        assert!(questions.len() > 40, "{}", questions.len());
        for (place, question) in questions.iter().enumerate() {
            assert!(is_id(&question.id, place));
            assert!(!is_id(&question.id, place + 1));
            assert!(question.inputs.contains_key("amount"));
        }
    }

    #[test]
    fn lines_are_questions_and_what_is_none_is_told_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("questions.jsonl");
        let line = r#"{"decision":"card","entities":{"card_id":"c1"},"inputs":{}}"#;
        fs::write(&file, format!("{line}\n{line}\n")).unwrap();
        let questions = read_lines(&file).unwrap();
        assert_eq!(questions.len(), 2);
        assert!(is_id(&questions[1].id, 1));
        assert_eq!(questions[1].entities["card_id"], "c1");
        fs::write(&file, format!("{line}\n{{}}\n")).unwrap();
        let error = read_lines(&file).unwrap_err().to_string();
        assert!(error.contains("questions.jsonl: line 2: "), "{error}");
        fs::write(&file, "").unwrap();
        assert!(read_lines(&file).is_err());
    }
}
