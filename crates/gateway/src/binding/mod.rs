//! A decision bound to its models and features: what the pipeline runs.
//!
//! A [`Bound`] is immutable. When a model of Triton's appears, changes or goes, or a view of Feast's
//! changes, `watch` makes a new one and swaps it in; requests in flight keep the one that they began
//! with.
//!
//! ```text
//!  Definition + Catalog + (model -> what is known of it)  --bind-->  Bound { plan, chain } + issues
//! ```

mod fit;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use features::{Catalog, Plan};
use local_model::LocalModel;
use tokio::sync::Notify;
use triton_client::{Batching, EndpointSet, ModelConfig};

use self::fit::Fit;
use crate::{
    decision::{
        Definition, TierDefinition, TierKind,
        rules::{Condition, RuleTable},
    },
    rejection::{Kind, Rejection},
    telemetry::DecisionMetrics,
    tiers::{BindError, BoundModel, Chain, OnnxTier, RulesTier, TritonTier, Worth},
};

/// Everything that can be asked.
#[derive(Debug)]
pub struct Decisions {
    by_name: BTreeMap<Arc<str>, Decision>,
}

/// One decision that can be asked.
#[derive(Debug)]
pub struct Decision {
    /// As written.
    pub definition: Definition,
    /// What is counted of it.
    pub metrics: DecisionMetrics,
    /// What runs now.
    pub(crate) bound: ArcSwap<Bound>,
}

/// A decision's features and tiers, bound to each other.
#[derive(Debug)]
pub struct Bound {
    pub(crate) plan: Plan,
    /// What the log calls the values of this plan.
    pub(crate) schema: Arc<decision_log::Schema>,
    pub(crate) chain: Chain,
    /// Why tiers are not ready, by tier.
    pub(crate) issues: Vec<TierIssue>,
    /// Newer versions that tiers do not use, by tier, in a sentence each.
    pub(crate) refused: Vec<(Arc<str>, String)>,
}

/// Why a tier is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierIssue {
    /// The tier.
    pub tier: Arc<str>,
    /// A sentence.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What is known of a model now.
#[derive(Clone, Debug)]
pub(crate) enum ModelState {
    /// It can be bound.
    Known(Arc<KnownModel>),
    /// It cannot, and why.
    Unknown(BindError),
}

/// A model's own description, and the model itself where it runs in process.
#[derive(Clone, Debug)]
pub(crate) struct KnownModel {
    pub(crate) config: ModelConfig,
    pub(crate) version: Arc<str>,
    pub(crate) local: Option<Arc<LocalModel>>,
    /// Which newer version does not fit, in a sentence.
    pub(crate) refused: Option<String>,
}

/// A place in a rule table, or a decision's priority, that does not fit the features.
#[derive(Debug)]
pub(crate) struct RuleProblem {
    pub(crate) file: PathBuf,
    pub(crate) span: std::ops::Range<usize>,
    pub(crate) key: String,
    pub(crate) error: BindError,
}

/// Why a decision cannot run: rules that do not fit, and what else is wrong with it.
#[derive(Debug)]
pub(crate) struct Unbound {
    pub(crate) problems: Vec<RuleProblem>,
    pub(crate) issues: Vec<TierIssue>,
}

/// What Triton tiers are made with.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) endpoints: Option<EndpointSet>,
    pub(crate) refresh: Arc<Notify>,
}

impl ModelState {
    /// Why there is no model, where there is none.
    pub(crate) fn unknown(&self) -> Option<&BindError> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(error) => Some(error),
        }
    }

    /// The model, where it can be bound.
    pub(crate) fn known(&self) -> Option<&KnownModel> {
        match self {
            Self::Known(known) => Some(known),
            Self::Unknown(_) => None,
        }
    }
}

impl Decision {
    /// A decision that runs `bound`.
    pub(crate) fn new(definition: Definition, bound: Bound) -> Self {
        let metrics = DecisionMetrics::new(&definition);
        let bound_now = ArcSwap::from_pointee(bound);
        let decision = Self {
            definition,
            metrics,
            bound: bound_now,
        };
        decision.report_readiness();
        decision
    }

