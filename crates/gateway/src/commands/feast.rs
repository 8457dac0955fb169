//! `gavel features get --feast`: one entity of one of Feast's views, as it is stored.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use features::{FeastProblem, FeastReadError, FeastRepository, FeastRow, Store};
use gateway::serve::Failure;
use serde_json::{Value as Json, json};

#[derive(Debug, Args)]
pub(crate) struct Feast {
    /// A Feast repository's feature_store.yaml: shows one entity of one of its views, of whatever
    /// types. Reads the Redis that it names, or --store.
    #[arg(long, value_name = "FILE", requires = "view", conflicts_with_all = ["decision", "inputs", "at"])]
    pub(crate) feast: Option<PathBuf>,
    /// The view of Feast's that is meant.
    #[arg(long, requires = "feast")]
    view: Option<String>,
}

impl Feast {
    /// What is stored of the entity, as a table or as JSON.
    pub(crate) async fn run(
        self,
        entity: &[(String, String)],
        store_url: Option<&str>,
        as_json: bool,
    ) -> Result<String, Failure> {
        let (file, view) = (
            self.feast.unwrap_or_default(),
            self.view.unwrap_or_default(),
        );
        let repository = FeastRepository::open(&file).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(FeastProblem::to_string).collect();
            Failure(lines.join("\n"))
        })?;
        let store = Store::open(store_url.unwrap_or(repository.store_url()))
            .map_err(|error| Failure(error.to_string()))?;
        let now = SystemTime::now();
        let read = repository.read(&store, &view, entity, now).await;
        let row = read.map_err(|error: FeastReadError| Failure(error.to_string()))?;
        Ok(match as_json {
            true => format!("{:#}", to_json(&view, entity, &row, now)),
            false => table(&row, now),
        })
    }
}

fn to_json(view: &str, entity: &[(String, String)], row: &FeastRow, now: SystemTime) -> Json {
    let features = row.features.iter().map(|field| {
        let field_json = json!({
            "type": field.value_type,
            "status": field.status.name(),
            "corrupt": field.is_corrupt,
            "kind": field.kind,
            "value": field.value,
        });
        (field.name.clone(), field_json)
    });
    let entity = entity.iter();
    let entity = entity.map(|(name, value)| (name.clone(), Json::from(value.as_str())));
    json!({
        "view": view,
        "entity": entity.collect::<serde_json::Map<_, _>>(),
        "event_time": row.event_time_us.and_then(time).map(|time| time.to_string()),
        "age_s": row.event_time_us.map(|time_us| age(time_us, now).as_secs_f64()),
        "features": features.collect::<serde_json::Map<_, _>>(),
    })
}

fn table(row: &FeastRow, now: SystemTime) -> String {
    let mut lines = vec![["FEATURE", "TYPE", "STATUS", "VALUE"].map(str::to_owned)];
    for field in &row.features {
        let status = match field.is_corrupt {
            true => "corrupt",
            false => field.status.name(),
        };
        let value = match field.kind {
            Some(_) => field.value.to_string(),
            None => "-".to_owned(),
        };
        lines.push([
            field.name.clone(),
            field.value_type.clone(),
            status.to_owned(),
            value,
        ]);
    }
    let width = |column: usize| {
        let widths = lines.iter().map(|line| line[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let mut text: Vec<String> = lines
        .iter()
        .map(|[name, kind, status, value]| {
            let [a, b, c] = widths;
            format!("{name:a$}  {kind:b$}  {status:c$}  {value}")
        })
        .collect();
    text.push(match row.event_time_us {
        None => "Feast has stored nothing of this entity in this view".to_owned(),
        Some(time_us) => {
            let age = Duration::from_secs(age(time_us, now).as_secs());
            let at = time(time_us)
                .map_or_else(|| "a time out of range".to_owned(), |time| time.to_string());
            format!("true at {at}, {} ago", humantime::format_duration(age))
        }
    });
    text.join("\n")
}

fn time(time_us: i64) -> Option<humantime::Rfc3339Timestamp> {
    let since = Duration::from_micros(time_us.unsigned_abs());
    // The formatter takes times from 1970 to 9999.
    let last = Duration::from_secs(253_402_300_799);
    (time_us >= 0 && since <= last).then(|| humantime::format_rfc3339_micros(UNIX_EPOCH + since))
}

/// Zero for what is in the future.
fn age(time_us: i64, now: SystemTime) -> Duration {
    let now_us = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros());
    let age_us = i128::try_from(now_us).unwrap_or(i128::MAX) - i128::from(time_us);
    Duration::from_micros(u64::try_from(age_us).unwrap_or_default())
}
