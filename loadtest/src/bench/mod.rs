//! Real servers, systems side by side, and what each measurement says.

mod agree;
mod capacity;
mod measure;
mod paced;
mod plan;
mod reference;
mod run;
mod servers;
mod single;

pub use agree::{AgreeError, Others, agree};
pub use measure::{CpuUs, Groups, Load, Measured, Measurement, measure};
pub use plan::{Effort, Plan};
pub use reference::{LearnError, learn};
pub use run::{BenchError, Settings, run};
pub use servers::{Programs, StartError};
pub use single::{Single, SingleError};
