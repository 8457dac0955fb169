//! How requests become batches, and what of it Gavel cannot use or would wait for.

use super::Lint;
use crate::DynamicBatching;

/// A longer wait for a batch eats too much of a budget that is counted in tens of milliseconds.
const QUEUE_DELAY_LIMIT_US: u64 = 5_000;

pub(super) fn check(lint: &mut Lint<'_>) {
    let config = &lint.variant.config;
    if let Some(batching) = &config.dynamic_batching {
        dynamic(batching, lint);
    }
    if config.sequence_batching.is_some() {
        lint.warning(
            "sequence_batching",
            "the model keeps state between requests: Gavel's requests have none, and are not merged",
            "serve it without `sequence_batching` if it keeps no state",
        );
    } else if config.max_batch_size == 0 {
        lint.warning(
            "max_batch_size",
            "without a batch dimension each row is a call of its own: neither Gavel nor Triton \
             merges them, and a cancelled request still runs",
            "max_batch_size: 64, if the model takes a batch",
        );
    }
    if config.decoupled {
        let key = "model_transaction_policy.decoupled";
        let why = "a decoupled model answers UNIMPLEMENTED to the unary calls that Gavel makes";
        // With a feature list it is meant for Gavel; without, it may serve others.
        if config.feature_tensors().next().is_some() {
            lint.error(key, why);
        } else {
            lint.warning(key, why, "do not name it in a decision");
        }
    }
}

fn dynamic(batching: &DynamicBatching, lint: &mut Lint<'_>) {
    let max = lint.variant.config.max_batch_size;
    for (index, size) in batching.preferred_batch_sizes.iter().enumerate() {
        if *size < 1 || (max > 0 && *size > max) {
            lint.error(
                &format!("dynamic_batching.preferred_batch_size[{index}]"),
                format!(
                    "a preferred batch size of {size} is not between 1 and max_batch_size, {max}"
                ),
            );
        }
    }
    let levels = batching.priority_levels;
    if levels > 0 && !(1..=levels).contains(&batching.default_priority_level) {
        lint.error(
            "dynamic_batching.default_priority_level",
            format!(
                "default_priority_level is {} and must be between 1 and {levels}",
                batching.default_priority_level
            ),
        );
    }
    for (present, field) in [
        (
            batching.default_queue_policy.is_some(),
            "default_queue_policy",
        ),
        (levels > 0, "priority_levels"),
        (
            !batching.priority_queue_policies.is_empty(),
            "priority_queue_policy",
        ),
    ] {
        if present {
            stalls(field, lint);
        }
    }
    let policy = batching.default_queue_policy.as_ref();
    if policy.is_some_and(|policy| policy.allow_timeout_override) {
        lint.warning(
            "dynamic_batching.default_queue_policy.allow_timeout_override",
            "a request's `timeout` bounds its time in the queue alone, an ensemble hands it to \
             each step in full, and the rejection comes late (501 ms for 100 ms)",
            "remove it: Gavel's deadlines do not use it",
        );
    }
    if batching.max_queue_delay_us > QUEUE_DELAY_LIMIT_US {
        let delay_us = batching.max_queue_delay_us;
        lint.warning(
            "dynamic_batching.max_queue_delay_microseconds",
            format!(
                "Triton may hold a row for {} ms to fill a batch, out of the caller's budget; \
                 Gavel merges rows that wait anyway",
                delay_us / 1000
            ),
            "remove it, or keep it below 5000",
        );
    }
}

fn stalls(field: &str, lint: &mut Lint<'_>) {
    lint.warning(
        &format!("dynamic_batching.{field}"),
        format!(
            "`{field}` turns off prefetching in Triton's batcher, which then stalls requests for \
             500 ms now and then (2% of calls at concurrency 1)"
        ),
        "remove it: Gavel queues, bounds and expires requests itself",
    );
}
