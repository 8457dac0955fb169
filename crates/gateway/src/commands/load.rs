//! `gavel features load`.

use std::path::PathBuf;

use clap::Args;
use gateway::{
    config::Config,
    diagnostic::Report,
    load::{self, Reading},
    serve::Failure,
};
use tables::Format;

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Files of rows: .csv, .jsonl or .parquet; - is the standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The view that the rows are of: columns are its entities, its features and event_time. Without
    /// it, rows are JSON lines that name their view.
    #[arg(long)]
    view: Option<String>,
    /// The files' format, where their names do not say it: csv, jsonl or parquet.
    #[arg(long)]
    format: Option<Format>,
    /// Where rejected rows go [default: FILE.rejected.jsonl beside each file].
    #[arg(long)]
    rejects: Option<PathBuf>,
}

pub(crate) async fn run(
    args: Load,
    config: &Config,
    report: &mut Report,
) -> Result<String, Failure> {
    let (catalog, store) = super::features::open(config, report)?;
    let reading = Reading {
        format: args.format,
        view: args.view,
        rejects: args.rejects,
    };
    let (loaded, rejects) = load::load(&args.files, &reading, &catalog, &store).await?;
    let mut said = loaded.say(store.kind());
    if loaded.rejected == 0 {
        return Ok(said);
    }
    for file in rejects {
        said += &format!("; see {}", file.display());
    }
    Err(Failure(said))
}
