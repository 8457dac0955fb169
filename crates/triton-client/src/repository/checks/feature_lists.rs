//! `parameters["gavel.features.X"]`: which features fill input X.

use std::collections::BTreeSet;

use super::{super::nearest::did_you_mean, Lint};

pub(super) fn check(lint: &mut Lint<'_>) {
    let config = &lint.variant.config;
    for tensor in config.feature_tensors() {
        let key = format!("parameters[\"gavel.features.{tensor}\"]");
        let names = config.feature_list(tensor).unwrap_or_default();
        columns(&format!("{key}.value.string_value"), &names, lint);
        let Some(input) = config.inputs.iter().find(|input| input.name == tensor) else {
            let inputs = config.inputs.iter().map(|input| input.name.as_str());
            let listed: Vec<&str> = inputs.clone().collect();
            let hint = did_you_mean(tensor, inputs)
                .unwrap_or_else(|| format!("its inputs: {}", listed.join(", ")));
            if lint.variant.was_read("input") {
                lint.error_with_hint(&key, format!("'{tensor}' is no input of this model"), hint);
            }
            continue;
        };
        // Fewer may be right: a list feature fills several columns, and which are lists is known
        // where features are.
        if let Some(&width) = input.dims.last()
            && width > 0
            && usize::try_from(width).is_ok_and(|width| names.len() > width)
        {
            lint.error(
                &key,
                format!(
                    "{} features are listed, and input '{tensor}' has {width} columns (dims {:?})",
                    names.len(),
                    input.dims
                ),
            );
        }
    }
}

fn columns(key: &str, names: &[String], lint: &mut Lint<'_>) {
    if names.is_empty() {
        lint.error(key, "the list of features is empty");
    }
    let mut seen = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            lint.error(key, format!("the name of feature {} is empty", index + 1));
        } else if !seen.insert(name) {
            lint.error(
                key,
                format!(
                    "feature '{name}' is listed twice (again as feature {})",
                    index + 1
                ),
            );
        }
    }
}
