//! When questions are asked, and the books that are kept: the same for every system and protocol.

mod arrivals;
mod closed;
mod jobs;
mod open;
mod pacer;
mod tally;
mod window;

#[cfg(test)]
mod tests;

pub use arrivals::{ArrivalsError, Poisson, from_file};
pub use closed::closed_loop;
pub use open::{OpenLoop, open_loop};
pub use pacer::{FinePacer, Pacer, RuntimePacer};
pub use tally::{Outcome, Tally, TierCounts};
pub use window::Window;

/// One who asks a question and waits for its answer. A closed loop has a fixed number of these; an
/// open loop takes as many as it needs.
pub trait Caller {
    /// Connects, where that can be done before the first call.
    fn prepare(&mut self) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// Asks the question at that place. A caller whose connection broke opens another at its next
    /// call.
    fn call(&mut self, question: usize) -> impl Future<Output = Outcome>;
}
