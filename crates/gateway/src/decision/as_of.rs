//! `[features] as_of = "request.timestamp"`: the moment at which a decision's features are measured.
//!
//! Ages, and windows over events, are counted from it. Without it, from now.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use features::{Dtype, RequestRow, RequestSchema, Value};

use crate::{
    diagnostic::did_you_mean,
    reader::{Problems, Table},
};

/// Which input says the moment: its place in the request, Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsOf {
    input: usize,
}

impl AsOf {
    /// Reads the key from the decision's table of features.
    pub(super) fn read(
        features: &mut Table<'_>,
        schema: &RequestSchema,
        p: &mut Problems<'_>,
    ) -> Option<Self> {
        let written = features.string("as_of", p)?;
        let key = features.key("as_of");
        let named = written.value.strip_prefix("request.");
        let inputs = || schema.inputs.iter();
        let input = named.and_then(|name| inputs().position(|input| input.name == name));
        let (message, hint) = match (named, input) {
            (_, Some(input)) if schema.inputs[input].dtype == Dtype::Int64 => {
                return Some(Self { input });
            }
            (_, Some(input)) => (
                format!(
                    "`{key}` is \"{}\", which is {}, expected an input of type int: Unix seconds",
                    written.value, schema.inputs[input].dtype
                ),
                None,
            ),
            (Some(name), None) => {
                let known = inputs().map(|input| input.name.as_str());
                let message = format!(
                    "`{key}` is \"{}\", and the request has no input `{name}`",
                    written.value
                );
                (message, did_you_mean(name, known))
            }
            (None, None) => {
                let message = format!(
                    "`{key}` is \"{}\", expected an input of the request, in Unix seconds",
                    written.value
                );
                (
                    message,
                    Some("for example as_of = \"request.timestamp\"".to_owned()),
                )
            }
        };
        p.error(written.span, key, message, hint);
        None
    }

    /// The moment that a request says, if it says one that a clock can show.
    pub(crate) fn of(self, request: &RequestRow) -> Option<SystemTime> {
        let Some(Some(Value::Int64(seconds))) = request.inputs.get(self.input) else {
            return None;
        };
        let since = Duration::from_secs(seconds.unsigned_abs());
        match *seconds {
            0.. => UNIX_EPOCH.checked_add(since),
            _ => UNIX_EPOCH.checked_sub(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use features::InputField;

    use super::*;
    use crate::{diagnostic::Report, reader};

    fn schema() -> RequestSchema {
        let input = |name: &str, dtype| InputField {
            name: name.to_owned(),
            dtype,
            required: false,
            default: None,
        };
        RequestSchema {
            entities: Vec::new(),
            inputs: vec![
                input("amount", Dtype::Float64),
                input("timestamp", Dtype::Int64),
            ],
        }
    }

    fn read(source: &str) -> (Option<AsOf>, String) {
        let mut report = Report::default();
        let mut problems = Problems::new(Path::new("fraud.toml"), &mut report);
        let mut table = reader::parse(source, &mut problems);
        let read = AsOf::read(&mut table, &schema(), &mut problems);
        table.finish(&mut problems);
        (read, report.render(false))
    }

    fn request(timestamp: Option<i64>) -> RequestRow {
        RequestRow {
            entities: Vec::new(),
            inputs: vec![Some(Value::Float64(1.0)), timestamp.map(Value::Int64)],
        }
    }

    #[test]
    fn the_moment_is_what_the_request_says_or_nothing() {
        let as_of = read("as_of = 'request.timestamp'").0.unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(as_of.of(&request(Some(1))), Some(UNIX_EPOCH + second));
        assert_eq!(as_of.of(&request(Some(-1))), Some(UNIX_EPOCH - second));
        assert_eq!(as_of.of(&request(None)), None);
        for extreme in [i64::MIN, i64::MAX] {
            let moment = as_of.of(&request(Some(extreme)));
            assert!(moment.is_none_or(|moment| (moment > UNIX_EPOCH) == (extreme > 0)));
        }
        assert_eq!(as_of.of(&RequestRow::default()), None);
        assert_eq!(read(""), (None, String::new()));
    }

    #[test]
    fn what_is_no_moment_is_refused_with_what_to_do() {
        for (source, said) in [
            (
                "as_of = 'request.amount'",
                "`as_of` is \"request.amount\", which is float64, expected an input of type int: Unix seconds",
            ),
            (
                "as_of = 'request.timestmap'",
                "and the request has no input `timestmap`",
            ),
            ("as_of = 'request.timestmap'", "did you mean `timestamp`?"),
            (
                "as_of = 'timestamp'",
                "`as_of` is \"timestamp\", expected an input of the request",
            ),
            ("as_of = 'card.x'", "as_of = \"request.timestamp\""),
            ("as_of = 7", "`as_of` is the number 7, expected a string"),
        ] {
            let (read, found) = read(source);
            assert_eq!(read, None, "{source}");
            assert!(found.contains(said), "{source}: {found}");
        }
    }
}
