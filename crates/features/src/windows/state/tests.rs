//! States against a reference that keeps every event.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::value::Value;
use crate::windows::reference::{
    DAY, DEFINITIONS, Fixture, HOUR, MINUTE, Naive, Payment, START, fixture, payments, values,
};
use crate::windows::sketch::Sketch;
use crate::windows::{Unreadable, evaluate, hash};

proptest! {
    #[test]
    fn a_state_says_what_a_reference_says_that_keeps_everything(
        payments in payments(120),
        cuts in proptest::collection::vec(any::<bool>(), 120),
        later in proptest::collection::vec(prop_oneof![0..2 * MINUTE, 0..2 * HOUR, 0..10 * DAY, -DAY..0], 3),
    ) {
        let Fixture { events, view } = fixture();
        let (mut state, mut naive) = (State::new(&view), Naive::default());
        for (payment, cut) in payments.iter().zip(cuts) {
            let applied = state.apply(&payment.event(&events), payment.origin);
            prop_assert_eq!(applied, naive.apply(payment), "{:?}", payment);
            if cut {
                state = State::decode(&view, &state.encode(7)).unwrap();
                prop_assert_eq!(state.revision(), 7);
            }
        }
        let bytes = state.encode(1);
        prop_assert_eq!(state.newest_us(), naive.kept.iter().map(|kept| kept.at).max());
        for later in later.into_iter().chain([0]) {
            let moment = naive.newest() + later;
            prop_assert_eq!(values(&view, &bytes, moment), naive.values(moment));
        }
    }

    #[test]
    fn bytes_do_not_depend_on_batches(
        payments in payments(200),
        cuts in proptest::collection::vec(any::<bool>(), 200),
    ) {
        let Fixture { events, view } = fixture();
        let (mut whole, mut parts) = (State::new(&view), State::new(&view));
        for (payment, cut) in payments.iter().zip(cuts) {
            let event = payment.event(&events);
            prop_assert_eq!(whole.apply(&event, payment.origin), parts.apply(&event, payment.origin));
            if cut {
                let again = State::decode(&view, &parts.encode(3)).unwrap();
                parts.revision = 3;
                prop_assert_eq!(&again, &parts);
                parts = again;
            }
        }
        prop_assert_eq!(whole.encode(9), parts.encode(9));
    }

    #[test]
    fn reading_again_from_an_earlier_offset_changes_nothing(
        payments in payments(80),
        from in 0usize..80,
    ) {
        let Fixture { events, view } = fixture();
        let mut state = State::new(&view);
        let all: Vec<Event> = payments.iter().map(|payment| payment.event(&events)).collect();
        for (offset, event) in all.iter().enumerate() {
            prop_assert_ne!(state.apply(event, Some((9, offset as i64))), Applied::Replayed);
        }
        let before = state.encode(1);
        for (offset, event) in all.iter().enumerate().skip(from) {
            prop_assert_eq!(state.apply(event, Some((9, offset as i64))), Applied::Replayed);
        }
        prop_assert_eq!(state.encode(1), before);
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_and_never_panic(
        payments in payments(40),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let Fixture { events, view } = fixture();
        let mut state = State::new(&view);
        for payment in &payments {
            state.apply(&payment.event(&events), payment.origin);
        }
        let whole = state.encode(1);
        let short = &whole[..cut.index(whole.len())];
        prop_assert_eq!(State::decode(&view, short), Err(Unreadable::Corrupt));
        prop_assert_eq!(evaluate(&view, short, START, |_, _| {}), Err(Unreadable::Corrupt));
        let mut damaged = whole.clone();
        for (place, byte) in damage {
            let place = place.index(damaged.len());
            damaged[place] = byte;
        }
        let behind_the_head = [&whole[..25], &noise].concat();
        for bytes in [&damaged, &behind_the_head, &noise] {
            let mut handed = 0;
            let read = evaluate(&view, bytes, START, |_, _| handed += 1);
            prop_assert!(read.is_ok() || handed == 0);
            if let Ok(mut state) = State::decode(&view, bytes) {
                let event = Payment::at(START + DAY).event(&events);
                state.apply(&event, Some((1, 1)));
                let bytes = state.encode(2);
                let read = evaluate(&view, &bytes, START, |_, _| {});
                prop_assert!(read.is_ok());
                prop_assert_eq!(State::decode(&view, &bytes).unwrap().encode(2), bytes);
            }
        }
    }
}

#[test]
fn a_state_of_other_definitions_is_not_read() {
    let Fixture { events, view } = fixture();
    let mut state = State::new(&view);
    state.apply(&Payment::at(START).event(&events), None);
    let other = DEFINITIONS.replace("window = \"7d\"", "window = \"8d\"");
    let other = Catalog::parse(&other)
        .unwrap()
        .window_view("velocity")
        .unwrap();
    let bytes = state.encode(1);
    assert_eq!(
        State::decode(&other, &bytes),
        Err(Unreadable::OtherFingerprint)
    );
    assert_eq!(
        evaluate(&other, &bytes, 0, |_, _| {}),
        Err(Unreadable::OtherFingerprint)
    );
    // What a state does not depend on may change.
    let same = DEFINITIONS.replace("lateness = \"2h\"", "lateness = \"3h\"");
    let same = Catalog::parse(&same)
        .unwrap()
        .window_view("velocity")
        .unwrap();
    assert!(State::decode(&same, &bytes).is_ok());
}

#[test]
fn an_entity_without_events_has_no_time_and_empty_windows() {
    let Fixture { view, .. } = fixture();
    let state = State::new(&view);
    assert_eq!(state.newest_us(), None);
    let bytes = state.encode(0);
    assert_eq!(State::decode(&view, &bytes).unwrap(), state);
    let found = values(&view, &bytes, START);
    assert!(found.contains(&("count_1h", Some(Value::Int64(0)))));
    assert!(found.contains(&("last_store", None)));
}

/// The documented layout, byte for byte.
#[test]
fn the_layout_is_the_documented_one() {
    let catalog = Catalog::parse(
        r#"
        entities.id = "int64"
        [events.e]
        id = "key"
        time = "t"
        fields = { id = "int64", x = "float64" }
        [views.v]
        entity = "id"
        events = "e"
        features.n = { dtype = "int64", default = 0, aggregate = "count", window = "1m" }
        features.s = { dtype = "float64", default = 0.0, aggregate = "sum", of = "x", window = "1m" }
        features.x = { dtype = "float64", default = 0.0, aggregate = "last", of = "x" }
        "#,
    )
    .unwrap();
    let (events, view) = (
        catalog.event_type("e").unwrap(),
        catalog.window_view("v").unwrap(),
    );
    let mut state = State::new(&view);
    let now = UNIX_EPOCH + Duration::from_secs(100);
    for (json, offset) in [
        (r#"{"t":10,"id":1,"x":1.5,"key":"a"}"#, 7),
        (r#"{"t":12,"id":1,"x":2.5,"key":"b"}"#, 8),
        (r#"{"t":12,"id":1}"#, 9),
    ] {
        let event = events.parse_json(json.as_bytes(), now).unwrap();
        assert_eq!(state.apply(&event, Some((3, offset))), Applied::Counted);
    }
    let mut expected = vec![2];
    expected.extend(view.program().fingerprint.to_le_bytes());
    expected.extend(12_000_000i64.to_le_bytes());
    expected.extend(5u64.to_le_bytes());
    let mut writers = vec![2, 0];
    writers.extend(hash::text("b").to_le_bytes());
    writers.extend([0x80, 0x89, 0x7a]); // 2,000,000 µs
    writers.extend(hash::text("a").to_le_bytes());
    writers.push(1);
    writers.extend(3u64.to_le_bytes());
    writers.extend(9i64.to_le_bytes());
    expected.extend((writers.len() as u32).to_le_bytes());
    expected.extend([1, 0]);
    expected.extend(2.5f64.to_le_bytes());
    expected.extend([2, 0, 2, 2, 1]); // events: 2 in second 12, 1 in second 10
    expected.extend([2, 0, 1]); // x: one in each
    expected.extend(2.5f64.to_le_bytes());
    expected.extend([2, 1]);
    expected.extend(1.5f64.to_le_bytes());
    expected.extend(writers);
    assert_eq!(state.encode(5), expected);
}

/// The cap that docs/ml-engineers.md names: ids and origins, and per track and window 62 tiles.
#[test]
fn a_million_events_of_one_entity_stay_in_bounds() {
    let Fixture { events, view } = fixture();
    let mut state = State::new(&view);
    let mut longest = 0;
    for i in 0..1_000_000i64 {
        let payment = Payment {
            id: Some(i as u16),
            items: Some(i),
            present: Some(i % 3 == 0),
            store: Some((i * 7 % 50_000) as u16),
            origin: Some((i as u64 % 200, i)),
            ..Payment::at(START + i * 700_000)
        };
        state.apply(&payment.event(&events), payment.origin);
        if i % 10_000 == 0 {
            longest = longest.max(state.encode(1).len());
        }
    }
    let tiles = |bytes: usize| 62 * (2 * 10 + bytes);
    let cap = 25 + 4 // head
        + 512 * (8 + 5) + 64 * 16 + 2 * 3 // ids, origins
        + 3 + 10 + 16 + 3 * 18 + 40 * 18 // last values
        + 3 * tiles(0) + 2 * tiles(8 + 8) // events; amounts
        + 2 * tiles(3 * 8) + tiles(8) // items, presence
        + 2 * tiles(512); // stores
    assert!(longest < cap, "{longest} bytes, at most {cap}");
    assert!(state.ids.len() <= MAX_IDS && state.origins.len() <= MAX_ORIGINS);
    for (track, tiles) in view.program().tracks.iter().zip(&state.tracks) {
        for (level, tiles) in track.levels.iter().zip(&tiles.levels) {
            assert!(tiles.len() <= 62, "{level:?}: {} tiles", tiles.len());
        }
    }
    let sketches = state
        .tracks
        .iter()
        .flat_map(|tiles| &tiles.levels)
        .flatten();
    assert!(
        sketches
            .filter(|tile| matches!(tile.sketch, Sketch::Many(_)))
            .count()
            > 10
    );
}
