//! States against a reference that keeps every event.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::events::EventType;
use crate::value::Value;
use crate::windows::sketch::{EXACT, Sketch, Union};
use crate::windows::{Unreadable, evaluate, hash};

const DEFINITIONS: &str = r#"
[entities]
card_id = "string"

[events.payment]
id = "id"
time = "at"
time_unit = "us"
lateness = "2h"
[events.payment.fields]
card_id = "string"
amount = "float64"
items = "int64"
present = "bool"
store = "string"

[views.velocity]
entity = "card_id"
events = "payment"
[views.velocity.features]
count_1m     = { dtype = "int64", default = 0, aggregate = "count", window = "1m" }
count_1h     = { dtype = "int64", default = 0, aggregate = "count", window = "1h" }
count_24h    = { dtype = "float32", default = 0.0, aggregate = "count", window = "24h" }
sum_1h       = { dtype = "float64", default = 0.0, aggregate = "sum", of = "amount", window = "1h" }
sum_24h      = { dtype = "float64", default = 0.0, aggregate = "sum", of = "amount", window = "24h" }
mean_24h     = { dtype = "float64", default = 0.0, aggregate = "mean", of = "amount", window = "24h" }
min_24h      = { dtype = "float64", default = 0.0, aggregate = "min", of = "amount", window = "24h" }
items_sum_1h = { dtype = "int64", default = 0, aggregate = "sum", of = "items", window = "1h" }
items_max_1h = { dtype = "int64", default = 0, aggregate = "max", of = "items", window = "1h" }
items_min_7d = { dtype = "int64", default = 0, aggregate = "min", of = "items", window = "7d" }
present_1h   = { dtype = "float64", default = 0.0, aggregate = "mean", of = "present", window = "1h" }
stores_1h    = { dtype = "int64", default = 0, aggregate = "distinct", of = "store", window = "1h" }
stores_7d    = { dtype = "int64", default = 0, aggregate = "distinct", of = "store", window = "7d" }
last_amount  = { dtype = "float32", default = 0.0, aggregate = "last", of = "amount" }
last_items   = { dtype = "int64[3]", default = -1, aggregate = "last_n", of = "items" }
last_stores  = { dtype = "string[40]", default = "", aggregate = "last_n", of = "store" }
last_store   = { dtype = "string", default = "", aggregate = "last", of = "store" }
since        = { dtype = "float64", default = 0.0, aggregate = "since_last" }
burst        = { dtype = "float64", default = 0.0, aggregate = "ratio", of = ["count_1m", "count_24h"] }
"#;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const START: i64 = 20_000 * DAY;
const LATENESS: i64 = 2 * HOUR;

struct Fixture {
    events: Arc<EventType>,
    view: WindowView,
}

fn fixture() -> Fixture {
    let catalog = Catalog::parse(DEFINITIONS).expect("the definitions parse");
    Fixture {
        events: catalog.event_type("payment").unwrap().clone(),
        view: catalog.window_view("velocity").unwrap(),
    }
}

/// An event as a test says it. Amounts are whole, so that sums are exact in any order.
#[derive(Clone, Debug)]
struct Payment {
    id: Option<u16>,
    at: i64,
    amount: Option<i32>,
    items: Option<i64>,
    present: Option<bool>,
    store: Option<u16>,
    origin: Option<(u64, i64)>,
}

impl Payment {
    fn at(at: i64) -> Self {
        Payment {
            id: None,
            at,
            amount: Some(1),
            items: None,
            present: None,
            store: None,
            origin: None,
        }
    }

    fn event(&self, events: &EventType) -> Event {
        let id = self.id.map(|id| format!("p{id}"));
        let text = |text: &str| Value::String(text.into());
        let mut fields = vec![("card_id", text("4022")), ("unknown", text("x"))];
        let optional = [
            (
                "amount",
                self.amount.map(|amount| Value::Float64(f64::from(amount))),
            ),
            ("items", self.items.map(Value::Int64)),
            ("present", self.present.map(Value::Bool)),
            ("store", self.store.map(|store| text(&format!("s{store}")))),
        ];
        fields.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let now = UNIX_EPOCH + Duration::from_secs(1 << 34);
        events
            .from_fields(id.as_deref(), self.at, fields, now)
            .expect("an event")
    }
}