    /// Swaps in what runs from now on; requests in flight finish with what they began with.
    pub(crate) fn install(&self, bound: Bound) {
        self.bound.store(Arc::new(bound));
        self.report_readiness();
    }

    /// Whether each tier has a model, as a metric.
    pub(crate) fn report_readiness(&self) {
        let bound = self.bound.load();
        for tier in &self.definition.tiers {
            self.metrics.tier_ready(
                &tier.name,
                bound.issues.iter().all(|issue| issue.tier != tier.name),
            );
        }
    }
}

impl Decisions {
    /// By name, in order.
    pub fn new(decisions: Vec<Decision>) -> Self {
        Self {
            by_name: decisions
                .into_iter()
                .map(|d| (Arc::clone(&d.definition.name), d))
                .collect(),
        }
    }

    /// The decision of that name, or a refusal that lists those that there are.
    pub fn find(&self, name: &str) -> Result<&Decision, Rejection> {
        self.by_name.get(name).ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            let known: Vec<&str> = self.by_name.keys().map(|name| &**name).collect();
            let detail = format!(
                "there is no decision `{shown}`; decisions here: {}",
                known.join(", ")
            );
            Rejection::new(Kind::UnknownDecision, detail)
        })
    }

    /// All, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = &Decision> {
        self.by_name.values()
    }

    /// All as written, in order of name.
    pub fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.iter().map(|decision| &decision.definition)
    }
}

/// Binds a decision to what is known of its models. A model that does not fit makes its tier not
/// ready; a rule that does not fit is an error, since rules must always answer.
pub(crate) fn bind(
    definition: &Definition,
    catalog: &Catalog,
    remote: &Remote,
    model_of: impl Fn(&TierKind, &str) -> ModelState,
) -> Result<Bound, Unbound> {
    let (models, table) = split(definition);
    let fits: Vec<Result<Fit, BindError>> = models
        .iter()
        .map(|tier| Fit::of(tier, definition, catalog, &model_of))
        .collect();
    let (plan, mut problems) = compile(definition, catalog, &fits, table.1);
    let rules = RulesTier::bind(table.0.name.clone(), table.1, &plan);
    let worth = match Worth::bind(definition.priority.as_ref(), &plan) {
        Ok(worth) => worth,
        Err(error) => {
            problems.extend(RuleProblem::of_priority(definition, error));
            Worth::default()
        }
    };
    let mut issues = Vec::new();
    let mut fitted = Vec::new();
    for (tier, fit) in models.into_iter().zip(fits) {
        let model = fit.and_then(|fit| fit.bind(tier, &plan));
        let model = model.map_err(|error| issues.push(TierIssue::new(tier, error)));
        fitted.push((tier, model.ok()));
    }
    let rules = match rules {
        Ok(rules) if problems.is_empty() => rules,
        Ok(_) => return Err(Unbound { problems, issues }),
        Err(wrong) => {
            let named: Vec<String> = problems.iter().map(|problem| problem.key.clone()).collect();
            let others = wrong
                .into_iter()
                .filter(|(condition, _)| !named.contains(&condition.feature));
            problems.extend(others.map(|(c, error)| RuleProblem::new(table.1, &c, error)));
            return Err(Unbound { problems, issues });
        }
    };
    let chain = Chain {
        remote: Vec::new(),
        in_process: Vec::new(),
        rules,
        worth,
    };
    let mut bound = Bound {
        schema: crate::decision_log::schema(definition, &plan),
        plan,
        chain,
        issues,
        refused: Vec::new(),
    };
    for (tier, model) in fitted {
        bound.add(tier, model, remote, &definition.name);
    }
    Ok(bound)
}

