//! `gavel features put`.

use clap::Args;
use gateway::{config::Config, diagnostic::Report, load, serve::Failure};

#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The view.
    #[arg(long)]
    view: String,
    /// An entity, as card_id=4022; one for each that the view is about.
    #[arg(long = "entity", required = true, value_parser = super::pair)]
    entities: Vec<(String, String)>,
    /// When that was true: 2019-08-31T10:00:00Z, or Unix seconds [default: now].
    #[arg(long)]
    event_time: Option<String>,
    /// Features, as txn_count_24h=3; a list as 'last=[1,2]'. What is left out is null.
    #[arg(value_parser = super::pair)]
    values: Vec<(String, String)>,
}

pub(crate) async fn run(
    args: Put,
    config: &Config,
    report: &mut Report,
) -> Result<String, Failure> {
    let (catalog, store) = super::features::open(config, report)?;
    let mut fields = args.entities;
    fields.extend(args.values);
    let time = args.event_time.map(|time| ("event_time".to_owned(), time));
    fields.extend(time);
    for (i, (name, _)) in fields.iter().enumerate() {
        if fields[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(Failure(format!("`{name}` is given twice")));
        }
    }
    match load::put(&args.view, &fields, &catalog, &store).await? {
        true => Ok(format!("1 row written to the {} store", store.kind())),
        false => Err(Failure(format!(
            "the {} store holds a newer row of this entity: nothing was written",
            store.kind()
        ))),
    }
}
