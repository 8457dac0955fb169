//! A decision's plan without a gateway: from its file, the features and the model repository.

use std::{collections::HashMap, sync::Arc};

use features::{Catalog, Plan};
use tokio::sync::Notify;

use crate::{
    binding::{ModelState, Remote},
    config::Config,
    decision::{self, Definition},
    diagnostic::{Diagnostic, Report, Severity, did_you_mean},
    repository::Repository,
    serve::Failure,
    watch::Binder,
};

/// The decision of this name, the catalog, and a plan of the features that its tiers and rules use. Where a
/// model cannot be read, a plan of every feature of the request and its entities, and a warning.
///
/// # Errors
/// The files have problems, which go to `report`, or there is no such decision.
pub fn plan(
    config: &Config,
    decision: &str,
    report: &mut Report,
) -> Result<(Definition, Catalog, Plan), Failure> {
    let problems = || Failure("the decisions and features cannot be read".into());
    let read = decision::read_folder(&config.decisions, report);
    let mut decisions = read.filter(|_| report.errors() == 0).ok_or_else(problems)?;
    let Some(definition) = decisions.definitions.remove(decision) else {
        let known: Vec<&str> = decisions.definitions.keys().map(|name| &**name).collect();
        let hint = did_you_mean(decision, known.iter().copied())
            .unwrap_or_else(|| format!("decisions here: {}", known.join(", ")));
        return Err(Failure(format!(
            "there is no decision `{decision}` ({hint})"
        )));
    };
    let repository = Repository::read(&config.models);
    let models = definition.tiers.iter().filter_map(|tier| tier.kind.model());
    let states: HashMap<String, ModelState> = models
        .map(|model| (model.name.to_string(), repository.state(&model.name)))
        .collect();
    let binder = Binder {
        catalog: decisions.catalog,
        remote: Remote {
            endpoints: None,
            refresh: Arc::new(Notify::new()),
        },
        local: states.clone(),
    };
    let bound = binder.bind(&definition, &states).map_err(|unbound| {
        let found = unbound.problems.into_iter();
        found.for_each(|problem| report.push(problem.into()));
        problems()
    })?;
    if bound.issues.is_empty() {
        return Ok((definition, binder.catalog, bound.plan));
    }
    for issue in bound.issues {
        report.push(Diagnostic {
            file: definition.file.clone(),
            span: None,
            key: format!("tiers.{}", issue.tier),
            message: format!(
                "{}: what it would read is not known, so every feature is shown",
                issue.message
            ),
            hint: issue.hint,
            severity: Severity::Warning,
        });
    }
    let plan = everything(&definition, &binder.catalog).unwrap_or(bound.plan);
    Ok((definition, binder.catalog, plan))
}

/// Every input and every feature that can be had of this decision's request.
fn everything(definition: &Definition, catalog: &Catalog) -> Option<Plan> {
    let schema = &definition.schema;
    let inputs = schema.inputs.iter();
    let inputs = inputs.map(|input| format!("request.{}", input.name));
    let names: Vec<String> = inputs.chain(catalog.feature_names()).collect();
    let names = names.iter().map(String::as_str);
    let possible = names.filter(|name| Plan::compile(catalog, schema, &[name]).is_ok());
    Plan::compile(catalog, schema, &possible.collect::<Vec<_>>()).ok()
}
