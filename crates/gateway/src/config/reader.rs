//! Reads a TOML table key by key and collects every problem, instead of stopping at the first.
//!
//! A key that is asked for is known; what remains when the reader is finished is an unknown key. Values
//! are typed here; what they mean is for the caller.

use std::{collections::BTreeMap, ops::Range, path::Path, time::Duration};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use crate::diagnostic::{Diagnostic, Report, Severity, did_you_mean};

/// A value and the bytes it stands at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Its bytes in the file.
    pub(crate) span: Range<usize>,
}

/// Where a problem in one file goes.
#[derive(Debug)]
pub(crate) struct Problems<'r> {
    file: &'r Path,
    report: &'r mut Report,
}

impl<'r> Problems<'r> {
    pub(crate) fn new(file: &'r Path, report: &'r mut Report) -> Self {
        Self { file, report }
    }

    /// The same report, for another file.
    pub(crate) fn in_file<'a>(&'a mut self, file: &'a Path, source: &str) -> Problems<'a> {
        self.report.add_source(file, source);
        Problems { file, report: self.report }
    }

    /// Errors reported so far, in all files.
    pub(crate) fn errors(&self) -> usize {
        self.report.errors()
    }

    pub(crate) fn error(
        &mut self,
        span: Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.report.push(Diagnostic {
            file: self.file.to_owned(),
            span: Some(span),
            key: key.into(),
            message: message.into(),
            hint,
            severity: Severity::Error,
        });
    }
}

/// Parses a whole file; syntax errors are reported and what could be read is returned.
pub(crate) fn parse<'s>(source: &'s str, problems: &mut Problems<'_>) -> Table<'s> {
    let (table, errors) = DeTable::parse_recoverable(source);
    for error in errors {
        problems.error(error.span().unwrap_or(0..0), "", format!("not TOML: {}", error.message()), None);
    }
    let span = 0..0;
    Table::new(String::new(), span, table.into_inner())
}

/// A TOML table that is being read.
#[derive(Debug)]
pub(crate) struct Table<'s> {
    path: String,
    span: Range<usize>,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'s>>)>,
    known: Vec<&'static str>,
}

