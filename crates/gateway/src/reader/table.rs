//! A table read key by key.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    problems::{At, Problems},
    value::{Free, Literal, describe},
};
use crate::diagnostic::did_you_mean;

/// The longest duration that anything here is given: nobody means more, and sums do not overflow.
const MAX_DURATION: Duration = Duration::from_secs(3600);

/// A TOML table that is being read.
#[derive(Debug)]
pub(crate) struct Table<'s> {
    path: String,
    span: Range<usize>,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'s>>)>,
    known: Vec<&'static str>,
}

/// A whole number of bytes, KiB, MiB, GiB or TiB.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

impl<'s> Table<'s> {
    pub(super) fn new(path: String, span: Range<usize>, table: DeTable<'s>) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value): (Spanned<DeString<'s>>, _)| {
                let span = key.span();
                (key.into_inner().into_owned(), (span, value))
            })
            .collect();
        Self {
            path,
            span,
            entries,
            known: Vec::new(),
        }
    }

    /// The table's bytes in the file (its header).
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The dotted name of a key of this table.
    pub(crate) fn key(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The bytes of a key's value, or of the table when the key is absent.
    pub(crate) fn span_of(&self, name: &str) -> Range<usize> {
        self.entries
            .get(name)
            .map_or(self.span.clone(), |(_, value)| value.span())
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

    fn wrong<T>(
        &self,
        p: &mut Problems<'_>,
        name: &str,
        value: &Spanned<DeValue<'s>>,
        expected: &str,
    ) -> Option<T> {
        let found = describe(value.get_ref());
        let key = self.key(name);
        p.error(
            value.span(),
            &key,
            format!("`{key}` is {found}, expected {expected}"),
            None,
        );
        None
    }

    /// An optional string.
    pub(crate) fn string(
        &mut self,
        name: &'static str,
        p: &mut Problems<'_>,
    ) -> Option<At<String>> {
        let value = self.take(name)?;
        match value.get_ref().as_str() {
            Some(text) => Some(At {
                value: text.to_owned(),
                span: value.span(),
            }),
            None => self.wrong(p, name, &value, "a string"),
        }
    }

    /// A string that must be there.
    pub(crate) fn required_string(
        &mut self,
        name: &'static str,
        p: &mut Problems<'_>,
    ) -> Option<At<String>> {
        if !self.entries.contains_key(name) {
            let key = self.key(name);
            self.known.push(name);
            p.error(
                self.span(),
                &key,
                format!("`{key}` is missing, expected a string"),
                None,
            );
            return None;
        }
        self.string(name, p)
    }

    /// A name that must be there, made so that it can stand in a header, a metric and a path.
    pub(crate) fn required_name(
        &mut self,
        name: &'static str,
        p: &mut Problems<'_>,
    ) -> Option<At<String>> {
        let written = self.required_string(name, p)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !written.value.is_empty()
            && written.value.len() <= 64
            && written.value.chars().all(allowed)
        {
            return Some(written);
        }
        let key = self.key(name);
        let message = format!("`{key}` is \"{}\", expected a name", written.value);
        let hint = "names are up to 64 letters, digits, `_` and `-`";
        p.error(written.span, key, message, Some(hint.into()));
        None
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
    pub(crate) fn duration(
        &mut self,
        name: &'static str,
        p: &mut Problems<'_>,
    ) -> Option<At<Duration>> {
        let text = self.string(name, p)?;
        match humantime::parse_duration(&text.value) {
            Ok(value) if !value.is_zero() && value <= MAX_DURATION => Some(At {
                value,
                span: text.span,
            }),
            _ => {
                let key = self.key(name);
                let message = format!(
                    "`{key}` is \"{}\", expected a duration above zero and at most {MAX_DURATION:?}",
                    text.value
                );
                p.error(
                    text.span,
                    key,
                    message,
                    Some("write a number and a unit, e.g. \"95ms\" or \"2s\"".into()),
                );
                None
            }
        }
    }

    /// An optional size in bytes: a number, or one with a unit, such as `"64MiB"`.
    pub(crate) fn size(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<At<u64>> {
        let value = self.take(name)?;
        let written = match Literal::from_toml(value.get_ref()) {
            Some(Literal::Integer(bytes)) => u64::try_from(bytes).ok(),
            Some(Literal::Text(text)) => parse_size(&text),
            _ => None,
        };
        match written {
            Some(bytes) => Some(At {
                value: bytes,
                span: value.span(),
            }),
            None => self.wrong(p, name, &value, "a size, such as \"64MiB\" or \"1GiB\""),
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
    pub(crate) fn scalar(
        &mut self,
        name: &'static str,
        p: &mut Problems<'_>,
    ) -> Option<At<Literal>> {
        let value = self.take(name)?;
        match Literal::from_toml(value.get_ref()) {
            Some(literal) => Some(At {
                value: literal,
                span: value.span(),
            }),
            None => self.wrong(p, name, &value, "a string, a number or a boolean"),
        }
    }

    /// An optional number.
    pub(crate) fn number(&mut self, name: &'static str, p: &mut Problems<'_>) -> Option<At<f64>> {
        let value = self.take(name)?;
        match Literal::from_toml(value.get_ref()).and_then(|l| l.as_f64()) {
            Some(number) => Some(At {
                value: number,
                span: value.span(),
            }),
            None => self.wrong(p, name, &value, "a number"),
        }
    }

    /// An optional list of scalars.
    pub(crate) fn scalars(
        &mut self,
        name: &'static str,
        p: &mut Problems<'_>,
    ) -> Option<Vec<Literal>> {
        let value = self.take(name)?;
        let free = Free {
            path: self.key(name),
            value,
        };
        match free.as_literals() {
            Some(literals) => Some(literals),
            None => self.wrong(p, name, &free.value, "a list of strings or numbers"),
        }
    }

    /// An optional list of strings.
    pub(crate) fn strings(
        &mut self,
        name: &'static str,
        p: &mut Problems<'_>,
    ) -> Option<Vec<At<String>>> {
        let value = self.take(name)?;
        let Some(items) = value.get_ref().as_array() else {
            return self.wrong(p, name, &value, "a list of strings");
        };
        let mut strings = Vec::new();
        for item in items.iter() {
            match item.get_ref().as_str() {
                Some(text) => strings.push(At {
                    value: text.to_owned(),
                    span: item.span(),
                }),
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
        let Some(value) = self.take(name) else {
            return Vec::new();
        };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(items) => items
                .into_iter()
                .enumerate()
                .filter_map(|(i, item)| self.as_table(&format!("{name}[{i}]"), item, p))
                .collect(),
            other => {
                let value = Spanned::new(span, other);
                self.wrong(p, name, &value, "a list of tables")
                    .unwrap_or_default()
            }
        }
    }

    /// What remains, read as free-form names: each with the bytes of the name and its value.
    pub(crate) fn rest(&mut self) -> Vec<(At<String>, Free<'s>)> {
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(name, (span, value))| {
                let free = Free {
                    path: self.key(&name),
                    value,
                };
                (At { value: name, span }, free)
            })
            .collect()
    }

    fn as_table(
        &self,
        name: &str,
        value: Spanned<DeValue<'s>>,
        p: &mut Problems<'_>,
    ) -> Option<Table<'s>> {
        Free {
            path: self.key(name),
            value,
        }
        .into_table(p)
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
