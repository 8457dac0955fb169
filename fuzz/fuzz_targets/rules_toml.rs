//! A decision table: read and bound to the repository's features, as `gavel check` does; every problem has its
//! place and can be drawn.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| gavel_fuzz::check_decisions("fraud.rules.toml", text));
