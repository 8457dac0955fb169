//! What the feature store's cache is good for, asked when somebody looks.

use features::Store;
use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Sets the counters to what the store has counted; none without a cache.
pub fn report(store: &Store) {
    let Some(usage) = store.cache_usage() else {
        return;
    };
    counter!("gavel_store_cache_hits_total").absolute(usage.hits);
    counter!("gavel_store_cache_misses_total").absolute(usage.misses);
    gauge!("gavel_store_cache_bytes").set(usage.bytes as f64);
}

pub(super) fn describe() {
    describe_counter!(
        "gavel_store_cache_hits_total",
        "Keys of decisions that cost no read of the store: kept from a moment ago, or being read by another request."
    );
    describe_counter!(
        "gavel_store_cache_misses_total",
        "Keys of decisions that were read from the store."
    );
    describe_gauge!(
        "gavel_store_cache_bytes",
        "Memory of the cache in front of the feature store."
    );
}
