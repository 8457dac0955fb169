//! `gavel features …`: what is in the online store, read and written by hand.

use clap::Subcommand;
use features::{Catalog, Store};
use gateway::{config::Config, decision, diagnostic::Report, serve::Failure};

use super::{get, history, load, put, with_runtime};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What a decision would see of some entities now: values, their status, age and source.
    Get(get::Get),
    /// Load rows from CSV, JSON lines or Parquet. Nested JSON lines name their view:
    /// {"view":"card","entity":{"card_id":"1"},"values":{"txn_count_24h":3}}
    Load(load::Load),
    /// Put one row: gavel features put --view card --entity card_id=1 txn_count_24h=3
    Put(put::Put),
    /// Make a training set: the features that the online store would have answered at past moments.
    History(history::History),
}

/// Runs one of them. `store_url` is the store that the command line or the environment names.
pub(crate) fn run(
    command: Command,
    config: &Config,
    store_url: Option<&str>,
    report: &mut Report,
) -> Result<String, Failure> {
    match command {
        Command::Get(args) => with_runtime(get::run(args, config, store_url, report)),
        Command::Load(args) => with_runtime(load::run(args, config, report)),
        Command::Put(args) => with_runtime(put::run(args, config, report)),
        Command::History(args) => history::run(args, config, report),
    }
}

/// The feature definitions and the store.
pub(super) fn open(config: &Config, report: &mut Report) -> Result<(Catalog, Store), Failure> {
    let Some(decisions) =
        decision::read_folder(&config.decisions, report).filter(|_| report.errors() == 0)
    else {
        return Err(Failure("the features cannot be read".into()));
    };
    let store = Store::open_for(&config.store_url, &decisions.catalog)
        .map_err(|error| Failure(error.to_string()))?;
    Ok((decisions.catalog, store))
}
