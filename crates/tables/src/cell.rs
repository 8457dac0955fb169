//! One value of one row, whatever the format; and how it is written as JSON and as plain text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::time;

/// A value. What the formats tell apart is told apart here.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    /// Also what does not fit into [`Cell::Int`], and decimals, as the nearest.
    Float(f64),
    Text(String),
    /// Text whose type nobody has said, as all of CSV is: `7` may be a number.
    Untyped(String),
    Bytes(Vec<u8>),
    /// Microseconds since the Unix epoch; finer ones are rounded down.
    Timestamp(i64),
    List(Vec<Cell>),
    /// Named fields: a JSON object, a Parquet group.
    Struct(Vec<(String, Cell)>),
}

impl Cell {
    /// Reads a JSON value; a number is an int when it is written as one and fits.
    ///
    /// # Errors
    /// What the text is instead, as a sentence.
    pub fn from_json(text: &str) -> Result<Cell, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// As JSON. Bytes are lower-case hexadecimal text, times are RFC 3339 text, and a number that is
    /// not finite is null.
    pub fn to_json(&self) -> String {
        // Names of objects are strings and no value refuses to be written: there is no error.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As a CSV field, before quoting; null is empty. Lists and structs are JSON.
    pub(crate) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Cell::Null => Cow::Borrowed(""),
            Cell::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Cell::Int(value) => Cow::Owned(value.to_string()),
            Cell::Float(value) => Cow::Owned(value.to_string()),
            Cell::Text(text) | Cell::Untyped(text) => Cow::Borrowed(text),
            Cell::Bytes(bytes) => Cow::Owned(hexadecimal(bytes)),
            Cell::Timestamp(micros) => Cow::Owned(time::format(*micros)),
            Cell::List(_) | Cell::Struct(_) => Cow::Owned(self.to_json()),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Null => to.serialize_unit(),
            Cell::Bool(value) => to.serialize_bool(*value),
            Cell::Int(value) => to.serialize_i64(*value),
            Cell::Float(value) => to.serialize_f64(*value),
            Cell::Text(text) | Cell::Untyped(text) => to.serialize_str(text),
            Cell::Bytes(bytes) => to.serialize_str(&hexadecimal(bytes)),
            Cell::Timestamp(micros) => to.serialize_str(&time::format(*micros)),
            Cell::List(cells) => to.collect_seq(cells),
            Cell::Struct(fields) => {
                let mut map = to.serialize_map(Some(fields.len()))?;
                for (name, cell) in fields {
                    map.serialize_entry(name, cell)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Cell, D::Error> {
        from.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Cell, E> {
        Ok(Cell::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Cell, E> {
        Ok(Cell::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Cell, E> {
        Ok(i64::try_from(value).map_or(Cell::Float(value as f64), Cell::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Cell, E> {
        Ok(Cell::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Cell, E> {
        Ok(Cell::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
        let mut cells = Vec::new();
        while let Some(cell) = seq.next_element()? {
            cells.push(cell);
        }
        Ok(Cell::List(cells))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        let mut fields: Vec<(String, Cell)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("the field `{name}` comes twice")));
            }
            fields.push((name, map.next_value()?));
        }
        Ok(Cell::Struct(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_and_out() {
        let text = r#"{"b":[1,2.0,null,true],"a":{"x":"é\n"},"big":18446744073709551615}"#;
        let cell = Cell::from_json(text).unwrap();
        let Cell::Struct(fields) = &cell else {
            panic!("{cell:?}")
        };
        assert_eq!(fields[0].0, "b");
        assert_eq!(
            fields[0].1,
            Cell::List(vec![
                Cell::Int(1),
                Cell::Float(2.0),
                Cell::Null,
                Cell::Bool(true)
            ])
        );
        assert_eq!(fields[2].1, Cell::Float(18_446_744_073_709_551_615.0));
        assert_eq!(
            cell.to_json(),
            text.replace("18446744073709551615", "1.8446744073709552e+19")
        );
    }

    #[test]
    fn what_json_cannot_say_is_said_otherwise() {
        assert_eq!(Cell::Float(f64::NAN).to_json(), "null");
        assert_eq!(Cell::Bytes(vec![0, 255]).to_json(), r#""00ff""#);
        assert_eq!(
            Cell::Timestamp(500_000).to_json(),
            r#""1970-01-01T00:00:00.500000Z""#
        );
    }

    #[test]
    fn json_that_is_none_is_an_error() {
        for (text, said) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("1 2", "trailing"),
            (r#"{"a":1,"a":2}"#, "the field `a` comes twice"),
            ("1e999", "out of range"),
        ] {
            assert!(Cell::from_json(text).unwrap_err().contains(said), "{text}");
        }
        assert!(
            Cell::from_json(&"[".repeat(100_000))
                .unwrap_err()
                .contains("recursion")
        );
    }
}
