//! The features that a model lists for an input against the input's columns, in every variant.
//!
//! That there are not more names than columns is the repository's own check. Here is known which of
//! them are lists, and fill several.

use features::Catalog;
use triton_client::repository::{Finding, Severity, Variant};

/// Inputs of one variant whose listed features do not fill them.
pub(super) fn compare(variant: &Variant, catalog: &Catalog) -> Vec<Finding> {
    let config = &variant.config;
    let compared = config.inputs.iter().filter_map(|input| {
        let names = config.feature_list(&input.name).filter(|names| !names.is_empty())?;
        let columns = usize::try_from(*input.dims.last()?).ok().filter(|columns| *columns > 0)?;
        let widths = names.iter().map(|name| catalog.width(name).unwrap_or(1));
        let filled: usize = widths.sum();
        if names.len() > columns || filled == columns {
            return None;
        }
        let key = format!("parameters[\"gavel.features.{}\"]", input.name);
        Some(Finding {
            file: variant.file.clone(),
            span: variant.span(&key),
            severity: Severity::Error,
            message: format!(
                "the features that are listed fill {filled} columns, and input '{}' has {columns} (dims {:?})",
                input.name, input.dims
            ),
            hint: Some("a feature fills one column, a list as many as its dtype says".to_owned()),
            key,
        })
    });
    compared.collect()
}
