//! A field of Feast's hash: read as a value and as a time, shown, and taken as a feature of every type.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| features::fuzz_feast_field(bytes));
