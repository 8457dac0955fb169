//! A stored state, as it is and behind a head that fits: it is refused, or read, gone on with and
//! written.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use features::Catalog;
use features::windows::{State, WindowView, evaluate};
use libfuzzer_sys::fuzz_target;

/// A view of every aggregate.
const DEFINITIONS: &str = r#"
    entities = { id = "int64" }
    events.e = { time = "t", id = "key", fields = { id = "int64", x = "float64", s = "string", b = "bool" } }
    views.v.entity = "id"
    views.v.events = "e"
    views.v.features.a = { dtype = "int64", default = 0, aggregate = "count", window = "1m" }
    views.v.features.b = { dtype = "int64", default = 0, aggregate = "count", window = "90d" }
    views.v.features.c = { dtype = "float64", default = 0.0, aggregate = "sum", of = "x", window = "1h" }
    views.v.features.d = { dtype = "float32", default = 0.0, aggregate = "max", of = "x", window = "7d" }
    views.v.features.e = { dtype = "int64", default = 0, aggregate = "min", of = "id", window = "7d" }
    views.v.features.f = { dtype = "int64", default = 0, aggregate = "distinct", of = "s", window = "1h" }
    views.v.features.g = { dtype = "int64", default = 0, aggregate = "distinct", of = "s", window = "7d" }
    views.v.features.h = { dtype = "string[4]", default = "", aggregate = "last_n", of = "s" }
    views.v.features.i = { dtype = "bool", default = false, aggregate = "last", of = "b" }
    views.v.features.j = { dtype = "float64", default = 0.0, aggregate = "ratio", of = ["a", "b"] }
    views.v.features.k = { dtype = "float64", default = 0.0, aggregate = "since_last" }
"#;

static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::parse(DEFINITIONS).expect("the definitions parse"));

/// Version and fingerprint.
const HEAD_BYTES: usize = 9;

fn read(view: &WindowView, bytes: &[u8]) {
    let mut handed = 0;
    let read = evaluate(view, bytes, 0, |_, _| handed += 1);
    assert!(read.is_ok() || handed == 0);
    let Ok(mut state) = State::decode(view, bytes) else {
        return;
    };
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let events = CATALOG.event_type("e").expect("it is defined");
    for time in [1_600_000_000, 1_600_000_100, 1_699_999_999] {
        let json = format!(r#"{{"t":{time},"id":7,"x":0.5,"s":"{time}","key":{time}}}"#);
        let event = events.parse_json(json.as_bytes(), now).expect("an event");
        state.apply(&event, Some((1, time)));
        let written = state.encode(2);
        let again = State::decode(view, &written).expect("what was written is read");
        assert_eq!(again.encode(2), written);
        assert!(evaluate(view, &written, i64::MAX, |_, _| {}).is_ok());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let view = CATALOG.window_view("v").expect("it is defined");
    let mut head = State::new(&view).encode(0);
    head.truncate(HEAD_BYTES);
    read(&view, bytes);
    read(&view, &[&head, bytes].concat());
});