impl Bound {
    fn add(
        &mut self,
        tier: &TierDefinition,
        model: Option<(BoundModel, Arc<KnownModel>)>,
        remote: &Remote,
        decision: &str,
    ) {
        let sentence = model.as_ref().and_then(|(_, known)| known.refused.clone());
        self.refused
            .extend(sentence.map(|sentence| (tier.name.clone(), sentence)));
        let name = tier.name.clone();
        let requires = tier.requires.clone();
        match &tier.kind {
            TierKind::Triton { slice, .. } => self.chain.remote.push(TritonTier {
                name,
                slice: *slice,
                requires,
                bound: model.and_then(|(bound, known)| {
                    let endpoints = remote.endpoints.as_ref()?;
                    let batching = Batching::of(&known.config);
                    let version = Some(&*known.version);
                    let scheduler = endpoints.scheduler(&bound.model, version, batching, decision);
                    Some((bound, scheduler))
                }),
                refresh: Arc::clone(&remote.refresh),
            }),
            TierKind::Onnx { .. } => self.chain.in_process.push(OnnxTier {
                name,
                requires,
                bound: model.and_then(|(bound, known)| Some((bound, known.local.clone()?))),
            }),
            TierKind::Rules(_) => {}
        }
    }
}

/// The tiers with models, and the table. The reader of decisions refuses one without a table.
fn split(definition: &Definition) -> (Vec<&TierDefinition>, (&TierDefinition, &RuleTable)) {
    let mut models = Vec::new();
    for tier in &definition.tiers {
        match &tier.kind {
            TierKind::Rules(table) => return (models, (tier, table)),
            TierKind::Triton { .. } | TierKind::Onnx { .. } => models.push(tier),
        }
    }
    unreachable!("the reader of decisions refuses one whose last tier is not rules")
}

/// A plan of every feature that any tier or the priority reads, and what of the rules and the priority
/// is no feature. The models' features compiled on their own, so what does not compile is not theirs.
fn compile(
    definition: &Definition,
    catalog: &Catalog,
    fits: &[Result<Fit, BindError>],
    table: &RuleTable,
) -> (Plan, Vec<RuleProblem>) {
    let conditions = || table.rows.iter().flat_map(|row| &row.conditions);
    let of_models = fits.iter().flatten().flat_map(Fit::features);
    let of_priority = definition
        .priority
        .iter()
        .map(|priority| &*priority.feature);
    let of_rules = conditions().map(|c| &*c.feature);
    let mut names: Vec<&str> = of_models.chain(of_rules).chain(of_priority).collect();
    let mut problems = Vec::new();
    loop {
        let errors = match Plan::compile(catalog, &definition.schema, &names) {
            Ok(plan) => return (plan, problems),
            Err(errors) => errors,
        };
        for error in &errors {
            let bind_error = || BindError {
                message: error.to_string(),
                hint: error.hint().map(str::to_owned),
            };
            let of_feature = conditions().filter(|c| c.feature == error.feature());
            problems.extend(of_feature.map(|c| RuleProblem::new(table, c, bind_error())));
            let priority = definition.priority.as_ref();
            if priority.is_some_and(|priority| priority.feature == error.feature()) {
                problems.extend(RuleProblem::of_priority(definition, bind_error()));
            }
        }
        let before = names.len();
        names.retain(|name| errors.iter().all(|error| error.feature() != *name));
        if names.len() == before {
            // Every error is about a name that was asked for; without any, nothing can be wrong.
            names.clear();
        }
    }
}

impl TierIssue {
    /// Whether it is about a tier in process, which nobody else will mend.
    pub(crate) fn is_local(&self, definition: &Definition) -> bool {
        let tier = definition.tiers.iter().find(|tier| tier.name == self.tier);
        tier.is_some_and(|tier| matches!(tier.kind, TierKind::Onnx { .. }))
    }

    fn new(tier: &TierDefinition, error: BindError) -> Self {
        Self {
            tier: tier.name.clone(),
            message: error.message,
            hint: error.hint,
        }
    }
}

impl RuleProblem {
    fn new(table: &RuleTable, condition: &Condition, error: BindError) -> Self {
        Self {
            file: table.file.to_path_buf(),
            span: condition.span.clone(),
            key: condition.feature.clone(),
            error,
        }
    }

    /// What is wrong with a decision's priority, where it has one.
    fn of_priority(definition: &Definition, error: BindError) -> Option<Self> {
        let priority = definition.priority.as_ref()?;
        Some(Self {
            file: definition.file.clone(),
            span: priority.span.clone(),
            key: "priority".into(),
            error,
        })
    }
}
