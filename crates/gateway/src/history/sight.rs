//! Which features are wanted, and what a row of the spine has to say for them.

use features::{Catalog, ColumnId, Dtype, Plan, RequestSchema, about_views};

use crate::{decision::Definition, serve::Failure};

/// The features of a training set.
#[derive(Clone, Debug)]
pub struct Sight {
    pub(super) plan: Plan,
    /// What a row of the spine says.
    pub(super) schema: RequestSchema,
    /// The features, in the order of the plan.
    pub(super) columns: Vec<Wanted>,
    /// Views that are left out because they are not made from events.
    pub left_out: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) column: ColumnId,
    pub(super) dtype: Dtype,
}

impl Sight {
    /// Every feature of these views.
    ///
    /// # Errors
    /// A view that is not there or is not made from events.
    pub fn of_views(catalog: &Catalog, views: &[String]) -> Result<Sight, Failure> {
        let (schema, names) = about_views(catalog, views).map_err(Failure)?;
        Sight::new(catalog, schema, &names, Vec::new())
    }

    /// Every feature that a decision's request has the entities and inputs for, and that is made from
    /// events and the request alone: also those that no model uses yet.
    ///
    /// # Errors
    /// There is none.
    pub fn of_decision(catalog: &Catalog, definition: &Definition) -> Result<Sight, Failure> {
        let schema = definition.schema.clone();
        let mut names = Vec::new();
        let mut left_out = Vec::new();
        let others: Vec<String> = catalog
            .feature_names()
            .filter_map(|name| name.split_once('.').map(|(view, _)| view.to_owned()))
            .filter(|view| catalog.window_view(view).is_none())
            .collect();
        for name in catalog.feature_names() {
            let Ok(plan) = Plan::compile(catalog, &schema, &[&name]) else {
                continue;
            };
            match others.iter().find(|view| plan.reads_view(view)) {
                None => names.push(name),
                Some(view) if !left_out.contains(view) => left_out.push(view.clone()),
                Some(_) => {}
            }
        }
        if names.is_empty() {
            return Err(Failure(format!(
                "no feature of the decision `{}` is made from events: `aggregate` in features.toml makes one",
                definition.name
            )));
        }
        Sight::new(catalog, schema, &names, left_out)
    }

    /// Whether a column of the spine is an entity or an input that is text.
    pub(super) fn is_text(&self, name: &str) -> bool {
        let mut entities = self.schema.entities.iter();
        let mut inputs = self.schema.inputs.iter();
        entities.any(|field| field.name == name && field.dtype == Dtype::String)
            || inputs.any(|field| field.name == name && field.dtype == Dtype::String)
    }

    fn new(
        catalog: &Catalog,
        schema: RequestSchema,
        names: &[String],
        left_out: Vec<String>,
    ) -> Result<Sight, Failure> {
        let listed: Vec<&str> = names.iter().map(String::as_str).collect();
        let plan = Plan::compile(catalog, &schema, &listed).map_err(|errors| {
            let errors = errors.iter().map(ToString::to_string);
            Failure(errors.collect::<Vec<_>>().join("; "))
        })?;
        let made = plan.features().filter(|name| !name.starts_with("request."));
        let columns = made.filter_map(|name| {
            let column = plan.column(name)?;
            Some(Wanted {
                name: name.to_owned(),
                column,
                dtype: plan.dtype(column),
            })
        });
        Ok(Sight {
            columns: columns.collect(),
            schema,
            left_out,
            plan,
        })
    }
}
