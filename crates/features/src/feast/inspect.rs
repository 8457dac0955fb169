//! One entity of one of Feast's views, as it is stored now: every feature, of whatever kind.

use std::time::SystemTime;

use serde_json::Value as Json;

use super::hash::FeastHash;
use super::key::KeyType;
use super::registry::FeastView;
use super::repository::FeastRepository;
use super::value::{decode, decode_time};
use crate::feature_row::Status;
use crate::row::micros_since_epoch;
use crate::store::{Store, StoreError};
use crate::suggest::did_you_mean;
use crate::value::{Dtype, Value};

/// What Feast has stored of one entity in one view.
#[derive(Clone, Debug, PartialEq)]
pub struct FeastRow {
    /// When it was true, in microseconds since the Unix epoch; `None` if Feast has not said so.
    pub event_time_us: Option<i64>,
    /// In the order of their names.
    pub features: Vec<FeastField>,
}

/// One feature of a [`FeastRow`].
#[derive(Clone, Debug, PartialEq)]
pub struct FeastField {
    /// As Feast calls it.
    pub name: String,
    /// The type that Feast declares, such as `INT64_LIST`.
    pub value_type: String,
    /// [`Status::Missing`] also for what cannot be read.
    pub status: Status,
    /// The kind of what is stored, such as `int64_list_val`; `None` without a value.
    pub kind: Option<&'static str>,
    /// Null without a value. Bytes are `{"hex": "00ff"}`, numbers that are not finite are texts,
    /// timestamps are Unix seconds, and a map whose keys are not texts is a list of pairs.
    pub value: Json,
    /// There are bytes, and they are no value of Feast's.
    pub is_corrupt: bool,
}

/// Why an entity of a view cannot be read. Each is a full sentence.
#[derive(Debug, thiserror::Error)]
pub enum FeastReadError {
    /// There is no such view online.
    #[error("{why}")]
    View {
        /// The sentence.
        why: String,
    },
    /// What was said of the entity does not fit the view's join keys.
    #[error("view `{view}`: {why}")]
    Entity {
        /// The view.
        view: String,
        /// What was expected.
        why: String,
    },
    /// Redis did not answer, or not with a hash.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FeastRepository {
    /// Reads one entity of a view, by its join keys' names and values as texts, from `store`. `now`
    /// is what its age is measured against.
    ///
    /// # Errors
    /// There is no such view online, the entity does not fit its join keys, or the store does not
    /// answer within two seconds.
    pub async fn read(
        &self,
        store: &Store,
        view: &str,
        entity: &[(String, String)],
        now: SystemTime,
    ) -> Result<FeastRow, FeastReadError> {
        let registry = self.registry();
        let Some(view) = registry.views.iter().find(|known| known.name == view) else {
            let why = match registry.left_out.get(view) {
                Some(why) => format!("view `{view}` {why}"),
                None => {
                    let names = registry.views.iter().map(|known| &*known.name);
                    let hint = did_you_mean(view, names.clone()).unwrap_or_else(|| {
                        format!("it has {}", names.collect::<Vec<_>>().join(", "))
                    });
                    format!("Feast has no view `{view}` ({hint})")
                }
            };
            return Err(FeastReadError::View { why });
        };
        let wrong = |why: String| FeastReadError::Entity {
            view: view.name.clone(),
            why,
        };
        let values = values(view, entity).map_err(wrong)?;
        let mut key = Vec::new();
        let format = self.key_format(view);
        format
            .write(&mut key, &values)
            .map_err(|_| wrong("a number does not fit into its join key's type".to_owned()))?;
        let features = view.features.iter().map(|feature| &*feature.name);
        let fields = FeastHash::new(view, features, self).asked(view.features.iter().map(|_| true));
        let stored = store.read_hash(&key, &fields).await?;
        Ok(row(view, stored, micros_since_epoch(now)))
    }
}

/// The entity's values in the order of the view's join keys.
fn values(view: &FeastView, entity: &[(String, String)]) -> Result<Vec<Value>, String> {
    let keys = &view.join_keys;
    let expected = || match keys.as_slice() {
        [] => "it has no join key".to_owned(),
        keys => {
            let named = keys
                .iter()
                .map(|(name, key_type)| format!("{name} ({})", key_type.dtype()));
            format!("its join keys are {}", named.collect::<Vec<_>>().join(", "))
        }
    };
    for (i, (name, _)) in entity.iter().enumerate() {
        if !keys.iter().any(|(known, _)| known == name) {
            return Err(format!(
                "`{name}` is not among its join keys: {}",
                expected()
            ));
        }
        if entity.iter().skip(i + 1).any(|(other, _)| other == name) {
            return Err(format!("`{name}` is named twice"));
        }
    }
    let value = |(name, key_type): &(String, KeyType)| {
        let named = entity.iter().find(|(known, _)| known == name);
        let (_, text) = named.ok_or_else(|| format!("lacks `{name}`: {}", expected()))?;
        match key_type.dtype() {
            Dtype::Int64 => text
                .parse()
                .map(Value::Int64)
                .map_err(|_| format!("`{name}` is a whole number, and {text:?} is none")),
            _ => Ok(Value::String(text.as_str().into())),
        }
    };
    keys.iter().map(value).collect()
}

