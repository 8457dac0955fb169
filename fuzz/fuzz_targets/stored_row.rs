//! A stored row, of either view, as it is and behind a header that fits: it is refused, or read
//! whole and written the same again.
#![no_main]

use std::sync::LazyLock;

use features::{Catalog, Row, load::parse_line};
use libfuzzer_sys::fuzz_target;

/// A view of one feature, and one of every type and of lists.
const DEFINITIONS: &str = r#"
    entities = { id = "int64" }
    views.one = { entity = "id", features = { a = { dtype = "bool", default = false } } }
    views.every.entity = "id"
    views.every.features.a = { dtype = "string", default = "" }
    views.every.features.b = { dtype = "bool", default = false }
    views.every.features.c = { dtype = "int64", default = 0 }
    views.every.features.d = { dtype = "float32", default = 0.0 }
    views.every.features.e = { dtype = "float64", default = 0.0 }
    views.every.features.f = { dtype = "string", default = "" }
    views.every.features.g = { dtype = "bool", default = false }
    views.every.features.h = { dtype = "bool", default = false }
    views.every.features.i = { dtype = "string", default = "" }
    views.every.features.j = { dtype = "float32[3]", default = 0.0 }
    views.every.features.k = { dtype = "string[2]", default = "" }
"#;

static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::parse(DEFINITIONS).expect("the definitions parse"));

const VIEWS: [&str; 2] = ["one", "every"];
/// Version and fingerprint.
const HEAD_BYTES: usize = 9;

fn head(view: &str) -> Vec<u8> {
    let line = format!(r#"{{"view":"{view}","entity":{{"id":1}},"values":{{}}}}"#);
    let mut bytes = parse_line(&CATALOG, &line).expect("an empty row").encode();
    bytes.truncate(HEAD_BYTES);
    bytes
}

static HEADS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| VIEWS.map(head));

fn read(view: &str, bytes: &[u8]) {
    let Some(row) = Row::decode(&CATALOG, view, bytes) else {
        return;
    };
    // The bits of the bitmap beyond the last feature mean nothing, and are written as 0.
    let written = row.encode();
    assert_eq!(written.len(), bytes.len());
    let again = Row::decode(&CATALOG, view, &written).expect("what was written is read");
    assert_eq!(again.encode(), written);
}

fuzz_target!(|bytes: &[u8]| {
    for (view, head) in VIEWS.iter().zip(&*HEADS) {
        read(view, bytes);
        read(view, &[head, bytes].concat());
    }
});
