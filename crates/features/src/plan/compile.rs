//! From names to columns.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{ColumnId, InputColumn, Layout, Origin, PlanError, ViewColumns};
use crate::catalog::{Catalog, Fields, Reference, mismatch};
use crate::feature_row::Cell;
use crate::schema::{InputField, RequestSchema};
use crate::suggest::did_you_mean;

pub(super) fn layout(
    catalog: &Catalog,
    schema: &RequestSchema,
    features: &[&str],
) -> Result<Layout, Vec<PlanError>> {
    let mut compiler = Compiler {
        catalog,
        schema,
        layout: Layout::default(),
        columns: HashMap::new(),
        views: HashMap::new(),
        errors: Vec::new(),
    };
    for feature in features {
        compiler.add(feature);
    }
    if compiler.errors.is_empty() {
        Ok(compiler.layout)
    } else {
        Err(compiler.errors)
    }
}

struct Compiler<'a> {
    catalog: &'a Catalog,
    schema: &'a RequestSchema,
    layout: Layout,
    /// What has been compiled; `None` for what cannot be, so that it is reported once.
    columns: HashMap<Reference, Option<ColumnId>>,
    /// Place of a catalog's view in the layout, likewise.
    views: HashMap<usize, Option<usize>>,
    errors: Vec<PlanError>,
}

impl Compiler<'_> {
    fn add(&mut self, feature: &str) {
        let Some(reference) = self.catalog.resolve(feature) else {
            return self.unknown(feature);
        };
        // Derived features in the catalog's order, in which inputs come first.
        let mut needed = BTreeSet::new();
        let mut open = vec![reference.clone()];
        while let Some(next) = open.pop() {
            if let Reference::Derived(place) = next
                && needed.insert(place)
            {
                open.extend(self.catalog.derived[place].inputs.iter().cloned());
            }
        }
        for place in needed {
            self.column(&Reference::Derived(place), feature);
        }
        self.column(&reference, feature);
    }

    /// The column of `reference`, compiled now unless it was before. Derived features that it is
    /// made of have been compiled.
    fn column(&mut self, reference: &Reference, asked: &str) -> Option<ColumnId> {
        if let Some(known) = self.columns.get(reference) {
            return *known;
        }
        let column = match reference {
            Reference::Request(field) => self.input(field, asked),
            Reference::View { view, feature } => self.stored(*view, *feature, asked),
            Reference::Derived(place) => self.derived(*place, asked),
        };
        self.columns.insert(reference.clone(), column);
        column
    }

    fn input(&mut self, field: &str, asked: &str) -> Option<ColumnId> {
        let inputs = &self.schema.inputs;
        let Some(place) = inputs.iter().position(|known| known.name == field) else {
            let hint = did_you_mean(field, inputs.iter().map(|known| known.name.as_str()));
            let whose = needed_by(&format!("request.{field}"), asked);
            self.fail(
                asked,
                format!("the request has no input `{field}`{whose}"),
                hint,
            );
            return None;
        };
        let InputField { dtype, default, .. } = &inputs[place];
        if default
            .as_ref()
            .is_some_and(|value| !value.is_of(*dtype) || !value.is_finite())
        {
            let message = format!("the default of input `{field}` is not a finite {dtype}");
            self.fail(asked, message, None);
            return None;
        }
        let blank = match default {
            Some(default) => Cell::missing(default.clone()),
            None => Cell::void(dtype.zero()),
        };
        let name = format!("request.{field}").into();
        let column = self.layout.push(name, *dtype, Origin::Request, blank);
        self.layout.inputs.push(InputColumn {
            column,
            input: place,
        });
        Some(column)
    }

    fn stored(&mut self, view: usize, feature: usize, asked: &str) -> Option<ColumnId> {
        let place = match self.views.get(&view) {
            Some(known) => *known,
            None => {
                let place = self.view(view, asked);
                self.views.insert(view, place);
                place
            }
        }?;
        let view = &self.catalog.views[view];
        let stored = &view.features[feature];
        let name = Arc::from(format!("{}.{}", view.name, stored.name));
        let blank = Cell::missing(stored.default.clone());
        let column = self
            .layout
            .push(name, stored.dtype, Origin::View(place), blank);
        self.layout.views[place].columns[feature] = Some(column);
        Some(column)
    }

    /// Adds a view to those that are read, if the request says which of its rows to read.
    fn view(&mut self, view: usize, asked: &str) -> Option<usize> {
        let view = self.catalog.views[view].clone();
        let mut entities = Vec::with_capacity(view.entities.len());
        for (name, dtype) in &view.entities {
            let fields = &self.schema.entities;
            match fields.iter().position(|field| *field.name == **name) {
                Some(place) if fields[place].dtype == *dtype => entities.push(place),
                Some(place) => {
                    let declared = fields[place].dtype;
                    let message = format!(
                        "view `{}` is keyed by `{name}` as {dtype}, and this decision declares it as {declared}",
                        view.name
                    );
                    self.fail(asked, message, None);
                }
                None => {
                    let hint = did_you_mean(name, fields.iter().map(|field| field.name.as_str()));
                    let message = format!(
                        "view `{}` is keyed by `{name}`, which is not among this decision's entities",
                        view.name
                    );
                    self.fail(asked, message, hint);
                }
            }
        }
        if entities.len() < view.entities.len() {
            return None;
        }
        let columns = vec![None; view.features.len()];
        let warned = AtomicBool::new(false);
        self.layout.views.push(ViewColumns {
            view,
            entities,
            columns,
            fields: Fields::default(),
            warned,
        });
        Some(self.layout.views.len() - 1)
    }

    fn derived(&mut self, place: usize, asked: &str) -> Option<ColumnId> {
        let derived = &self.catalog.derived[place];
        let mut columns = Vec::with_capacity(derived.inputs.len());
        for input in &derived.inputs {
            let Some(column) = self.column(input, asked) else {
                continue;
            };
            let name = self.layout.names[column.index()].clone();
            let dtype = self.layout.dtypes[column.index()];
            match mismatch(&derived.transform, &name, dtype) {
                None => columns.push(column),
                Some(why) => {
                    let message = format!(
                        "derived feature `{}` cannot be computed: {why}",
                        derived.name
                    );
                    self.fail(asked, message, None);
                }
            }
        }
        if columns.len() < derived.inputs.len() {
            return None;
        }
        let (name, default) = (derived.name.clone(), &derived.default);
        Some(
            self.layout
                .push_derived(name, &derived.transform, default, columns),
        )
    }

    fn unknown(&mut self, feature: &str) {
        let defined: Vec<String> = self.catalog.feature_names().collect();
        let inputs = self
            .schema
            .inputs
            .iter()
            .map(|input| format!("request.{}", input.name));
        let names: Vec<String> = inputs.chain(defined).collect();
        let hint = did_you_mean(feature, names.iter().map(String::as_str));
        self.fail(feature, self.catalog.unknown(feature), hint);
    }

    fn fail(&mut self, feature: &str, message: String, hint: Option<String>) {
        self.errors.push(PlanError::new(feature, message, hint));
    }
}

fn needed_by(name: &str, asked: &str) -> String {
    if name == asked {
        String::new()
    } else {
        format!(", which `{asked}` needs")
    }
}
