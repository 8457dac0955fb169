//! The tiers that records ask for: each with the version that answered then, bound as it was served.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use features::Catalog;
use local_model::Runtime;
use tokio::{sync::Notify, time::Instant};
use triton_client::ModelDescription;

use crate::{
    binding::{self, Bound, KnownModel, ModelState, Remote, Unbound},
    config::{Config, ModelsConfig},
    decision::{Decisions, Definition, TierDefinition, TierKind},
    diagnostic::did_you_mean,
    local,
    repository::Repository,
    serve::{self, Failure},
    tiers::{self, BindError},
};

/// How long one question to Triton's control plane may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A decision with the tiers that are asked for bound, and no others.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) definition: Definition,
    pub(super) bound: Bound,
}

/// Who is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// A tier, with this version of its model. `otherwise`: a what-if asks, so that a model of Triton's
    /// may run in process, and rules may have any version.
    Tier {
        tier: Arc<str>,
        model: Arc<str>,
        version: Arc<str>,
        otherwise: bool,
    },
    /// Whoever answers in process: the newest models of the repository, then rules.
    InProcess,
}

type Found = Result<Arc<Way>, Arc<str>>;
type Known = Result<Arc<KnownModel>, String>;

/// Every way that has been asked for.
#[derive(Debug)]
pub(super) struct Chains {
    catalog: Catalog,
    definitions: BTreeMap<Arc<str>, Definition>,
    remote: Remote,
    models: ModelsConfig,
    /// Read when a model in process is first asked for.
    repository: Option<(Repository, Result<Runtime, String>)>,
    local: HashMap<(Arc<str>, Arc<str>), Known>,
    served: HashMap<Arc<str>, Result<ModelDescription, String>>,
    ways: HashMap<(Arc<str>, Asked), Found>,
}

impl Chains {
    pub(super) fn new(config: &Config, decisions: Decisions) -> Result<Self, Failure> {
        Ok(Self {
            catalog: decisions.catalog,
            definitions: decisions.definitions,
            remote: Remote {
                endpoints: serve::endpoints(&config.triton)?,
                refresh: Arc::new(Notify::new()),
            },
            models: config.models.clone(),
            repository: None,
            local: HashMap::new(),
            served: HashMap::new(),
            ways: HashMap::new(),
        })
    }

    /// Whether the rules fit the features.
    pub(super) fn check_rules(&self, decision: Option<&str>) -> Result<(), Failure> {
        let named = |name: &str| decision.is_none_or(|decision| decision == name);
        for definition in self.definitions.values().filter(|d| named(&d.name)) {
            let none = |_: &TierKind, _: &str| nobody();
            binding::bind(definition, &self.catalog, &self.remote, none)
                .map_err(|unbound| Failure(format!("the rules do not fit: {}", said(&unbound))))?;
        }
        Ok(())
    }

    /// Whether each model is one that a tier asks for.
    pub(super) fn check_models(
        &self,
        models: &[(String, String)],
        decision: Option<&str>,
    ) -> Result<(), Failure> {
        let named = |name: &str| decision.is_none_or(|decision| decision == name);
        let definitions = self.definitions.values().filter(|d| named(&d.name));
        let tiers = definitions.flat_map(|definition| &definition.tiers);
        let known: BTreeSet<&str> = tiers.filter_map(|tier| model_of(&tier.kind)).collect();
        match models.iter().find(|(model, _)| !known.contains(&**model)) {
            None => Ok(()),
            Some((model, _)) => {
                let hint = did_you_mean(model, known.iter().copied());
                let all = || {
                    let known: Vec<&str> = known.iter().copied().collect();
                    format!("tiers ask for {}", known.join(", "))
                };
                let hint = hint.unwrap_or_else(all);
                Err(Failure(format!(
                    "no tier asks for a model `{model}`: {hint}"
                )))
            }
        }
    }

    /// Whether a tier answers over the network.
    pub(super) fn is_remote(&self, decision: &str, tier: &str) -> bool {
        let definition = self.definitions.get(decision);
        let mut tiers = definition.into_iter().flat_map(|d| &d.tiers);
        tiers.any(|known| *known.name == *tier && matches!(known.kind, TierKind::Triton { .. }))
    }

