//! An event as JSON: it is refused in a sentence, or counted and read back.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use features::Catalog;
use features::windows::{Applied, State, evaluate};
use libfuzzer_sys::fuzz_target;

/// One type of every unit of time; fields of every type, at several depths.
const DEFINITIONS: &str = r#"
    entities = { card = "string", store = "int64" }
    events.s = { time = "t", id = "id", fields = { card = "string", a.type = "float64", a.path = "p.a", b = "bool" } }
    events.text = { time = "p.t", time_unit = "rfc3339", fields = { store = { type = "int64", path = "p.a" } } }
    views.s.entity = "card"
    views.s.events = "s"
    views.s.features.n = { dtype = "float64", default = 0.0, aggregate = "sum", of = "a", window = "1h" }
    views.s.features.d = { dtype = "int64", default = 0, aggregate = "distinct", of = "b", window = "7d" }
    views.text.entity = "store"
    views.text.events = "text"
    views.text.features.n = { dtype = "int64", default = 0, aggregate = "count", window = "1h" }
"#;

static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::parse(DEFINITIONS).expect("the definitions parse"));

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fuzz_target!(|bytes: &[u8]| {
    for events in CATALOG.event_types() {
        match events.parse_json(bytes, now()) {
            Ok(event) => {
                let mut touched = 0;
                for view in events.views() {
                    if view.entity(&event).is_some() {
                        touched += 1;
                        let mut state = State::new(view);
                        assert_eq!(state.apply(&event, None), Applied::Counted);
                        let read = evaluate(view, &state.encode(1), i64::MAX, |_, _| {});
                        assert_eq!(read, Ok(event.time_us()));
                    }
                }
                assert!(touched > 0);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
