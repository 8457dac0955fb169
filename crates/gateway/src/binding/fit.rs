//! Whether a model fits a decision: its inputs are features, its outputs hold the scores.

use std::sync::Arc;

use features::{Catalog, Plan};

use super::{KnownModel, ModelState};
use crate::{
    decision::{Definition, TierDefinition, TierKind},
    tiers::{self, BindError, BoundModel, FeatureLists},
};

/// A model whose inputs are all features of the decision.
pub(super) struct Fit {
    model: Arc<KnownModel>,
    lists: FeatureLists,
}

impl Fit {
    pub(super) fn of(
        tier: &TierDefinition,
        definition: &Definition,
        catalog: &Catalog,
        model_of: &impl Fn(&TierKind, &str) -> ModelState,
    ) -> Result<Self, BindError> {
        let Some(tier_model) = tier.kind.model() else {
            unreachable!("rules have no model to fit")
        };
        let model = match model_of(&tier.kind, &tier_model.name) {
            ModelState::Known(model) => model,
            ModelState::Unknown(error) => return Err(error),
        };
        let fit = Self {
            lists: tiers::feature_lists(&model.config, &tier_model.inputs)?,
            model,
        };
        let names: Vec<&str> = fit.features().collect();
        let plan = Plan::compile(catalog, &definition.schema, &names).map_err(|errors| {
            let hint = errors.iter().find_map(|error| error.hint());
            BindError {
                message: format!(
                    "the model `{}`: {}",
                    fit.model.config.name,
                    tiers::sentences(&errors)
                ),
                hint: hint.map(str::to_owned),
            }
        })?;
        let mut required = tier.requires.iter();
        if let Some(view) = required.find(|view| !plan.reads_view(view)) {
            return Err(BindError {
                message: format!(
                    "the tier requires the view `{view}`, of which its model `{}` reads nothing",
                    fit.model.config.name
                ),
                hint: None,
            });
        }
        Ok(fit)
    }

    pub(super) fn features(&self) -> impl Iterator<Item = &str> {
        self.lists
            .iter()
            .flat_map(|(_, names)| names.iter().map(String::as_str))
    }

    pub(super) fn bind(
        self,
        tier: &TierDefinition,
        plan: &Plan,
    ) -> Result<(BoundModel, Arc<KnownModel>), BindError> {
        let Some(tier_model) = tier.kind.model() else {
            unreachable!("rules have no model to bind")
        };
        let model = &self.model;
        let bound = BoundModel::new(
            &model.config,
            model.version.clone(),
            &self.lists,
            plan,
            &tier_model.scores,
        )?;
        Ok((bound, self.model))
    }
}
