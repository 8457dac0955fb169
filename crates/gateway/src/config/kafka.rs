//! `[kafka]`: brokers, and librdkafka's own options by their names.

use std::collections::BTreeMap;

use broker::Options;

use crate::reader::{Literal, Problems, Table};

/// Reads the table over the defaults.
pub(super) fn read(mut table: Table<'_>, p: &mut Problems<'_>) -> Options {
    let mut options = Options::default();
    if let Some(brokers) = table.string("brokers", p) {
        options.set_brokers(brokers.value);
    }
    let mut set = BTreeMap::new();
    let mut wrong = false;
    for (name, value) in table.table("options", p).rest() {
        let written = match value.as_literal() {
            Some(Literal::Text(text)) => text,
            Some(Literal::Integer(number)) => number.to_string(),
            Some(Literal::Number(number)) => number.to_string(),
            Some(Literal::Flag(flag)) => flag.to_string(),
            None => {
                let message = format!("`{}` is {}, expected text", value.key(), value.describe());
                let hint =
                    "quote names with dots: options = { \"security.protocol\" = \"SASL_SSL\" }";
                p.error(value.span(), value.key(), message, Some(hint.into()));
                continue;
            }
        };
        // One by one, so that every one that is wrong is told with its place.
        match Options::new("", [(name.value.clone(), written.clone())].into()) {
            Ok(_) => _ = set.insert(name.value, written),
            Err(error) => {
                wrong = true;
                p.error(name.span, value.key(), error.to_string(), None);
            }
        }
    }
    table.finish(p);
    if wrong {
        return options;
    }
    Options::new(options.brokers(), set).unwrap_or(options)
}
