//! `POST /v1/decide` with JSON: what is read survives being written and read again, and what the
//! decision makes of it fits the decision.
#![no_main]

use gateway::ingress::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let question = match json::decode(body) {
        Ok(question) => question,
        Err(rejection) => return gavel_fuzz::refuse(rejection),
    };
    let written = gavel_fuzz::as_json(&question).expect("what came as JSON can be JSON");
    let again = json::decode(written.as_bytes()).expect("what was written can be read");
    assert_eq!(question, again);
    gavel_fuzz::typed(&question);
});
