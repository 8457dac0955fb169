//! `gavel features get`.

use std::time::SystemTime;

use super::feast::Feast;
use clap::Args;
use features::{Store, StoreError};
use gateway::{
    config::Config,
    diagnostic::Report,
    inspect::{self, Asked},
    serve::Failure,
};

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The decision whose features are meant.
    #[arg(long, required_unless_present = "feast")]
    decision: Option<String>,
    #[command(flatten)]
    feast: Feast,
    /// An entity's key; once for each entity of the decision.
    #[arg(long = "entity", value_name = "NAME=KEY", value_parser = super::pair)]
    entities: Vec<(String, String)>,
    /// What a caller would send; what is left out is missing.
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = super::pair)]
    inputs: Vec<(String, String)>,
    /// The moment at which features are measured, in RFC 3339 [default: what the decision says, or now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<SystemTime>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What the decision would see, as a table or as JSON. `store_url` is what was asked for beside the
/// configuration, which names the decisions' store.
pub(crate) async fn run(
    get: Get,
    config: &Config,
    store_url: Option<&str>,
    report: &mut Report,
) -> Result<String, Failure> {
    if get.feast.feast.is_some() {
        return get.feast.run(&get.entities, store_url, get.json).await;
    }
    let decision = get.decision.unwrap_or_default();
    let asked = Asked {
        entities: get.entities,
        inputs: get.inputs,
        at: get.at,
    };
    let (definition, catalog, plan) = inspect::plan(config, &decision, report)?;
    let store = Store::open_for(&config.store_url, &catalog).map_err(|error| match error {
        StoreError::Locked { .. } => {
            let url = inspect::url(config.server.admin_listen, &decision, &asked);
            Failure(format!(
                "{error}. If a gateway has it open, ask that one: curl '{url}'"
            ))
        }
        error => Failure(error.to_string()),
    })?;
    let unavailable = |error: StoreError| Failure(error.to_string());
    store.ping().await.map_err(unavailable)?;
    let seen = inspect::see(&definition, &plan, &store, &asked).await;
    let seen = seen.map_err(Failure)?;
    if !seen.is_answered() {
        return Err(Failure("the feature store did not answer in time".into()));
    }
    Ok(match get.json {
        true => format!("{:#}", seen.json()),
        false => seen.table(),
    })
}

fn moment(written: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339(written)
        .map_err(|error| format!("expected a time such as 2019-08-31T10:00:00Z: {error}"))
}
