//! `config.pbtxt`: an error has its place, and what parses can be asked for its features.
#![no_main]

use gavel_fuzz::assert_in;
use libfuzzer_sys::fuzz_target;
use triton_client::ModelConfig;

fuzz_target!(|text: &str| {
    match ModelConfig::parse_pbtxt(text) {
        Ok(config) => {
            for tensor in config.feature_tensors() {
                assert!(config.feature_list(tensor).is_some());
            }
        }
        Err(error) => {
            assert_in(text, &error.span);
            assert!(error.line >= 1 && error.line <= 1 + text.matches('\n').count());
        }
    }
});
