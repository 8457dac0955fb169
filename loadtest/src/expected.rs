//! Which score each tier owes each question, learnt before a run, and whether an answer is that.

use crate::wire::{Answer, Tier};

/// A merged batch may be computed by other kernels than a single row, and so differ in the last
/// digits of a 32-bit float. Distinct questions are further apart.
const TOLERANCE: f64 = 1e-6;

/// Right answers by question and tier.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    by_question: Vec<Owed>,
}

#[derive(Clone, Debug, Default)]
struct Owed {
    with_store: [Option<f64>; Tier::ALL.len()],
    without_store: [Option<f64>; Tier::ALL.len()],
}

/// What is to be said about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The tier's score for this question, with what the store holds or without it.
    Right {
        /// Whether the stored features were used.
        with_store: bool,
    },
    /// Another score, or an answer to another question.
    Wrong,
    /// No reference of this tier is known.
    Unknown,
}

impl Expected {
    /// Nothing is known of this many questions.
    pub fn new(questions: usize) -> Self {
        Self {
            by_question: vec![Owed::default(); questions],
        }
    }

    /// Learns a right answer. `with_store` says whether the question was asked as it is, or as of
    /// strangers.
    pub fn learn(&mut self, question: usize, with_store: bool, answer: Answer) {
        if let Some(owed) = self.by_question.get_mut(question) {
            let side = if with_store {
                &mut owed.with_store
            } else {
                &mut owed.without_store
            };
            side[answer.tier as usize] = Some(answer.score);
        }
    }

    /// The score that a tier owes a question when the store answers.
    pub fn score(&self, question: usize, tier: Tier) -> Option<f64> {
        self.by_question.get(question)?.with_store[tier as usize]
    }

    /// Judges an answer.
    pub fn judge(&self, question: usize, answer: Answer) -> Verdict {
        let Some(owed) = self.by_question.get(question) else {
            return Verdict::Unknown;
        };
        if !answer.is_to_question {
            return Verdict::Wrong;
        }
        let tier = answer.tier as usize;
        let sides = [
            (owed.with_store[tier], true),
            (owed.without_store[tier], false),
        ];
        for (reference, with_store) in sides {
            if let Some(score) = reference
                && (score - answer.score).abs() <= TOLERANCE
            {
                return Verdict::Right { with_store };
            }
        }
        match owed.with_store[tier] {
            Some(_) => Verdict::Wrong,
            None => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(tier: Tier, score: f64) -> Answer {
        Answer {
            tier,
            score,
            is_to_question: true,
        }
    }

    #[test]
    fn an_answer_is_right_when_its_tier_owes_this_question_that_score() {
        let mut expected = Expected::new(2);
        expected.learn(0, true, answer(Tier::Primary, 0.25));
        expected.learn(0, false, answer(Tier::Primary, 0.5));
        expected.learn(1, true, answer(Tier::Primary, 0.75));
        let judge = |question, answer| expected.judge(question, answer);
        let right = |with_store| Verdict::Right { with_store };
        assert_eq!(judge(0, answer(Tier::Primary, 0.25)), right(true));
        assert_eq!(judge(0, answer(Tier::Primary, 0.5)), right(false));
        assert_eq!(judge(0, answer(Tier::Primary, 0.75)), Verdict::Wrong);
        assert_eq!(judge(0, answer(Tier::Primary, f64::NAN)), Verdict::Wrong);
        assert_eq!(judge(0, answer(Tier::Rules, 0.25)), Verdict::Unknown);
        let mut other = answer(Tier::Primary, 0.25);
        other.is_to_question = false;
        assert_eq!(judge(0, other), Verdict::Wrong);
    }
}