    /// The best tier over the network.
    pub(super) fn first_remote(&self, decision: &str) -> Option<Arc<str>> {
        let tiers = &self.definitions.get(decision)?.tiers;
        let mut remote = tiers
            .iter()
            .filter(|tier| matches!(tier.kind, TierKind::Triton { .. }));
        remote.next().map(|tier| Arc::clone(&tier.name))
    }

    /// The way to whom is asked for, or why there is none.
    pub(super) async fn way(&mut self, decision: &Arc<str>, asked: Asked) -> Found {
        let key = (Arc::clone(decision), asked);
        if let Some(known) = self.ways.get(&key) {
            return known.clone();
        }
        let found = self.find(decision, &key.1).await;
        let found = found.map(Arc::new).map_err(Arc::from);
        self.ways.insert(key, found.clone());
        found
    }

    async fn find(&mut self, decision: &str, asked: &Asked) -> Result<Way, String> {
        let definition = self.definitions.get(decision).cloned();
        let definition =
            definition.ok_or_else(|| format!("there is no decision `{decision}` any more"))?;
        match asked {
            Asked::InProcess => self.in_process(definition),
            Asked::Tier {
                tier,
                model,
                version,
                otherwise,
            } => {
                self.tier(definition, tier, model, version, *otherwise)
                    .await
            }
        }
    }

    fn in_process(&mut self, definition: Definition) -> Result<Way, String> {
        let mut models = HashMap::new();
        for tier in &definition.tiers {
            if let TierKind::Onnx { model } = &tier.kind {
                let state = match self.local(&model.name, None) {
                    Ok(known) => ModelState::Known(known),
                    Err(why) => ModelState::Unknown(BindError::plain(why)),
                };
                models.insert(model.name.to_string(), state);
            }
        }
        let state = |kind: &TierKind, name: &str| match kind {
            TierKind::Onnx { .. } => models.get(name).cloned().unwrap_or_else(nobody),
            TierKind::Triton { .. } | TierKind::Rules(_) => nobody(),
        };
        let bound = binding::bind(&definition, &self.catalog, &self.remote, state);
        let bound = bound.map_err(|unbound| said(&unbound))?;
        // Rules would answer in the place of a model that is not there, and nobody would know.
        let mut local = definition.tiers.iter();
        let unbound = local.find_map(|tier| match tier.kind {
            TierKind::Onnx { .. } => bound.issues.iter().find(|issue| issue.tier == tier.name),
            TierKind::Triton { .. } | TierKind::Rules(_) => None,
        });
        match unbound {
            Some(issue) => Err(format!(
                "the tier `{}` does not answer in process: {}",
                issue.tier, issue.message
            )),
            None => Ok(Way { definition, bound }),
        }
    }

    async fn tier(
        &mut self,
        mut definition: Definition,
        tier: &str,
        model: &Arc<str>,
        version: &Arc<str>,
        otherwise: bool,
    ) -> Result<Way, String> {
        let mut tiers = definition.tiers.iter_mut();
        let found = tiers.find(|definition| *definition.name == *tier);
        let found = found.ok_or_else(|| format!("the decision has no tier `{tier}` any more"))?;
        let known = self.known(found, model, version, otherwise).await?;
        let asked_for = |_: &TierKind, name: &str| match &known {
            Some(known) if *name == *known.config.name => ModelState::Known(Arc::clone(known)),
            _ => nobody(),
        };
        let bound = binding::bind(&definition, &self.catalog, &self.remote, asked_for);
        let bound = bound.map_err(|unbound| said(&unbound))?;
        match bound.issues.iter().find(|issue| *issue.tier == *tier) {
            Some(issue) => Err(format!("{model} {version} does not fit: {}", issue.message)),
            None => Ok(Way { definition, bound }),
        }
    }

