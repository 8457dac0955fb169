//! `gavel features history`.

use std::{io::Write, path::PathBuf, sync::Arc};

use clap::Args;
use gateway::{
    config::Config,
    decision,
    diagnostic::Report,
    history::{self, Files, Sight},
    serve::Failure,
};

#[derive(Debug, Args)]
pub(crate) struct History {
    /// Past events, .csv, .jsonl or .parquet; with =TYPE, the type of all of them in features.toml.
    /// Without it each says its own as `type`, where there are several.
    #[arg(long, value_name = "FILE[=TYPE]", required = true, value_parser = events)]
    events: Vec<(PathBuf, Option<String>)>,
    /// Whose features are wanted at which moments: columns of entities and time, and any others.
    #[arg(long)]
    spine: PathBuf,
    /// The decision whose features are wanted; the spine has its inputs as columns.
    #[arg(long, conflicts_with = "views", required_unless_present = "views")]
    decision: Option<String>,
    /// The views whose features are wanted, separated by commas.
    #[arg(long, value_delimiter = ',')]
    views: Vec<String>,
    /// The column of the spine with the moments: times, or Unix seconds.
    #[arg(long, default_value = "time")]
    time: String,
    /// Also say of each feature whether it was present, null, missing or stale.
    #[arg(long)]
    status: bool,
    /// Where rejected rows go [default: FILE.rejected.jsonl beside each file].
    #[arg(long)]
    rejects: Option<PathBuf>,
    /// Where the training set goes: .parquet, .csv or .jsonl.
    #[arg(long)]
    out: PathBuf,
}

/// `FILE=TYPE`, unless there is a file with that whole name.
fn events(written: &str) -> Result<(PathBuf, Option<String>), String> {
    let whole = PathBuf::from(written);
    match written.rsplit_once('=') {
        Some((file, kind)) if !whole.exists() => match (file, kind) {
            ("", _) | (_, "") => Err("expected FILE or FILE=TYPE".to_owned()),
            _ => Ok((file.into(), Some(kind.to_owned()))),
        },
        _ => Ok((whole, None)),
    }
}

/// Makes the training set.
pub(crate) fn run(args: History, config: &Config, report: &mut Report) -> Result<String, Failure> {
    let read = decision::read_folder(&config.decisions, report).filter(|_| report.errors() == 0);
    let Some(decisions) = read else {
        return Err(Failure("the features cannot be read".into()));
    };
    let catalog = Arc::new(decisions.catalog);
    let sight = match &args.decision {
        None => Sight::of_views(&catalog, &args.views)?,
        Some(name) => match decisions.definitions.get(name.as_str()) {
            Some(definition) => Sight::of_decision(&catalog, definition)?,
            None => {
                let known: Vec<&str> = decisions.definitions.keys().map(|name| &**name).collect();
                return Err(Failure(format!(
                    "there is no decision `{name}`; decisions here: {}",
                    known.join(", ")
                )));
            }
        },
    };
    for view in &sight.left_out {
        let _ = writeln!(
            std::io::stderr(),
            "left out: what needs the view `{view}`, which is not made from events, so that its past is not known"
        );
    }
    let files = Files {
        events: args.events,
        spine: args.spine,
        time: args.time,
        out: args.out,
        rejects: args.rejects,
        status: args.status,
    };
    let made = history::make(&catalog, &sight, &files)?;
    let said = format!("{} written to {}", made.say(), files.out.display());
    match made.rejected {
        0 => Ok(said),
        _ => Err(Failure(said)),
    }
}
