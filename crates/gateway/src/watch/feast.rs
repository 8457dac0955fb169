//! Follows Feast: its files are read again from time to time, and decisions are bound to the views
//! that they say now.
//!
//! All decisions take the new catalog, or none does: where one no longer fits, or a file cannot be
//! read, the last good catalog stays in force, and the reason is told once. What event types and the
//! views made from events are is not Feast's to say, so ingestion has the same catalog throughout.

use std::{collections::HashMap, future::pending, mem, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use features::Catalog;
use metrics::{Counter, counter};
use tokio::{task::spawn_blocking, time::sleep};

use super::{Binder, Served};
use crate::binding::{Bound, Decision, Decisions, Unbound};

/// How soon files that could not be used are read again: Feast may have been writing them.
const RETRY: Duration = Duration::from_secs(10);

/// What became of the last reading of Feast's files.
#[derive(Debug)]
pub struct FeastReadings {
    refused: ArcSwapOption<String>,
    changed: Counter,
    unchanged: Counter,
    failed: Counter,
}

/// What came of one reading: a catalog that is new, none, or why there is none.
pub(super) type Reading = Result<Option<Catalog>, String>;

impl FeastReadings {
    /// Registers the counters.
    pub(crate) fn new() -> Self {
        let outcome = |outcome: &'static str| {
            let counter = counter!("gavel_feast_reloads_total", "outcome" => outcome);
            counter.increment(0);
            counter
        };
        Self {
            refused: ArcSwapOption::empty(),
            changed: outcome("changed"),
            unchanged: outcome("unchanged"),
            failed: outcome("failed"),
        }
    }

    /// Why what Feast's files say now is not used, in a sentence.
    pub(crate) fn refused(&self) -> Option<Arc<String>> {
        self.refused.load_full()
    }

    fn refuse(&self, why: String) {
        self.failed.increment(1);
        if self.refused().is_none_or(|said| *said != why) {
            tracing::warn!(
                reason = why,
                "what Feast's files say now is not used; the views that were read last stay in force"
            );
            self.refused.store(Some(Arc::new(why)));
        }
    }

    fn accept(&self, counter: &Counter) {
        counter.increment(1);
        if self.refused.swap(None).is_some() {
            tracing::info!("what Feast's files say is used again");
        }
    }

    /// Binds all decisions to what was read, if they all fit.
    pub(super) fn take(
        &self,
        reading: Reading,
        decisions: &Decisions,
        binder: &mut Binder,
        served: &HashMap<Arc<str>, Served>,
    ) {
        match reading {
            Ok(None) => self.accept(&self.unchanged),
            Ok(Some(catalog)) => match adopt(catalog, decisions, binder, served) {
                Ok(()) => {
                    tracing::info!("Feast's files have changed; decisions see what they say now");
                    self.accept(&self.changed);
                }
                Err(why) => self.refuse(why),
            },
            Err(why) => self.refuse(why),
        }
    }

    /// How long to wait before the files are read again; `None` for ever.
    pub(super) fn pause(&self, catalog: &Catalog) -> Option<Duration> {
        let refresh = catalog.feast_refresh()?;
        Some(match self.refused() {
            Some(_) => refresh.min(RETRY),
            None => refresh,
        })
    }
}

/// Reads the files that the catalog is made from, after a while; never if there are none, or if
/// they are to be read only once.
pub(super) async fn read(catalog: Catalog, pause: Option<Duration>) -> Reading {
    match pause {
        Some(pause) => sleep(pause).await,
        None => pending().await,
    }
    match spawn_blocking(move || catalog.reread_feast()).await {
        Ok(reading) => reading,
        Err(error) => Err(format!("Feast's files were not read to the end: {error}")),
    }
}

fn adopt(
    catalog: Catalog,
    decisions: &Decisions,
    binder: &mut Binder,
    served: &HashMap<Arc<str>, Served>,
) -> Result<(), String> {
    let before = mem::replace(&mut binder.catalog, catalog);
    let bound = decisions.iter().map(|decision| {
        let none = HashMap::new();
        let served = served.get(&decision.definition.name).unwrap_or(&none);
        fit(decision, binder, served).map(|bound| (decision, bound))
    });
    match bound.collect::<Result<Vec<_>, String>>() {
        Ok(all) => {
            all.into_iter()
                .for_each(|(decision, bound)| decision.install(bound));
            Ok(())
        }
        Err(why) => {
            binder.catalog = before;
            Err(why)
        }
    }
}

/// The decision bound anew; an error if it would lose what it has.
fn fit(decision: &Decision, binder: &Binder, served: &Served) -> Result<Bound, String> {
    let name = &decision.definition.name;
    let bound =
        binder
            .bind(&decision.definition, served)
            .map_err(|Unbound { problems, .. }| {
                let problems = problems.iter().map(|problem| {
                    let file = problem.file.display();
                    format!("{file}: {}: {}", problem.key, problem.error)
                });
                let problems: Vec<String> = problems.collect();
                format!(
                    "the decision `{name}` does not fit it: {}",
                    problems.join("; ")
                )
            })?;
    let before = decision.bound.load();
    let had = |tier: &str| before.issues.iter().all(|issue| *issue.tier != *tier);
    match bound.issues.iter().find(|issue| had(&issue.tier)) {
        Some(lost) => Err(format!(
            "the tier `{}` of the decision `{name}` does not fit it: {}",
            lost.tier, lost.message
        )),
        None => Ok(bound),
    }
}
