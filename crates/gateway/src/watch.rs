//! Follows what Triton serves and what Feast says: when a model appears, changes or goes, or a view
//! changes, decisions are bound anew.
//!
//! A model that does not fit is refused with a sentence, and the last version that did goes on being
//! asked for as long as Triton serves it.

mod feast;

use std::{
    collections::{BTreeSet, HashMap},
    future::pending,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use features::Catalog;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use triton_client::{ControlError, ModelDescription};

pub use self::feast::FeastReadings;
use crate::{
    binding::{self, Bound, Decision, Decisions, KnownModel, ModelState, Remote, Unbound},
    decision::TierKind,
    tiers::BindError,
};

/// How often Triton is asked while a model is missing, and when all are there.
const INTERVAL_NOT_READY: Duration = Duration::from_millis(500);
const INTERVAL_READY: Duration = Duration::from_secs(2);
/// What to do when Triton says nothing.
const UNREACHABLE: &str = "is it started, and is --triton its gRPC address (port 8001, not 8000)?";
/// How long one question to Triton's control plane may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Binds decisions to what is known of their models.
#[derive(Debug)]
pub(crate) struct Binder {
    pub(crate) catalog: Catalog,
    pub(crate) remote: Remote,
    pub(crate) local: HashMap<String, ModelState>,
}

impl Binder {
    fn not_heard_of(&self) -> BindError {
        BindError::plain(match self.remote.endpoints {
            Some(_) => "Triton has not said yet what it serves".into(),
            None => "no Triton is configured: start with --triton http://HOST:8001".into(),
        })
    }

    /// A decision bound to `served` (models of Triton's) and to the models in process.
    pub(crate) fn bind(
        &self,
        definition: &crate::decision::Definition,
        served: &HashMap<String, ModelState>,
    ) -> Result<Bound, Unbound> {
        binding::bind(definition, &self.catalog, &self.remote, |kind, name| {
            let states = match kind {
                TierKind::Triton { .. } => served,
                TierKind::Onnx { .. } | TierKind::Rules(_) => &self.local,
            };
            states
                .get(name)
                .cloned()
                .unwrap_or_else(|| ModelState::Unknown(self.not_heard_of()))
        })
    }
}

/// What is known of a decision's models of Triton's, by model.
type Served = HashMap<String, ModelState>;

type Answers = HashMap<String, Result<ModelDescription, ControlError>>;

/// Follows Triton and Feast until `stop`. Each decision judges a model by itself: one that does not
/// fit here may fit there.
pub(crate) async fn follow(
    decisions: &Decisions,
    mut binder: Binder,
    readings: Option<&FeastReadings>,
    stop: CancellationToken,
) {
    let names: BTreeSet<&str> = decisions.iter().flat_map(triton_models).collect();
    let mut served: HashMap<Arc<str>, Served> = HashMap::new();
    let remote = binder.remote.clone();
    let later = |binder: &Binder| {
        let pause = readings.and_then(|readings| readings.pause(&binder.catalog));
        feast::read(binder.catalog.clone(), pause)
    };
    let mut triton = pin!(ask(&remote, &names, Duration::ZERO));
    let mut feast = pin!(later(&binder));
    loop {
        tokio::select! {
            answers = &mut triton => {
                for decision in decisions.iter() {
                    let name = Arc::clone(&decision.definition.name);
                    update(decision, &binder, &answers, served.entry(name).or_default());
                }
                let is_ready = |state: &ModelState| matches!(state, ModelState::Known(_));
                let is_ready = served.values().flat_map(HashMap::values).all(is_ready);
                let interval = if is_ready { INTERVAL_READY } else { INTERVAL_NOT_READY };
                triton.set(ask(&remote, &names, interval));
            }
            reading = &mut feast => {
                if let Some(readings) = readings {
                    readings.take(reading, decisions, &mut binder, &served);
                }
                feast.set(later(&binder));
            }
            () = stop.cancelled() => return,
        }
    }
}

/// Asks Triton of these models, after a while or at once when a request wants it to be; never without
/// a Triton.
async fn ask(remote: &Remote, names: &BTreeSet<&str>, pause: Duration) -> Answers {
    let Some(endpoints) = &remote.endpoints else {
        return pending().await;
    };
    tokio::select! {
        () = sleep(pause) => {}
        () = remote.refresh.notified() => sleep(Duration::from_millis(20)).await,
    }
    let mut answers = HashMap::new();
    for name in names {
        let answer = endpoints.describe(name, Instant::now() + PATIENCE).await;
        answers.insert((*name).to_owned(), answer);
    }
    answers
}

/// Binds a decision anew, if what Triton says of its models has changed.
fn update(decision: &Decision, binder: &Binder, answers: &Answers, served: &mut Served) {
    let mut changed = false;
    for name in triton_models(decision) {
        let Some(answer) = answers.get(name) else {
            continue;
        };
        let fits = |state: &ModelState| fits(decision, binder, name, state);
        if let Some(after) = next_state(name, served.get(name), answer, fits) {
            served.insert(name.to_owned(), after);
            changed = true;
        }
    }
    // The rules fit: what no longer has their features is no catalog that is used.
    if changed && let Ok(bound) = binder.bind(&decision.definition, served) {
        decision.install(bound);
    }
}

fn triton_models(decision: &Decision) -> impl Iterator<Item = &str> {
    decision
        .definition
        .tiers
        .iter()
        .filter_map(|tier| match &tier.kind {
            TierKind::Triton { model, .. } => Some(&*model.name),
            TierKind::Onnx { .. } | TierKind::Rules(_) => None,
        })
}

/// What is known of a model after an answer; `None` when nothing changed.
fn next_state(
    name: &str,
    before: Option<&ModelState>,
    answer: &Result<ModelDescription, ControlError>,
    fits: impl Fn(&ModelState) -> Result<(), BindError>,
) -> Option<ModelState> {
    let known = before.and_then(ModelState::known);
    let description = match answer {
        Ok(description) => description,
        Err(ControlError::NotFound { message }) => {
            let error = BindError::plain(format!("Triton does not serve `{name}`: {message}"));
            return changed(before, ModelState::Unknown(error));
        }
        // Whether Triton can be asked is the breaker's to judge; what it served it may serve still.
        Err(_) if known.is_some() => return None,
        Err(error) => {
            // The transport words the same failure in many ways: it is said once.
            let said = before.and_then(ModelState::unknown);
            if said.is_some_and(|said| said.hint.as_deref() == Some(UNREACHABLE)) {
                return None;
            }
            let hint = Some(UNREACHABLE.to_owned());
            let error = BindError {
                message: format!("Triton does not say what it serves: {error}"),
                hint,
            };
            return changed(before, ModelState::Unknown(error));
        }
    };
    let newest = description
        .versions
        .iter()
        .max_by_key(|v| v.parse::<u64>().unwrap_or(0));
    let Some(version) = newest else {
        let error = BindError::plain(format!("Triton serves no version of `{name}`"));
        return changed(before, ModelState::Unknown(error));
    };
    let same = known.filter(|known| *known.version == **version);
    if same.is_some_and(|same| same.config == description.config && same.refused.is_none()) {
        return None;
    }
    let after = ModelState::Known(Arc::new(KnownModel {
        version: version.as_str().into(),
        config: description.config.clone(),
        local: None,
        refused: None,
    }));
    let Err(error) = fits(&after) else {
        tracing::info!(model = name, version, "Triton serves the model");
        return Some(after);
    };
    // The same version with another configuration is another model: its old binding is of no use.
    let still_served = known.filter(|known| {
        same.is_none() && description.versions.iter().any(|v| **v == *known.version)
    });
    match still_served {
        None => changed(before, ModelState::Unknown(error)),
        Some(known) => refused(known, version, &error),
    }
}

/// The version that served so far goes on, and says which one was refused; `None` if it says so
/// already.
fn refused(known: &KnownModel, version: &str, error: &BindError) -> Option<ModelState> {
    let sentence = format!("version {version} is not used: {error}");
    if known.refused.as_deref() == Some(&*sentence) {
        return None;
    }
    tracing::warn!(
        model = known.config.name,
        serving = &*known.version,
        "{sentence}"
    );
    Some(ModelState::Known(Arc::new(KnownModel {
        refused: Some(sentence),
        ..known.clone()
    })))
}

fn changed(before: Option<&ModelState>, after: ModelState) -> Option<ModelState> {
    let ModelState::Unknown(error) = &after else {
        return Some(after);
    };
    if let Some(ModelState::Unknown(earlier)) = before
        && earlier == error
    {
        return None;
    }
    tracing::warn!(reason = %error, hint = error.hint.as_deref(), "a tier has no model");
    Some(after)
}

/// Whether the decision could be bound to the model.
fn fits(
    decision: &Decision,
    binder: &Binder,
    name: &str,
    state: &ModelState,
) -> Result<(), BindError> {
    let served = HashMap::from([(name.to_owned(), state.clone())]);
    let Ok(bound) = binder.bind(&decision.definition, &served) else {
        return Ok(());
    };
    let tiers = decision.definition.tiers.iter();
    let of_this_model = tiers.filter(
        |tier| matches!(&tier.kind, TierKind::Triton { model, .. } if *model.name == *name),
    );
    for tier in of_this_model {
        if let Some(issue) = bound.issues.iter().find(|issue| issue.tier == tier.name) {
            return Err(BindError {
                message: issue.message.clone(),
                hint: issue.hint.clone(),
            });
        }
    }
    Ok(())
}
