//! One measurement of a server that runs already: `loadtest run`.

use std::{io, net::SocketAddr, path::PathBuf, rc::Rc, time::Duration};

use super::{
    measure::{Groups, Load, Measured, Measurement, measure},
    reference::{LearnError, learn},
};
use crate::{
    expected::Expected,
    questions::{self, QuestionsError},
    wire::{Format, Requests, Target, Tier},
};

/// What to ask of whom.
#[derive(Clone, Debug)]
pub struct Single {
    /// The public port of a Gavel, or a bare pipe.
    pub address: SocketAddr,
    /// A file of questions, a line of JSON each; `None` asks the repository's examples.
    pub questions: Option<PathBuf>,
    /// Who answers. An answer by another tier counts as unchecked.
    pub tier: Tier,
    /// A Gavel without Triton, whose secondary tier is the reference for that tier's answers. Answers
    /// by a tier without a reference count as unchecked.
    pub secondary: Option<SocketAddr>,
    /// How it is asked.
    pub format: Format,
    /// HTTP/2 connections that callers share.
    pub connections: usize,
    /// How much is asked.
    pub load: Load,
    /// Arrivals and questions follow from it.
    pub seed: u64,
    /// Sent with every question.
    pub budget: Duration,
    /// Not counted.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
    /// Whose costs are counted.
    pub groups: Groups,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum SingleError {
    /// The examples cannot be read.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
    /// A system gives no reference.
    #[error(
        "{0}: are the features of the questions loaded (of the examples: `gavel ingest --file=examples/payments.jsonl=payment`)?"
    )]
    Learn(#[from] LearnError),
    /// The operating system.
    #[error("measuring: {0}")]
    Io(#[from] io::Error),
}

impl Single {
    /// Learns the right answers from the server itself, then measures it. Must run inside a
    /// [`tokio::task::LocalSet`].
    ///
    /// # Errors
    /// As [`SingleError`] says.
    pub async fn run(self) -> Result<Measured, SingleError> {
        let mut questions = match &self.questions {
            Some(file) => questions::read_lines(file)?,
            None => questions::read(questions::repository_root())?,
        };
        for question in &mut questions {
            question.budget_ms = Some(self.budget.as_secs_f64() * 1e3);
        }
        let mut expected = Expected::new(questions.len());
        learn(&mut expected, &questions, self.address, self.tier).await?;
        if let Some(address) = self.secondary {
            learn(&mut expected, &questions, address, Tier::Secondary).await?;
        }
        let requests = Requests::to_gavel(&questions, self.format);
        let target = Target::new(self.address, requests, self.connections);
        let measurement = Measurement {
            load: self.load,
            questions: questions.len(),
            seed: self.seed,
            budget: self.budget,
            warm_up: self.warm_up,
            measured: self.measured,
            expected: Rc::new(expected),
        };
        Ok(measure(&target, self.groups, &measurement).await?)
    }
}
