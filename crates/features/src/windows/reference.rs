//! What a view from events is by its definition: everything is kept, and computed from scratch.
//!
//! For tests: the engine keeps tiles instead and must say the same.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::sketch::{EXACT, Union};
use super::{Applied, WindowView, evaluate, hash};
use crate::catalog::Catalog;
use crate::events::{Event, EventType};
use crate::value::Value;

pub(crate) const DEFINITIONS: &str = r#"
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

pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const START: i64 = 20_000 * DAY;
const LATENESS: i64 = 2 * HOUR;

pub(crate) struct Fixture {
    pub(crate) events: Arc<EventType>,
    pub(crate) view: WindowView,
}

pub(crate) fn fixture() -> Fixture {
    let catalog = Catalog::parse(DEFINITIONS).expect("the definitions parse");
    Fixture {
        events: catalog.event_type("payment").unwrap().clone(),
        view: catalog.window_view("velocity").unwrap(),
    }
}

/// An event as a test says it. Amounts are whole, so that sums are exact in any order.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) id: Option<u16>,
    pub(crate) at: i64,
    pub(crate) amount: Option<i32>,
    pub(crate) items: Option<i64>,
    pub(crate) present: Option<bool>,
    pub(crate) store: Option<u16>,
    pub(crate) origin: Option<(u64, i64)>,
}

impl Payment {
    pub(crate) fn at(at: i64) -> Self {
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

    pub(crate) fn event(&self, events: &EventType) -> Event {
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
pub(crate) struct Naive {
    pub(crate) kept: Vec<Payment>,
    offsets: HashMap<u64, i64>,
}

impl Naive {
    pub(crate) fn newest(&self) -> i64 {
        self.kept
            .iter()
            .map(|kept| kept.at)
            .max()
            .unwrap_or(i64::MIN)
    }

    pub(crate) fn apply(&mut self, payment: &Payment) -> Applied {
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

    pub(crate) fn values(&self, moment: i64) -> Vec<(&'static str, Option<Value>)> {
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

pub(crate) fn values(
    view: &WindowView,
    bytes: &[u8],
    moment: i64,
) -> Vec<(&'static str, Option<Value>)> {
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

pub(crate) fn payments(most: usize) -> impl Strategy<Value = Vec<Payment>> {
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
