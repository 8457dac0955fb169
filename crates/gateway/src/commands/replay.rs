//! `gavel replay`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use gateway::{
    config::Config,
    diagnostic::Report,
    replay::{self, Findings, Question, WhatIf},
    serve::Failure,
};

use super::select::Select;

/// Ends with this if some could not be replayed or read, or nothing could.
pub(crate) const NOT_REPLAYED: u8 = 2;
/// Ends with this if some came out otherwise, or a what-if changes more than it may.
const DIFFERENT: u8 = 1;

#[derive(Debug, Args)]
pub(crate) struct Command {
    #[command(flatten)]
    select: Select,
    /// At most so many, the oldest first.
    #[arg(long)]
    limit: Option<u64>,
    /// What if another version of a model had answered: fraud_primary=4. From Triton, or in process from
    /// the repository. May be given for several models.
    #[arg(long = "model", value_name = "MODEL=VERSION", value_parser = model)]
    models: Vec<(String, String)>,
    /// What if these had been the rules.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// What if decisions had had no more than this, such as 30ms.
    #[arg(long, value_parser = humantime::parse_duration)]
    budget: Option<Duration>,
    /// What a larger or smaller budget would buy, from the times that Triton took.
    #[arg(long)]
    budgets: bool,
    /// How many actions a what-if may change, as a share: 0.5%, or 0.005.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_changed: Option<f64>,
}

/// What was found, and what the process ends with.
pub(crate) fn run(
    command: Command,
    config: &Config,
    report: &mut Report,
) -> Result<(String, u8), Failure> {
    let mut filter = command.select.filter();
    filter.limit = command.limit;
    let question = Question {
        log: config.decision_log.directory.clone(),
        filter,
        what_if: WhatIf {
            models: command.models,
            rules: command.rules,
            budget: command.budget,
        },
    };
    if command.max_changed.is_some() && question.what_if.is_none() {
        return Err(Failure(
            "--max-changed is about a what-if: --model, --rules or --budget".into(),
        ));
    }
    let mut findings = None;
    super::with_runtime(async {
        findings = Some(replay::run(config, &question, report).await?);
        Ok(String::new())
    })?;
    let Some(findings) = findings else {
        return Err(Failure("the replay did not end".into()));
    };
    if findings.records == 0 {
        return Err(Failure("the log holds no such decision".into()));
    }
    let status = status(&findings, command.max_changed);
    Ok((
        findings.text(command.budgets || command.budget.is_some()),
        status,
    ))
}

fn status(findings: &Findings, max_changed: Option<f64>) -> u8 {
    let changed = findings
        .changes
        .as_ref()
        .map(|changes| changes.share_changed(findings.records));
    let too_many = changed
        .zip(max_changed)
        .is_some_and(|(changed, most)| changed > most);
    // A gate that has tested nothing is not passed.
    let untested = max_changed.is_some() && findings.is_about_nothing();
    match findings.different > 0 || too_many {
        true => DIFFERENT,
        false if findings.not_replayed() > 0 || findings.is_damaged() || untested => NOT_REPLAYED,
        false => 0,
    }
}

fn model(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((model, version)) if !model.is_empty() && version.parse::<u64>().is_ok() => {
            Ok((model.to_owned(), version.to_owned()))
        }
        _ => Err("expected MODEL=VERSION, such as fraud_primary=4".into()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|number| number / unit);
    let share = share.ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to 1, such as 0.5% or 0.005".into())
}

#[cfg(test)]
mod tests {
    use decision_log::Damage;
    use gateway::{decision_log::Damaged, replay::Changes};

    use super::*;

    #[test]
    fn a_gate_that_tested_nothing_is_not_passed() {
        let mut findings = Findings::default();
        findings.records = 10;
        findings.changes = Some(Changes::default());
        assert_eq!(status(&findings, Some(0.5)), NOT_REPLAYED);
        let said = findings.text(false);
        let nothing = "the what-if is about none of these 10 decisions";
        assert!(said.contains(nothing), "{said}");
        assert_eq!(status(&findings, None), 0);
        let mut changes = Changes::default();
        changes.computed = 1;
        findings.changes = Some(changes);
        assert_eq!(status(&findings, Some(0.5)), 0);
    }

    #[test]
    fn a_damaged_log_is_not_all_the_same() {
        let damaged = |is_open, is_cut| Damaged {
            path: "a.seg".into(),
            what: Ok(Damage {
                at: 100,
                bytes: 50,
                records: Some(3),
                is_cut,
            }),
            is_open,
        };
        let findings = |damaged| {
            let mut findings = Findings::default();
            (findings.records, findings.same) = (10, 10);
            findings.damaged = vec![damaged];
            findings
        };
        assert_eq!(status(&findings(damaged(true, true)), None), 0);
        for bad in [damaged(false, true), damaged(true, false)] {
            let findings = findings(bad);
            assert_eq!(status(&findings, None), NOT_REPLAYED);
            let said = findings.text(false);
            let unread = "unreadable: 50 bytes with 3 records that are known of";
            assert!(said.contains(unread), "{said}");
        }
    }

    #[test]
    fn arguments_are_read() {
        assert_eq!(share("0.5%"), Ok(0.005));
        assert_eq!(share("0.25"), Ok(0.25));
        assert_eq!(model("a=4"), Ok(("a".into(), "4".into())));
        for bad in ["", "2", "-1%", "NaN", "x%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
        for bad in ["a", "=4", "a=new", "a=4=5"] {
            assert!(model(bad).is_err(), "{bad}");
        }
    }
}
