//! One view in Feast's hashes, and what several of them ask of one hash.

use std::sync::atomic::Ordering;

use super::key::{KeyFormat, feature_field, time_field};
use super::registry::FeastView;
use super::repository::FeastRepository;
use super::value::{Corrupt, decode, decode_time};
use crate::catalog::{Feature, Field, Fields, Source};
use crate::feature_row::{Cell, FeatureRow};
use crate::plan::{Layout, ViewColumns};
use crate::schema::RequestRow;
use crate::value::Value;

/// Where a view's features are in Redis.
#[derive(Debug, PartialEq)]
pub(crate) struct FeastHash {
    key: KeyFormat,
    time: Field,
    /// By feature of the catalog's view.
    fields: Vec<Field>,
}

impl FeastHash {
    /// Of the features of these names, in their order.
    pub(crate) fn new<'f>(
        view: &FeastView,
        features: impl IntoIterator<Item = &'f str>,
        repository: &FeastRepository,
    ) -> Self {
        let field = |name: &str| Field::from(feature_field(&view.stored_name, name));
        FeastHash {
            key: repository.key_format(view),
            time: time_field(&view.stored_name).into(),
            fields: features.into_iter().map(field).collect(),
        }
    }

    /// The fields to ask for, given which features are used: theirs, then that of the time.
    pub(crate) fn asked(&self, used: impl Iterator<Item = bool>) -> Fields {
        let used = self.fields.iter().zip(used).filter(|(_, used)| *used);
        let used = used.map(|(field, _)| field);
        used.chain([&self.time]).cloned().collect()
    }
}

/// Views that share a hash: one read for all of them.
#[derive(Debug)]
pub(crate) struct FeastRead {
    key: KeyFormat,
    /// Places in [`RequestRow::entities`], in the order of the key.
    entities: Vec<usize>,
    /// Places of the views in the layout.
    places: Vec<usize>,
    /// Of all of them, one view after the other.
    pub(crate) fields: Fields,
}

/// The reads of a layout's Feast views, whose own fields have been chosen.
pub(crate) fn reads(views: &[ViewColumns]) -> Vec<FeastRead> {
    let mut reads: Vec<FeastRead> = Vec::new();
    for (place, columns) in views.iter().enumerate() {
        let Source::Feast(hash) = &columns.view.source else {
            continue;
        };
        let shared =
            |read: &&mut FeastRead| read.key == hash.key && read.entities == columns.entities;
        match reads.iter_mut().find(shared) {
            Some(read) => {
                read.places.push(place);
                let both = read.fields.iter().chain(&*columns.fields);
                read.fields = both.cloned().collect();
            }
            None => reads.push(FeastRead {
                key: hash.key.clone(),
                entities: columns.entities.clone(),
                places: vec![place],
                fields: columns.fields.clone(),
            }),
        }
    }
    reads
}

impl FeastRead {
    /// Appends the key of the request's entity. One that no key of Feast's can hold gets the
    /// beginning of a key, under which nobody writes: it is found missing, as it is.
    pub(crate) fn write_key(&self, request: &RequestRow, out: &mut Vec<u8>) {
        let entity = self.entities.iter();
        let entity = entity.filter_map(|place| request.entities.get(*place));
        let _ = self.key.write(out, entity);
    }
}

impl FeatureRow {
    /// Takes what `read`, which is of this row's layout, found: a value for each of its fields, or
    /// `None` if what is stored is no hash. `now` is in microseconds since the Unix epoch.
    pub(crate) fn take_feast(&mut self, read: usize, stored: Option<&[Option<Vec<u8>>]>, now: i64) {
        let layout = self.layout.clone();
        let places = &layout.feast[read].places;
        let Some(stored) = stored else {
            for place in places {
                self.discard(&layout, *place, "its key holds no hash");
            }
            return;
        };
        let mut rest = stored;
        for place in places {
            let fields = layout.views[*place].fields.len();
            let Some((values, after)) = rest.split_at_checked(fields) else {
                return;
            };
            rest = after;
            if values.iter().any(Option::is_some) {
                self.take_feast_view(&layout, *place, values, now);
            }
        }
    }

    fn take_feast_view(
        &mut self,
        layout: &Layout,
        place: usize,
        values: &[Option<Vec<u8>>],
        now: i64,
    ) {
        let ViewColumns { view, columns, .. } = &layout.views[place];
        let Some((time, values)) = values.split_last() else {
            return;
        };
        let mut corrupt = None;
        let used = view.features.iter().zip(columns);
        let used = used.filter_map(|(feature, column)| Some((feature, (*column)?)));
        for ((feature, column), stored) in used.zip(values) {
            match stored.as_deref().map(|bytes| value(feature, bytes)) {
                Some(Ok(value)) => self.cells[column.index()].take(feature, value),
                Some(Err(Corrupt)) => corrupt = corrupt.or(Some(&*feature.name)),
                None => {}
            }
        }
        let time_us = match time.as_deref().map(decode_time) {
            Some(Ok(time_us)) => Some(time_us),
            Some(Err(Corrupt)) => {
                corrupt = corrupt.or(Some("its time"));
                None
            }
            None => None,
        };
        self.cells[layout.view_cell(place)] = Cell::found(time_us);
        let is_old = |ttl| time_us.is_none_or(|time| now.saturating_sub(time) > ttl);
        if view.ttl_micros.is_some_and(is_old) {
            for column in columns.iter().flatten() {
                self.cells[column.index()].set_stale();
            }
        }
        if let Some(field) = corrupt {
            self.discard(layout, place, field);
        }
    }

    fn discard(&mut self, layout: &Layout, place: usize, field: &str) {
        self.discarded_rows += 1;
        let ViewColumns { view, warned, .. } = &layout.views[place];
        if !warned.swap(true, Ordering::Relaxed) {
            let view = &*view.name;
            tracing::warn!(
                view,
                field,
                "what Feast stored of this view is corrupt or of another type; it counts as missing"
            );
        }
    }
}

fn value(feature: &Feature, bytes: &[u8]) -> Result<Option<Value>, Corrupt> {
    match decode(bytes)? {
        Some(value) => value.into_feature(feature.dtype).map(Some).ok_or(Corrupt),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
