//! `POST /v1/decide` with protobuf, and gRPC: the decision makes of a question what it makes of the
//! same question as JSON.
#![no_main]

use gateway::ingress::{json, protobuf};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let question = match protobuf::decode(body) {
        Ok(question) => question,
        Err(rejection) => return gavel_fuzz::refuse(rejection),
    };
    let row = gavel_fuzz::typed(&question);
    if let Some(written) = gavel_fuzz::as_json(&question) {
        let same = json::decode(written.as_bytes()).expect("what was written can be read");
        assert_eq!(question, same);
        assert_eq!(row, gavel_fuzz::typed(&same));
    }
});