    /// What the tier answers with; `None` for rules.
    async fn known(
        &mut self,
        tier: &mut TierDefinition,
        model: &Arc<str>,
        version: &Arc<str>,
        otherwise: bool,
    ) -> Result<Option<Arc<KnownModel>>, String> {
        let name = match &tier.kind {
            TierKind::Rules(table)
                if otherwise || (table.name == *model && table.version == *version) =>
            {
                return Ok(None);
            }
            TierKind::Rules(table) => {
                return Err(format!(
                    "the rules were {model} {version} then, and are {} {} now",
                    table.name, table.version
                ));
            }
            TierKind::Triton { model, .. } | TierKind::Onnx { model } => &model.name,
        };
        if name != model {
            return Err(format!(
                "the tier `{}` asks {name} now, and asked {model} then",
                tier.name
            ));
        }
        if let TierKind::Onnx { .. } = tier.kind {
            return self.local(model, Some(version)).map(Some);
        }
        let why = match self.served(model, version).await {
            Ok(known) => return Ok(Some(known)),
            Err(why) => why,
        };
        if !otherwise {
            return Err(why);
        }
        match self.local(model, Some(version)) {
            Ok(known) => {
                if let TierKind::Triton { model, .. } = &tier.kind {
                    let model = model.clone();
                    tier.kind = TierKind::Onnx { model };
                }
                Ok(Some(known))
            }
            Err(other) => Err(format!("{why}; and in process: {other}")),
        }
    }

    /// A model that Triton serves in this version.
    async fn served(&mut self, model: &Arc<str>, version: &str) -> Known {
        let Some(endpoints) = &self.remote.endpoints else {
            return Err(format!(
                "{model} {version} answered from Triton, and none is named: --triton http://HOST:8001"
            ));
        };
        if !self.served.contains_key(model) {
            let described = endpoints.describe(model, Instant::now() + PATIENCE).await;
            let described = described
                .map_err(|error| format!("Triton does not say that it serves {model}: {error}"));
            self.served.insert(Arc::clone(model), described);
        }
        let description = match self.served.get(model) {
            Some(Ok(description)) => description,
            Some(Err(why)) => return Err(why.clone()),
            None => return Err(format!("{model} was not asked for")),
        };
        if description
            .versions
            .iter()
            .all(|served| **served != *version)
        {
            return Err(format!(
                "Triton does not serve {model} {version}; versions that it serves: {}",
                description.versions.join(", ")
            ));
        }
        Ok(Arc::new(KnownModel {
            config: description.config.clone(),
            version: version.into(),
            local: None,
            refused: None,
        }))
    }

    /// A model of the repository; without a version, its newest.
    fn local(&mut self, model: &Arc<str>, version: Option<&Arc<str>>) -> Known {
        let key = (
            Arc::clone(model),
            version.cloned().unwrap_or_else(|| "".into()),
        );
        if let Some(known) = self.local.get(&key) {
            return known.clone();
        }
        let models = &self.models;
        let (repository, runtime) = self.repository.get_or_insert_with(|| {
            let runtime = Runtime::load(models.onnxruntime.as_deref());
            let runtime = runtime.map_err(|error| error.to_string());
            (Repository::read(models), runtime)
        });
        let version = version.map(|version| &**version);
        let known = match runtime {
            Ok(runtime) => local::load_one(repository, runtime, model, version)
                .map(Arc::new)
                .map_err(|error| error.message),
            Err(why) => Err(why.clone()),
        };
        self.local.insert(key, known.clone());
        known
    }
}

/// The model that a tier asks for; rules ask for none.
fn model_of(kind: &TierKind) -> Option<&str> {
    match kind {
        TierKind::Triton { model, .. } | TierKind::Onnx { model } => Some(&model.name),
        TierKind::Rules(_) => None,
    }
}

fn nobody() -> ModelState {
    ModelState::Unknown(BindError::plain("it is not asked for".into()))
}

fn said(unbound: &Unbound) -> String {
    let problems: Vec<&BindError> = unbound
        .problems
        .iter()
        .map(|problem| &problem.error)
        .collect();
    tiers::sentences(&problems)
}
