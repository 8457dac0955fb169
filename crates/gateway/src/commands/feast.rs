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

#[cfg(test)]
mod tests {
    use features::{FeastField, Status};

    use super::*;

    fn field(name: &str, value_type: &str, status: Status, value: Json) -> FeastField {
        let is_corrupt = name == "bad";
        FeastField {
            name: name.to_owned(),
            value_type: value_type.to_owned(),
            status,
            kind: (!value.is_null()).then_some("some_val"),
            value,
            is_corrupt,
        }
    }

    fn row(event_time_us: Option<i64>) -> FeastRow {
        FeastRow {
            event_time_us,
            features: vec![
                field("attributes", "MAP", Status::Stale, json!({ "k": "v" })),
                field("bad", "INT64", Status::Missing, Json::Null),
                field("none", "STRING", Status::Null, Json::Null),
            ],
        }
    }

    #[test]
    fn a_table_shows_each_status_and_the_age() {
        let now = UNIX_EPOCH + Duration::from_micros(3_661_500_000);
        let shown = table(&row(Some(1_500_000)), now);
        assert_eq!(
            shown,
            "FEATURE     TYPE    STATUS   VALUE\n\
             attributes  MAP     stale    {\"k\":\"v\"}\n\
             bad         INT64   corrupt  -\n\
             none        STRING  null     -\n\
             true at 1970-01-01T00:00:01.500000Z, 1h 1m ago"
        );
        let nothing = table(&row(None), now);
        assert!(nothing.ends_with("Feast has stored nothing of this entity in this view"));
    }

    #[test]
    fn json_holds_whole_values_and_survives_times_out_of_range() {
        let now = UNIX_EPOCH + Duration::from_secs(10);
        let entity = [("id".to_owned(), "7".to_owned())];
        let shown = to_json("v", &entity, &row(Some(4_000_000)), now);
        assert_eq!(shown["age_s"], json!(6.0));
        assert_eq!(shown["entity"], json!({ "id": "7" }));
        assert_eq!(
            shown["features"]["attributes"]["value"],
            json!({ "k": "v" })
        );
        assert_eq!(shown["features"]["bad"]["corrupt"], json!(true));
        for time_us in [i64::MIN, -1, i64::MAX] {
            let row = row(Some(time_us));
            assert_eq!(to_json("v", &entity, &row, now)["event_time"], Json::Null);
            assert!(table(&row, now).contains("a time out of range"));
        }
    }
}
