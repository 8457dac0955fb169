//! What the suite found: a line a scenario while it runs, a table at its end, and a page to keep.

use std::time::{Duration, SystemTime};

use super::{BUDGET, RATE_PER_S, oracle::TIERS, stage::Finding, tally::PhaseCount};

/// A scenario and what came of it; an error says why it could not be run.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) scenario: &'static str,
    pub(super) what: &'static str,
    pub(super) outcome: Result<Finding, String>,
}

impl Line {
    pub(super) fn passed(&self) -> bool {
        matches!(&self.outcome, Ok(finding) if finding.faults.is_empty())
    }

    fn verdict(&self) -> String {
        match &self.outcome {
            Ok(finding) if finding.faults.is_empty() => "pass".to_owned(),
            Ok(finding) => format!("FAIL: {}", finding.faults.join("; ")),
            Err(why) => format!(
                "FAIL: could not be run: {}",
                why.lines().next().unwrap_or_default()
            ),
        }
    }

    fn cells(&self) -> [String; 10] {
        let Ok(finding) = &self.outcome else {
            let mut cells: [String; 10] = Default::default();
            cells[0] = self.scenario.to_owned();
            cells[9] = self.verdict();
            return cells;
        };
        let tally = &finding.tally;
        let tiers: [usize; TIERS.len()] =
            std::array::from_fn(|tier| tally.phases.iter().map(|phase| phase.tiers[tier]).sum());
        [
            self.scenario.to_owned(),
            tally.answered.to_string(),
            tally.late.to_string(),
            tally.wrong.to_string(),
            tally.lost.to_string(),
            tally.refused.to_string(),
            tiers.map(|count| count.to_string()).join("/"),
            ms(tally.slowest),
            seconds(tally.recovery),
            self.verdict(),
        ]
    }

    /// As it is said when the scenario has ended.
    pub(super) fn told(&self) -> String {
        let mut text = format!("      {}", self.verdict());
        match &self.outcome {
            Ok(finding) => {
                let tally = &finding.tally;
                text += &format!(
                    "\n      {} answered, {} late, {} wrong, {} lost, {} refused; whole again after {}; \
                     the machine held the loader up by {} at worst\n      {}",
                    tally.answered,
                    tally.late,
                    tally.wrong,
                    tally.lost,
                    tally.refused,
                    seconds(tally.recovery),
                    ms(finding.stall),
                    phases(&tally.phases)
                );
                for example in &tally.examples {
                    text += &format!("\n        {example}");
                }
                if !self.passed() {
                    text += &format!("\n      the gateway's log: {}", finding.log.display());
                }
            }
            Err(why) => text += &format!("\n{why}"),
        }
        text
    }
}

const HEAD: [&str; 10] = [
    "scenario",
    "answered",
    "late",
    "wrong",
    "lost",
    "refused",
    "primary/secondary/rules",
    "slowest",
    "whole after",
    "verdict",
];

/// All lines, for a terminal.
pub(super) fn table(lines: &[Line]) -> String {
    let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned))
        .chain(lines.iter().map(Line::cells))
        .collect();
    let mut widths = [0; 10];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let line = |row: &[String; 10]| {
        let cells = row.iter().zip(widths).enumerate();
        let padded = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            9 => cell.clone(),
            _ => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The page that is kept.
pub(super) fn markdown(lines: &[Line]) -> String {
    let passed = lines.iter().filter(|line| line.passed()).count();
    let mut page = format!(
        "# Chaos\n\n\
         {passed} of {} scenarios passed. Written by `make chaos`, {}; {}.\n\n\
         Two real Tritons, a real Redis and Gavel on one machine, under an open-loop load of \
         {RATE_PER_S} requests a second with a budget of {} each. *Late* is an answer past the \
         budget as the caller sees it; *wrong* is another score or action than the tier owes that \
         question; *lost* is no answer, or another status than 200; *refused* counts what came to a \
         gateway that had been told to end. *Whole after* is the time from the heal to the last \
         answer that did not come from the primary tier with every feature. A scenario passes when \
         nothing is lost or wrong, at most 0.1 % is late, and answers are whole again within 10 s \
         of the heal, by themselves; where a healthy pod was left all the time, also when the \
         primary tier went on answering through it.\n\n",
        lines.len(),
        humantime::format_rfc3339_seconds(SystemTime::now()),
        machine(),
        ms(BUDGET),
    );
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    page += &row(&HEAD.map(str::to_owned));
    page += &format!("|{}\n", "---|".repeat(HEAD.len()));
    for line in lines {
        page += &row(&line.cells().map(|cell| cell.replace('|', "\\|")));
    }
    page += "\n## What was done, and answers by phase\n\n";
    for line in lines {
        page += &format!("- **{}**: {}.", line.scenario, line.what);
        if let Ok(finding) = &line.outcome {
            page += &format!(
                " {}. The machine held the loader up by {} at worst.",
                phases(&finding.tally.phases),
                ms(finding.stall)
            );
        }
        page.push('\n');
    }
    page
}

fn phases(counts: &[PhaseCount; 3]) -> String {
    let told = counts.iter().zip(["before", "fault", "after"]);
    let told = told.map(|(count, phase)| {
        let tiers = count.tiers.map(|count| count.to_string()).join("/");
        let without = match count.without_features {
            0 => None,
            missing => Some(format!("{missing} without features")),
        };
        let skips = count.skips.iter();
        let skips = skips.map(|(reason, times)| format!("primary {reason} {times}"));
        let notes: Vec<_> = without.into_iter().chain(skips).collect();
        if notes.is_empty() {
            format!("{phase} {tiers}")
        } else {
            format!("{phase} {tiers} ({})", notes.join(", "))
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

/// The machine, as far as the system says.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |line| {
        line.trim_start_matches([' ', '\t', ':'])
    });
    format!("{cores} cores of {model}, {}", std::env::consts::OS)
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
