//! Learns the right answers before a run: each question once, one at a time.

use std::{net::SocketAddr, time::Duration};

use tokio::time;

use crate::{
    expected::Expected,
    load::{Caller, Outcome},
    questions::Question,
    wire::{Answer, Format, Requests, Target, Tier},
};

/// A model may still be loading, and the first calls are slow.
const ATTEMPTS: usize = 400;
const PAUSE: Duration = Duration::from_millis(50);

/// A system gives no reference.
#[derive(Debug, thiserror::Error)]
#[error("question {question} was not answered by {tier:?} in {ATTEMPTS} attempts: {last:?}")]
pub struct LearnError {
    question: usize,
    tier: Tier,
    last: Outcome,
}

/// Asks a Gavel whose first tier is `tier` each question, as it is and as of strangers.
///
/// # Errors
/// The tier does not answer.
pub async fn learn(
    expected: &mut Expected,
    questions: &[Question],
    address: SocketAddr,
    tier: Tier,
) -> Result<(), LearnError> {
    let strangers: Vec<_> = questions.iter().map(Question::of_strangers).collect();
    for (asked, with_store) in [(questions, true), (&strangers, false)] {
        let requests = Requests::to_gavel(asked, Format::Json);
        let answers = ask_each(&Target::new(address, requests, 1), asked.len(), tier).await?;
        for (question, answer) in answers.into_iter().enumerate() {
            expected.learn(question, with_store, answer);
        }
    }
    Ok(())
}

/// The answers of one tier to each question.
pub(super) async fn ask_each(
    target: &Target,
    questions: usize,
    tier: Tier,
) -> Result<Vec<Answer>, LearnError> {
    let mut caller = target.caller();
    let mut answers = Vec::with_capacity(questions);
    for question in 0..questions {
        answers.push(ask(&mut caller, question, tier).await?);
    }
    Ok(answers)
}

async fn ask(caller: &mut impl Caller, question: usize, tier: Tier) -> Result<Answer, LearnError> {
    let mut last = Outcome::Failed;
    for _ in 0..ATTEMPTS {
        last = caller.call(question).await;
        match last {
            Outcome::Answered(answer) if answer.tier == tier && answer.is_to_question => {
                return Ok(answer);
            }
            _ => time::sleep(PAUSE).await,
        }
    }
    Err(LearnError {
        question,
        tier,
        last,
    })
}
