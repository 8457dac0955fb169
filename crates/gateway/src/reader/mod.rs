//! Reads a TOML table key by key and collects every problem, instead of stopping at the first.
//!
//! A key that is asked for is known; what remains when the reader is finished is an unknown key. Values
//! are typed here; what they mean is for the caller.

mod problems;
mod table;
mod value;

use toml::de::DeTable;

pub(crate) use self::{
    problems::Problems,
    table::Table,
    value::{Free, Literal},
};

/// Parses a whole file; syntax errors are reported and what could be read is returned.
pub(crate) fn parse<'s>(source: &'s str, problems: &mut Problems<'_>) -> Table<'s> {
    let (table, errors) = DeTable::parse_recoverable(source);
    for error in errors {
        problems.error(
            error.span().unwrap_or(0..0),
            "",
            format!("not TOML: {}", error.message()),
            None,
        );
    }
    let span = 0..0;
    Table::new(String::new(), span, table.into_inner())
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::diagnostic::Report;

    fn read<T>(
        source: &str,
        f: impl FnOnce(&mut Table<'_>, &mut Problems<'_>) -> T,
    ) -> (T, Vec<String>) {
        let mut report = Report::default();
        let mut problems = Problems::new(Path::new("x.toml"), &mut report);
        let mut table = parse(source, &mut problems);
        let value = f(&mut table, &mut problems);
        table.finish(&mut problems);
        (
            value,
            report
                .diagnostics()
                .iter()
                .map(|d| d.message.clone())
                .collect(),
        )
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let (_, problems) = read("budget = 95\nlisten = true\nnaem = 'x'", |t, p| {
            (
                t.duration("budget", p),
                t.string("listen", p),
                t.string("name", p),
            )
        });
        assert_eq!(
            problems,
            [
                "`budget` is the number 95, expected a string",
                "`listen` is true, expected a string",
                "unknown key `naem`"
            ]
        );
    }

    #[test]
    fn durations_need_a_unit_and_are_above_zero() {
        let (value, problems) = read("a = '5ms'", |t, p| t.duration("a", p));
        assert_eq!(value.map(|v| v.value), Some(Duration::from_millis(5)));
        assert!(problems.is_empty());
        for bad in ["a = '5'", "a = '0ms'", "a = '-5ms'", "a = '300000000years'"] {
            assert_eq!(
                read(bad, |t, p| t.duration("a", p).is_some()).1.len(),
                1,
                "{bad}"
            );
        }
    }

    #[test]
    fn syntax_errors_keep_what_could_be_read() {
        let (name, problems) = read("name = 'a'\nbroken = = 3\n", |t, p| t.string("name", p));
        assert_eq!(name.map(|n| n.value).as_deref(), Some("a"));
        assert!(
            problems.iter().any(|m| m.starts_with("not TOML:")),
            "{problems:?}"
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(source in ".{0,200}") {
            read(&source, |t, p| (t.integer("a", 0..=9, p), t.tables("b", p).len(), t.rest().len()));
        }
    }
}
