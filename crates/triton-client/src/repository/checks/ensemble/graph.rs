//! The graph of an ensemble: each tensor is written once and read, and a first step can start.

use std::collections::{BTreeMap, BTreeSet};

use super::Lint;
use crate::EnsembleStep;

pub(super) fn check(lint: &mut Lint<'_>) {
    let config = &lint.variant.config;
    let steps = &config.ensemble_steps;
    let inputs: BTreeSet<&str> = config.inputs.iter().map(|t| t.name.as_str()).collect();
    let outputs: BTreeSet<&str> = config.outputs.iter().map(|t| t.name.as_str()).collect();
    let read: BTreeSet<&str> = values(steps, |step| &step.input_map).collect();
    let written = writers(steps, &inputs, lint);

    for (index, step) in steps.iter().enumerate() {
        let key = format!("ensemble_scheduling.step[{index}]");
        for (map, field) in [
            (&step.input_map, "input_map"),
            (&step.output_map, "output_map"),
        ] {
            if map.is_empty() {
                lint.error(
                    &format!("{key}.{field}"),
                    format!("the step has no {field}"),
                );
            }
        }
        for (tensor, from) in &step.input_map {
            if !inputs.contains(from.as_str()) && !written.contains_key(from.as_str()) {
                lint.error(
                    &format!("{key}.input_map[\"{tensor}\"]"),
                    format!("nothing makes tensor '{from}': no input of the ensemble, no step"),
                );
            }
        }
        for (tensor, to) in &step.output_map {
            if !read.contains(to.as_str()) && !outputs.contains(to.as_str()) {
                lint.error(
                    &format!("{key}.output_map[\"{tensor}\"]"),
                    format!("nothing reads tensor '{to}': no step, no output of the ensemble"),
                );
            }
        }
    }
    for (index, input) in config.inputs.iter().enumerate() {
        if !read.contains(input.name.as_str()) && !outputs.contains(input.name.as_str()) {
            lint.error(
                &format!("input[{index}].name"),
                format!("no step reads input '{}'", input.name),
            );
        }
    }
    for (index, output) in config.outputs.iter().enumerate() {
        let name = output.name.as_str();
        if !written.contains_key(name) && !inputs.contains(name) {
            lint.error(
                &format!("output[{index}].name"),
                format!("no step makes output '{name}'"),
            );
        }
    }
    circle(steps, &inputs, &written, lint);
}

fn values<'a>(
    steps: &'a [EnsembleStep],
    map: impl Fn(&'a EnsembleStep) -> &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a str> {
    steps
        .iter()
        .flat_map(move |step| map(step).values())
        .map(String::as_str)
}

/// Which step writes each tensor.
fn writers<'a>(
    steps: &'a [EnsembleStep],
    inputs: &BTreeSet<&str>,
    lint: &mut Lint<'_>,
) -> BTreeMap<&'a str, usize> {
    let mut written = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        for (tensor, to) in &step.output_map {
            let taken = if inputs.contains(to.as_str()) {
                Some("it is an input of the ensemble".to_owned())
            } else {
                written
                    .get(to.as_str())
                    .map(|other| format!("step {other} writes it too"))
            };
            match taken {
                Some(why) => lint.error(
                    &format!("ensemble_scheduling.step[{index}].output_map[\"{tensor}\"]"),
                    format!("tensor '{to}' can be written once, and {why}"),
                ),
                None => {
                    written.insert(to.as_str(), index);
                }
            }
        }
    }
    written
}

/// Steps that wait for each other: those that are left when every step that can run has run.
fn circle(
    steps: &[EnsembleStep],
    inputs: &BTreeSet<&str>,
    written: &BTreeMap<&str, usize>,
    lint: &mut Lint<'_>,
) {
    let mut left: BTreeSet<usize> = (0..steps.len()).collect();
    loop {
        // What nothing makes is another finding and holds nothing up here.
        let waits = |index: &usize| {
            steps[*index].input_map.values().any(|tensor| {
                !inputs.contains(tensor.as_str())
                    && written
                        .get(tensor.as_str())
                        .is_some_and(|writer| left.contains(writer))
            })
        };
        let (waiting, ready): (BTreeSet<usize>, BTreeSet<usize>) =
            left.iter().copied().partition(waits);
        if ready.is_empty() {
            break;
        }
        left = waiting;
    }
    if let Some(first) = left.first() {
        let steps: Vec<String> = left.iter().map(usize::to_string).collect();
        lint.error(
            &format!("ensemble_scheduling.step[{first}]"),
            format!("steps {} wait for each other's outputs", steps.join(", ")),
        );
    }
}
