//! What a refusal looks like over HTTP, and what a refusal to start looks like.

use serde_json::Value;

use crate::support::{ask::Answer, gateway::Outcome};

/// The refusal has this status and kind, is problem+json throughout, and its detail or one of its
/// errors says every one of `words`.
#[track_caller]
pub(crate) fn assert_problem(case: &str, answer: &Answer, status: u16, kind: &str, words: &[&str]) {
    let shown = format!(
        "{case}: {} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    assert_eq!(answer.status, status, "{shown}");
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{shown}"
    );
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{shown}"));
    assert_eq!(problem["kind"], kind, "{shown}");
    assert_eq!(problem["status"], status, "{shown}");
    assert_eq!(
        problem["type"],
        format!("urn:gavel:problem:{kind}"),
        "{shown}"
    );
    assert!(problem["title"].is_string(), "{shown}");
    let mut said = problem["detail"]
        .as_str()
        .unwrap_or_else(|| panic!("{shown}"))
        .to_owned();
    for error in problem["errors"].as_array().into_iter().flatten() {
        for key in ["field", "detail"] {
            said.push(' ');
            said.push_str(error[key].as_str().unwrap_or_else(|| panic!("{shown}")));
        }
    }
    assert!(
        said.len() < 4000,
        "{case}: the answer repeats what was sent"
    );
    for word in words {
        assert!(said.contains(word), "`{word}` is not said\n{shown}");
    }
}

/// It ended by itself with this code, and said all of `words`.
#[track_caller]
pub(crate) fn assert_ended(case: &str, outcome: &Outcome, code: i32, words: &[&str]) {
    let said = &outcome.said;
    assert_eq!(outcome.status.code(), Some(code), "{case}:\n{said}");
    assert!(!said.contains("panicked"), "{case}:\n{said}");
    for word in words {
        assert!(said.contains(word), "{case}: `{word}` is not said:\n{said}");
    }
}