fn row(view: &FeastView, stored: Vec<Option<Vec<u8>>>, now: i64) -> FeastRow {
    let mut stored = stored.into_iter();
    let values: Vec<_> = stored.by_ref().take(view.features.len()).collect();
    let time = stored.next().flatten();
    let event_time_us = time.and_then(|time| decode_time(&time).ok());
    let is_old = |ttl| event_time_us.is_none_or(|time| now.saturating_sub(time) > ttl);
    let usable = match view.ttl_micros.is_some_and(is_old) {
        true => Status::Stale,
        false => Status::Present,
    };
    let field = |(feature, bytes): (&super::registry::FeastFeature, Option<Vec<u8>>)| {
        let value = bytes.as_deref().map(decode);
        let (status, value) = match value {
            None | Some(Err(_)) => (Status::Missing, None),
            Some(Ok(None)) => (Status::Null, None),
            Some(Ok(Some(value))) => (usable, Some(value)),
        };
        FeastField {
            name: feature.name.clone(),
            value_type: feature.value_type.to_string(),
            is_corrupt: bytes.is_some() && status == Status::Missing,
            status,
            kind: value.as_ref().map(|value| value.kind()),
            value: value.map_or(Json::Null, |value| value.to_json()),
        }
    };
    FeastRow {
        event_time_us,
        features: view.features.iter().zip(values).map(field).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feast::registry::FeastFeature;
    use crate::feast::value_type::ValueType;

    fn view(join_keys: &[(&str, KeyType)]) -> FeastView {
        let feature = |name: &str| FeastFeature {
            name: name.to_owned(),
            value_type: ValueType(4),
            vector_length: None,
        };
        FeastView {
            name: "v".to_owned(),
            stored_name: "v".to_owned(),
            join_keys: join_keys
                .iter()
                .map(|(name, key_type)| ((*name).to_owned(), *key_type))
                .collect(),
            ttl_micros: Some(10),
            features: ["a", "b", "c", "d"].map(feature).into(),
        }
    }

    #[test]
    fn an_entity_that_does_not_fit_is_told_what_would() {
        let view = view(&[("a", KeyType::Int64), ("b", KeyType::String)]);
        let read = |pairs: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            values(&view, &pairs.iter().map(own).collect::<Vec<_>>())
        };
        let both = vec![Value::Int64(-5), Value::String("x=1".into())];
        assert_eq!(read(&[("b", "x=1"), ("a", "-5")]), Ok(both));
        for (pairs, why) in [
            (
                &[("a", "1")][..],
                "lacks `b`: its join keys are a (int64), b (string)",
            ),
            (
                &[("a", "x"), ("b", "")],
                "`a` is a whole number, and \"x\" is none",
            ),
            (
                &[("a", "1"), ("b", ""), ("c", "")],
                "`c` is not among its join keys: its",
            ),
            (&[("a", "1"), ("b", ""), ("a", "1")], "`a` is named twice"),
        ] {
            let found = read(pairs).unwrap_err();
            assert!(found.starts_with(why), "{found}");
        }
    }

    #[test]
    fn each_status_is_told_from_the_others() {
        let view = view(&[]);
        let stored = vec![
            Some(vec![0x20, 7]),
            Some(Vec::new()),
            None,
            Some(vec![0xff]),
            Some(Vec::new()),
        ];
        let statuses = |now| {
            let row = row(&view, stored.clone(), now);
            assert_eq!(row.event_time_us, Some(0));
            let all = row.features.iter();
            all.map(|field| (field.status, field.is_corrupt))
                .collect::<Vec<_>>()
        };
        let others = [
            (Status::Null, false),
            (Status::Missing, false),
            (Status::Missing, true),
        ];
        assert_eq!(
            statuses(10),
            [&[(Status::Present, false)], &others[..]].concat()
        );
        assert_eq!(
            statuses(11),
            [&[(Status::Stale, false)], &others[..]].concat()
        );
        let nothing = row(&view, vec![None; 5], 0);
        assert!(
            nothing
                .features
                .iter()
                .all(|field| field.status == Status::Missing)
        );
        assert_eq!(nothing.event_time_us, None);
    }
}
