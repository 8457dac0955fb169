//! A line of `gavel features load`: a row that parses is stored and read back as it was.
#![no_main]

use features::{Row, load::parse_line};
use gavel_fuzz::CATALOG;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    match parse_line(&CATALOG, line) {
        Ok(row) => {
            let bytes = row.encode();
            let again = Row::decode(&CATALOG, row.view(), &bytes).expect("what was stored is read");
            assert_eq!(again.encode(), bytes);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
