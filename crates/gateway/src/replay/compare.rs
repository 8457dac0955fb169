//! What was logged beside what came out again, bit for bit.

use std::fmt;

use decision_log::Record;
use features::FeatureRow;

use crate::{
    decision_log::{plain, value},
    tiers::Scored,
};

/// One thing that is not as it was. `Display` is a line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `feature card.a`, `tensor features`, `score fraud`, `action`.
    pub what: String,
    /// As it was logged.
    pub logged: String,
    /// As it came out.
    pub replayed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: logged {}, replayed {}",
            self.what, self.logged, self.replayed
        )
    }
}

/// Everything of a record that is not as it was.
pub(super) fn differences(
    record: &Record,
    row: &FeatureRow,
    scored: &Scored,
    action: &str,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut differ = |what: String, logged: String, replayed: String| {
        found.push(Difference {
            what,
            logged,
            replayed,
        });
    };
    let schema = &*record.schema;
    let mut logged = schema.columns.iter().zip(&record.columns).cycle();
    for column in row.columns() {
        // The columns are in the same order when nothing has changed.
        let mut same_name = logged.by_ref().take(schema.columns.len());
        let Some((_, cell)) = same_name.find(|(field, _)| *field.name == *column.name) else {
            continue;
        };
        let replayed = value(column.value);
        if !replayed.same_bits(&cell.value) {
            let what = format!("feature {}", column.name);
            differ(what, exact(&cell.value), exact(&replayed));
        } else if column.status.name() != cell.status.name() {
            let what = format!("status of {}", column.name);
            differ(what, cell.status.name().into(), column.status.name().into());
        }
    }
    for tensor in &record.tensors {
        let what = || format!("tensor {}", tensor.name);
        match scored.seen.iter().find(|seen| seen.name == tensor.name) {
            Some(seen) if *seen.data == *tensor.data => {}
            Some(seen) => {
                let pairs = seen.data.iter().zip(tensor.data.iter());
                let at = pairs.take_while(|(a, b)| a == b).count();
                let (logged, replayed) = (tensor.data.len(), seen.data.len());
                differ(
                    what(),
                    format!("{logged} bytes"),
                    format!("{replayed} bytes, the first other one at {at}"),
                );
            }
            None => differ(
                what(),
                format!("{} bytes", tensor.data.len()),
                "nothing".into(),
            ),
        }
    }
    for (name, (logged, replayed)) in schema
        .scores
        .iter()
        .zip(record.scores.iter().zip(&scored.scores))
    {
        if logged.to_bits() != replayed.to_bits() {
            let what = format!("score {name}");
            differ(what, logged.to_string(), replayed.to_string());
        }
    }
    if *record.action != *action {
        differ("action".into(), record.action.to_string(), action.into());
    }
    found
}

/// A value, and its bits where two may look the same.
fn exact(value: &decision_log::Value) -> String {
    match value {
        decision_log::Value::Float32(number) => format!("{number} ({:#010x})", number.to_bits()),
        decision_log::Value::Float64(number) => format!("{number} ({:#018x})", number.to_bits()),
        other => plain(other),
    }
}