/// Keeps everything, and computes from the definitions.
#[derive(Default)]
struct Naive {
    kept: Vec<Payment>,
    offsets: std::collections::HashMap<u64, i64>,
}

impl Naive {
    fn newest(&self) -> i64 {
        self.kept
            .iter()
            .map(|kept| kept.at)
            .max()
            .unwrap_or(i64::MIN)
    }

    fn apply(&mut self, payment: &Payment) -> Applied {
        if let Some((source, offset)) = payment.origin {
            let known = self.offsets.entry(source).or_insert(i64::MIN);
            if offset <= *known {
                return Applied::Replayed;
            }
            *known = offset;
        }
        let oldest = self.newest().saturating_sub(LATENESS);
        let mut recent = self.kept.iter().filter(|kept| kept.at >= oldest);
        if payment.id.is_some() && recent.any(|kept| kept.id == payment.id) {
            return Applied::Duplicate;
        }
        if payment.at < oldest {
            return Applied::Late;
        }
        self.kept.push(payment.clone());
        Applied::Counted
    }

    fn window(&self, moment: i64, window: i64, tile: i64) -> Vec<&Payment> {
        let from = (moment.max(self.newest()) - window).div_euclid(tile) * tile;
        self.kept.iter().filter(|kept| kept.at >= from).collect()
    }

    fn newest_with<T>(&self, of: impl Fn(&Payment) -> Option<T>) -> Option<T> {
        let held = self.kept.iter().filter(|kept| of(kept).is_some());
        // Of equal times the last of them.
        of(held.max_by_key(|kept| kept.at)?)
    }

    fn newest_of(
        &self,
        length: usize,
        padding: Value,
        of: impl Fn(&Payment) -> Option<Value>,
    ) -> Option<Value> {
        let mut held: Vec<(i64, Value)> = self
            .kept
            .iter()
            .filter_map(|kept| Some((kept.at, of(kept)?)))
            .collect();
        held.reverse();
        held.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let newest = held
            .into_iter()
            .map(|(_, value)| value)
            .chain(std::iter::repeat(padding));
        let any = self.kept.iter().any(|kept| of(kept).is_some());
        any.then(|| Value::List(newest.take(length).collect()))
    }