impl<'s> Table<'s> {
    fn new(path: String, span: Range<usize>, table: DeTable<'s>) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value): (Spanned<DeString<'s>>, _)| {
                let span = key.span();
                (key.into_inner().into_owned(), (span, value))
            })
            .collect();
        Self { path, span, entries, known: Vec::new() }
    }

    /// The table's bytes in the file (its header).
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The dotted name of a key of this table.
    pub(crate) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The bytes of a key's value, or of the table when the key is absent.
    pub(crate) fn span_of(&self, name: &str) -> Range<usize> {
        self.entries.get(name).map_or(self.span.clone(), |(_, value)| value.span())
    }

    /// Whether every written key has been read.
    pub(crate) fn is_read(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a key is written and has not been read.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    fn take(&mut self, name: &'static str) -> Option<Spanned<DeValue<'s>>> {
        self.known.push(name);
        self.entries.remove(name).map(|(_, value)| value)
    }

    fn wrong<T>(&self, p: &mut Problems<'_>, name: &str, value: &Spanned<DeValue<'s>>, expected: &str) -> Option<T> {
        let found = describe(value.get_ref());
        let key = self.key(name);
        p.error(value.span(), &key, format!("`{key}` is {found}, expected {expected}"), None);
        None
    }

    /// An optional string.
    pub(crate) fn string(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<At<String>> {
        let value = self.take(name)?;
        match value.get_ref().as_str() {
            Some(text) => Some(At { value: text.to_owned(), span: value.span() }),
            None => self.wrong(p, name, &value, "a string"),
        }
    }

    /// A string that must be there.
    pub(crate) fn required_string(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<At<String>> {
        if !self.entries.contains_key(name) {
            let key = self.key(name);
            self.known.push(name);
            p.error(self.span(), &key, format!("`{key}` is missing, expected a string"), None);
            return None;
        }
        self.string(name, p)
    }

    /// An optional boolean.
    pub(crate) fn boolean(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<bool> {
        let value = self.take(name)?;
        match value.get_ref().as_bool() {
            Some(flag) => Some(flag),
            None => self.wrong(p, name, &value, "true or false"),
        }
    }

    /// An optional duration with its unit, such as `"95ms"`; more than zero.
    pub(crate) fn duration(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<At<Duration>> {
        let text = self.string(name, p)?;
        match humantime::parse_duration(&text.value) {
            Ok(value) if !value.is_zero() => Some(At { value, span: text.span }),
            _ => {
                let key = self.key(name);
                let message = format!("`{key}` is \"{}\", expected a duration above zero", text.value);
                p.error(text.span, key, message, Some("write a number and a unit, e.g. \"95ms\" or \"2s\"".into()));
                None
            }
        }
    }

    /// An optional whole number in a range.
    pub(crate) fn integer(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<i64>,
        p: &mut Problems<'_>,
    ) -> Option<i64> {
        let value = self.take(name)?;
        let parsed = value
            .get_ref()
            .as_integer()
            .and_then(|i| i64::from_str_radix(&i.as_str().replace('_', ""), i.radix()).ok());
        match parsed {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                let expected = format!("a whole number from {} to {}", range.start(), range.end());
                self.wrong(p, name, &value, &expected)
            }
        }
    }

    /// An optional scalar of any type.
    pub(crate) fn scalar(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<At<Literal>> {
        let value = self.take(name)?;
        match Literal::from_toml(value.get_ref()) {
            Some(literal) => Some(At { value: literal, span: value.span() }),
            None => self.wrong(p, name, &value, "a string, a number or a boolean"),
        }
    }

    /// An optional number.
    pub(crate) fn number(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<At<f64>> {
        let value = self.take(name)?;
        match Literal::from_toml(value.get_ref()).and_then(|l| l.as_f64()) {
            Some(number) => Some(At { value: number, span: value.span() }),
            None => self.wrong(p, name, &value, "a number"),
        }
    }

    /// An optional list of scalars.
    pub(crate) fn scalars(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<Vec<Literal>> {
        let value = self.take(name)?;
        let free = Free { path: self.key(name), value };
        match free.as_literals() {
            Some(literals) => Some(literals),
            None => self.wrong(p, name, &free.value, "a list of strings or numbers"),
        }
    }

    /// An optional list of strings.
    pub(crate) fn strings(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<Vec<At<String>>> {
        let value = self.take(name)?;
        let Some(items) = value.get_ref().as_array() else {
            return self.wrong(p, name, &value, "a list of strings");
        };
        let mut strings = Vec::new();
        for item in items.iter() {
            match item.get_ref().as_str() {
                Some(text) => strings.push(At { value: text.to_owned(), span: item.span() }),
                None => return self.wrong(p, name, item, "a list of strings"),
            }
        }
        Some(strings)
    }

    /// A table below this one; an absent one reads as empty.
    pub(crate) fn table(&mut self, name: &'static str, p: &mut Problems<'_>) -> Table<'s> {
        let empty = || Table::new(self.key(name), self.span.clone(), DeTable::new());
        let fallback = empty();
        match self.take(name) {
            None => fallback,
            Some(value) => self.as_table(name, value, p).unwrap_or(fallback),
        }
    }

    /// A list of tables below this one, such as `[[tiers]]`.
    pub(crate) fn tables(&mut self, name: &'static str, p: &mut Problems<'_>) -> Vec<Table<'s>> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(items) => items
                .into_iter()
                .enumerate()
                .filter_map(|(i, item)| self.as_table(&format!("{name}[{i}]"), item, p))
                .collect(),
            other => {
                let value = Spanned::new(span, other);
                self.wrong(p, name, &value, "a list of tables").unwrap_or_default()
            }
        }
    }

    /// What remains, read as free-form names: each with the bytes of the name and its value.
    pub(crate) fn rest(&mut self) -> Vec<(At<String>, Free<'s>)> {
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(name, (span, value))| {
                let free = Free { path: self.key(&name), value };
                (At { value: name, span }, free)
            })
            .collect()
    }

    fn as_table(&self, name: &str, value: Spanned<DeValue<'s>>, p: &mut Problems<'_>) -> Option<Table<'s>> {
        Free { path: self.key(name), value }.into_table(p)
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self, p: &mut Problems<'_>) {
        for (name, (span, _)) in &self.entries {
            let key = self.key(name);
            let hint = did_you_mean(name, self.known.iter().copied())
                .or_else(|| Some(format!("known keys here: {}", self.known.join(", "))));
            p.error(span.clone(), &key, format!("unknown key `{key}`"), hint);
        }
    }
}

/// A value under a name that the person chose.
#[derive(Debug)]
pub(crate) struct Free<'s> {
    path: String,
    value: Spanned<DeValue<'s>>,
}

impl<'s> Free<'s> {
    /// The dotted name.
    pub(crate) fn key(&self) -> &str {
        &self.path
    }

    /// Its bytes.
    pub(crate) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// The value as a string, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        self.value.get_ref().as_str()
    }

    /// The value as a scalar, if it is one.
    pub(crate) fn as_literal(&self) -> Option<Literal> {
        Literal::from_toml(self.value.get_ref())
    }

    /// The value as a list of scalars, if it is one.
    pub(crate) fn as_literals(&self) -> Option<Vec<Literal>> {
        self.value.get_ref().as_array()?.iter().map(|item| Literal::from_toml(item.get_ref())).collect()
    }

    /// The value as a table; anything else is reported.
    pub(crate) fn into_table(self, p: &mut Problems<'_>) -> Option<Table<'s>> {
        let span = self.value.span();
        match self.value.into_inner() {
            DeValue::Table(table) => Some(Table::new(self.path, span, table)),
            other => {
                let message = format!("`{}` is {}, expected a table", self.path, describe(&other));
                p.error(span, self.path, message, None);
                None
            }
        }
    }

    /// What kind of value it is, for a message.
    pub(crate) fn describe(&self) -> String {
        describe(self.value.get_ref())
    }
}

/// A scalar as written in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Integer(i64),
    Number(f64),
    Flag(bool),
}

impl Literal {
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(Self::Text(text.clone().into_owned())),
            DeValue::Boolean(flag) => Some(Self::Flag(*flag)),
            DeValue::Integer(i) => {
                i64::from_str_radix(&i.as_str().replace('_', ""), i.radix()).ok().map(Self::Integer)
            }
            DeValue::Float(f) => f.as_str().replace('_', "").parse().ok().map(Self::Number),
            _ => None,
        }
    }

    /// The value as text, if it is text.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Number(_) | Self::Flag(_) => None,
        }
    }

    /// The value as a number, if it is one.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(i) => Some(*i as f64),
            Self::Number(n) => Some(*n),
            Self::Text(_) | Self::Flag(_) => None,
        }
    }
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string \"{text}\""),
        DeValue::Integer(i) => format!("the number {}", i.as_str()),
        DeValue::Float(f) => format!("the number {}", f.as_str()),
        DeValue::Boolean(flag) => format!("{flag}"),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(source: &str, f: impl FnOnce(&mut Table<'_>, &mut Problems<'_>) -> T) -> (T, Vec<String>) {
        let mut report = Report::default();
        let mut problems = Problems::new(Path::new("x.toml"), &mut report);
        let mut table = parse(source, &mut problems);
        let value = f(&mut table, &mut problems);
        table.finish(&mut problems);
        (value, report.diagnostics().iter().map(|d| d.message.clone()).collect())
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let (_, problems) = read("budget = 95\nlisten = true\nnaem = 'x'", |t, p| {
            (t.duration("budget", p), t.string("listen", p), t.string("name", p))
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
        for bad in ["a = '5'", "a = '0ms'", "a = '-5ms'"] {
            assert_eq!(read(bad, |t, p| t.duration("a", p).is_some()).1.len(), 1, "{bad}");
        }
    }

    #[test]
    fn syntax_errors_keep_what_could_be_read() {
        let (name, problems) = read("name = 'a'\nbroken = = 3\n", |t, p| t.string("name", p));
        assert_eq!(name.map(|n| n.value).as_deref(), Some("a"));
        assert!(problems.iter().any(|m| m.starts_with("not TOML:")), "{problems:?}");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(source in ".{0,200}") {
            read(&source, |t, p| (t.integer("a", 0..=9, p), t.tables("b", p).len(), t.rest().len()));
        }
    }
}
