//! Values as a file has them: scalars, and values under a name that the person chose.

use std::ops::Range;

use toml::{Spanned, de::DeValue};

use super::{problems::Problems, table::Table};

/// A value under a name that the person chose.
#[derive(Debug)]
pub(crate) struct Free<'s> {
    pub(super) path: String,
    pub(super) value: Spanned<DeValue<'s>>,
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
        self.value
            .get_ref()
            .as_array()?
            .iter()
            .map(|item| Literal::from_toml(item.get_ref()))
            .collect()
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
    pub(super) fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(Self::Text(text.clone().into_owned())),
            DeValue::Boolean(flag) => Some(Self::Flag(*flag)),
            DeValue::Integer(i) => i64::from_str_radix(&i.as_str().replace('_', ""), i.radix())
                .ok()
                .map(Self::Integer),
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

/// What kind of value it is, for a message.
pub(super) fn describe(value: &DeValue<'_>) -> String {
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