    fn values(&self, moment: i64) -> Vec<(&'static str, Option<Value>)> {
        let m1 = self.window(moment, MINUTE, 1_000_000);
        let h1 = self.window(moment, HOUR, MINUTE);
        let h24 = self.window(moment, DAY, 30 * MINUTE);
        let d7 = self.window(moment, 7 * DAY, 3 * HOUR);
        let amounts = |of: &[&Payment]| -> Vec<f64> {
            of.iter()
                .filter_map(|kept| kept.amount)
                .map(f64::from)
                .collect()
        };
        let items =
            |of: &[&Payment]| -> Vec<i64> { of.iter().filter_map(|kept| kept.items).collect() };
        let stores = |of: &[&Payment]| {
            let mut set = Union::new();
            let hashes: BTreeSet<u64> = of
                .iter()
                .filter_map(|kept| kept.store)
                .map(|store| hash::text(&format!("s{store}")))
                .collect();
            hashes.iter().for_each(|hash| set.insert(*hash));
            assert!(hashes.len() > EXACT || set.count() == hashes.len() as u64);
            Some(Value::Int64(set.count() as i64))
        };
        let (a1, a24) = (amounts(&h1), amounts(&h24));
        let present: Vec<f64> = h1
            .iter()
            .filter_map(|kept| kept.present)
            .map(|p| f64::from(u8::from(p)))
            .collect();
        let mean = |of: &[f64]| (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64);
        let number = |value: f64| Some(Value::Float64(value));
        let count = |of: &[&Payment]| Some(Value::Int64(of.len() as i64));
        vec![
            (
                "burst",
                (!h24.is_empty()).then(|| Value::Float64(m1.len() as f64 / h24.len() as f64)),
            ),
            ("count_1h", count(&h1)),
            ("count_1m", count(&m1)),
            ("count_24h", Some(Value::Float32(h24.len() as f32))),
            (
                "items_max_1h",
                items(&h1).into_iter().max().map(Value::Int64),
            ),
            (
                "items_min_7d",
                items(&d7).into_iter().min().map(Value::Int64),
            ),
            (
                "items_sum_1h",
                Some(Value::Int64(items(&h1).into_iter().sum())),
            ),
            (
                "last_amount",
                self.newest_with(|kept| kept.amount)
                    .map(|amount| Value::Float32(amount as f32)),
            ),
            (
                "last_items",
                self.newest_of(3, Value::Int64(-1), |kept| kept.items.map(Value::Int64)),
            ),
            (
                "last_store",
                self.newest_with(|kept| kept.store)
                    .map(|store| Value::String(format!("s{store}").into())),
            ),
            (
                "last_stores",
                self.newest_of(40, Value::String("".into()), |kept| {
                    kept.store
                        .map(|store| Value::String(format!("s{store}").into()))
                }),
            ),
            ("mean_24h", mean(&a24).map(Value::Float64)),
            (
                "min_24h",
                a24.iter().copied().reduce(f64::min).map(Value::Float64),
            ),
            ("present_1h", mean(&present).map(Value::Float64)),
            (
                "since",
                number((moment - self.newest()).max(0) as f64 / 1e6),
            ),
            ("stores_1h", stores(&h1)),
            ("stores_7d", stores(&d7)),
            ("sum_1h", number(a1.iter().sum::<f64>() + 0.0)),
            ("sum_24h", number(a24.iter().sum::<f64>() + 0.0)),
        ]
    }
}

fn values(view: &WindowView, bytes: &[u8], moment: i64) -> Vec<(&'static str, Option<Value>)> {
    let names: Vec<&str> = view.features().collect();
    let mut values = Vec::new();
    evaluate(view, bytes, moment, |feature, value| {
        assert_eq!(feature, values.len());
        // The names are those of the definitions above.
        let name = DEFINITIONS.lines().find_map(|line| {
            let word = line.split_whitespace().next()?;
            (word == names[feature]).then_some(word)
        });
        values.push((name.unwrap(), value));
    })
    .unwrap();
    values
}

/// Steps between events: bursts, hours, and gaps of days; some go back.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 0..2 * MINUTE,
        3 => 0..3 * HOUR,
        1 => 0..9 * DAY,
        2 => -3 * HOUR..0,
        1 => Just(0),
        1 => Just(MINUTE),
    ]
}

fn payments(most: usize) -> impl Strategy<Value = Vec<Payment>> {
    let payment = (
        step(),
        proptest::option::of(0u16..40),
        proptest::option::weighted(0.8, -50i32..50),
        proptest::option::of(prop_oneof![-9i64..9, Just(1 << 60), Just(-(1 << 60))]),
        proptest::option::of(any::<bool>()),
        proptest::option::of(prop_oneof![4 => 0u16..6, 1 => 0u16..500]),
        proptest::option::of((0u64..3, -3i64..3)),
    );
    proptest::collection::vec(payment, 1..most).prop_map(|all| {
        let (mut at, mut offsets) = (START, [0; 3]);
        let payment = |(step, id, amount, items, present, store, origin): (
            i64,
            _,
            _,
            Option<i64>,
            _,
            _,
            Option<(u64, i64)>,
        )| {
            at += step;
            Payment {
                id,
                at,
                amount,
                // Sums of int64 are float64: exact up to 2^53.
                items: items.map(|items| items.clamp(-9, 9)),
                present,
                store,
                origin: origin.map(|(source, step)| {
                    let offset = &mut offsets[source as usize];
                    *offset += step;
                    (source, *offset)
                }),
            }
        };
        all.into_iter().map(payment).collect()
    })
}

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
