//! The subcommands: each turns its arguments into a call of the library and says what came of it.

pub(crate) mod check;
pub(crate) mod feast;
pub(crate) mod features;
pub(crate) mod get;
mod history;
pub(crate) mod ingest;
mod load;
pub(crate) mod log;
mod put;
pub(crate) mod replay;
mod select;
pub(crate) mod serve;

use gateway::serve::Failure;

/// Runs to the end on a runtime of its own.
fn with_runtime(run: impl Future<Output = Result<String, Failure>>) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(run)
}

/// `name=value`; a value may hold further `=`.
fn pair(written: &str) -> Result<(String, String), String> {
    match written.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected a name and a value, such as card_id=4022".to_owned()),
    }
}
