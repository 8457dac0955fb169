//! `gavel features …`: what is in the online store, read and written by hand.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use gateway::{
    config::Config,
    decision,
    diagnostic::{Report, count},
    load,
    serve::Failure,
};

use super::get::{self, Get};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What a decision would see of some entities now: values, their status, age and source.
    Get(Get),
    /// Load rows of JSON lines: {"view":"card","entity":{"card_id":"1"},"values":{"txn_count_24h":3}}
    Load {
        /// The file.
        file: PathBuf,
    },
}

/// Runs one of them.
pub(crate) fn run(
    command: Command,
    config: &Config,
    report: &mut Report,
) -> Result<String, Failure> {
    match command {
        Command::Get(get) => super::with_runtime(get::run(get, config, report)),
        Command::Load { file } => super::with_runtime(load(config, &file, report)),
    }
}

async fn load(config: &Config, file: &Path, report: &mut Report) -> Result<String, Failure> {
    let Some(decisions) =
        decision::read_folder(&config.decisions, report).filter(|_| report.errors() == 0)
    else {
        return Err(Failure("the features cannot be read".into()));
    };
    let store =
        features::Store::open(&config.store_url).map_err(|error| Failure(error.to_string()))?;
    let loaded = load::load(file, &decisions.catalog, &store, |line| {
        let _ = writeln!(std::io::stderr(), "{line}");
    })
    .await?;
    let written = format!(
        "{} written to the {} store",
        count(loaded.written, "row"),
        store.kind()
    );
    if loaded.refused > 0 {
        return Err(Failure(format!(
            "{}; {} refused",
            written,
            count(loaded.refused, "line")
        )));
    }
    Ok(written)
}
