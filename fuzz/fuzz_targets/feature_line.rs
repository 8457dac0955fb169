//! A line of `gavel features load`: a row that parses is stored and read back as it was.
#![no_main]

use std::sync::LazyLock;

use features::{Catalog, Row, load::parse_line};
use libfuzzer_sys::fuzz_target;

/// Views of every type that a row may hold.
const DEFINITIONS: &str = r#"
    entities = { card_id = "string", store_id = "int64" }
    views.card.entity = "card_id"
    views.card.ttl = "90d"
    views.card.features.count = { dtype = "float32", default = 0.0 }
    views.card.features.last = { dtype = "int64[3]", default = 0 }
    views.card.features.name = { dtype = "string", default = "" }
    views.store.entity = "store_id"
    views.store.features.open = { dtype = "bool", default = false }
    views.store.features.lat = { dtype = "float64", default = 0.0 }
"#;

static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::parse(DEFINITIONS).expect("the definitions parse"));

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
