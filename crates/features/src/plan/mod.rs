//! A decision's features, compiled: which keys to read, which columns to fill, in which order.
//!
//! ```text
//! Catalog + RequestSchema + names ── compile ──► Plan ── assemble ──► FeatureRow ── TensorLayout ──► bytes
//!                at load                                          per request
//! ```
//! Names are resolved here, once. A request sees indices only.

mod compile;
mod error;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use error::PlanError;

use crate::catalog::{Catalog, Fields, Source, View};
use crate::feast::{self, FeastRead};
use crate::feature_row::Cell;
use crate::schema::RequestSchema;
use crate::suggest::did_you_mean;
use crate::transform::Transform;
use crate::value::{Dtype, Value};

/// How to assemble the features of one decision. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) layout: Arc<Layout>,
    by_name: Arc<HashMap<Arc<str>, ColumnId>>,
}

/// A feature's place in a [`FeatureRow`](crate::FeatureRow) of the same plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub(crate) u32);

impl ColumnId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What assembly needs of a plan. Columns that a derived feature uses come before it.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) dtypes: Vec<Dtype>,
    pub(crate) origins: Vec<Origin>,
    /// A row of which nothing is known: every default, every flag of a missing value, and a cell
    /// more for each view.
    pub(crate) blank: Vec<Cell>,
    pub(crate) inputs: Vec<InputColumn>,
    pub(crate) views: Vec<ViewColumns>,
    /// How the views of Feast's are read.
    pub(crate) feast: Vec<FeastRead>,
    pub(crate) derived: Vec<DerivedColumn>,
}

/// Who fills a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Request,
    /// The view of this place in [`Layout::views`].
    View(usize),
    Derived,
}

/// A column that the request fills.
#[derive(Debug)]
pub(crate) struct InputColumn {
    pub(crate) column: ColumnId,
    /// Place in [`RequestRow::inputs`](crate::RequestRow::inputs).
    pub(crate) input: usize,
}

/// Columns that one stored row fills.
#[derive(Debug)]
pub(crate) struct ViewColumns {
    pub(crate) view: Arc<View>,
    /// Places in [`RequestRow::entities`](crate::RequestRow::entities), in the order of the key.
    pub(crate) entities: Vec<usize>,
    /// By feature of the view; `None` for one that nobody uses.
    pub(crate) columns: Vec<Option<ColumnId>>,
    /// What is asked of each of its hashes, if that is where its rows are.
    pub(crate) fields: Fields,
    /// Rows written under other definitions are logged once, not once per request.
    pub(crate) warned: AtomicBool,
}

/// A column that a transform fills.
#[derive(Debug)]
pub(crate) struct DerivedColumn {
    pub(crate) column: ColumnId,
    pub(crate) transform: Transform,
    pub(crate) inputs: Vec<ColumnId>,
}

impl Plan {
    /// Compiles a plan that assembles `features`, and whatever those are derived from.
    ///
    /// # Errors
    /// One [`PlanError`] for each feature that does not exist, is about an entity that the request
    /// lacks, or is derived from something of the wrong type; all at once.
    pub fn compile(
        catalog: &Catalog,
        schema: &RequestSchema,
        features: &[&str],
    ) -> Result<Plan, Vec<PlanError>> {
        let mut layout = compile::layout(catalog, schema, features)?;
        for ViewColumns {
            view,
            columns,
            fields,
            ..
        } in &mut layout.views
        {
            let used = columns.iter().map(Option::is_some);
            match &view.source {
                Source::Hash(hash) => *fields = hash.asked(used),
                Source::Feast(hash) => *fields = hash.asked(used),
                Source::Packed | Source::Windows(_) => {}
            }
        }
        layout.feast = feast::reads(&layout.views);
        let views = layout
            .views
            .iter()
            .map(|_| Cell::missing(Value::Bool(false)));
        layout.blank.extend(views);
        let ids = (0..).map(ColumnId);
        let by_name = layout.names.iter().cloned().zip(ids).collect();
        Ok(Plan {
            layout: Arc::new(layout),
            by_name: Arc::new(by_name),
        })
    }

    /// The column of a feature that this plan assembles, by its name.
    pub fn column(&self, feature: &str) -> Option<ColumnId> {
        self.by_name.get(feature).copied()
    }

    pub fn dtype(&self, column: ColumnId) -> Dtype {
        self.layout.dtypes[column.index()]
    }

    /// Whether any column reads a stored row of `view`, those that are derived from one included.
    pub fn reads_view(&self, view: &str) -> bool {
        self.layout.place_of(view).is_some()
    }

    /// The names of the columns, in order.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.layout.names.iter().map(|name| &**name)
    }

    pub(crate) fn suggest(&self, feature: &str) -> Option<String> {
        did_you_mean(feature, self.features())
    }
}

impl Layout {
    /// Place of the cell that says whether a view gave a row.
    pub(crate) fn view_cell(&self, place: usize) -> usize {
        self.names.len() + place
    }

    /// Which of the layout's views has this name.
    pub(crate) fn place_of(&self, view: &str) -> Option<usize> {
        let mut views = self.views.iter();
        views.position(|columns| *columns.view.name == *view)
    }

    fn push(&mut self, name: Arc<str>, dtype: Dtype, origin: Origin, blank: Cell) -> ColumnId {
        let column = ColumnId(self.names.len() as u32);
        self.origins.push(origin);
        self.names.push(name);
        self.dtypes.push(dtype);
        self.blank.push(blank);
        column
    }

    fn push_derived(
        &mut self,
        name: Arc<str>,
        transform: &Transform,
        default: &Value,
        inputs: Vec<ColumnId>,
    ) -> ColumnId {
        let column = self.push(
            name,
            transform.dtype(),
            Origin::Derived,
            Cell::present(default.clone()),
        );
        self.derived.push(DerivedColumn {
            column,
            transform: transform.clone(),
            inputs,
        });
        column
    }
}

#[cfg(test)]
mod tests;
