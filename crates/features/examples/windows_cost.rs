//! What a view from events costs: three windows, four aggregates each.
//!
//! ```text
//! cargo run --release -p features --example windows_cost -- [EVENTS] [ENTITIES]
//! ```
//! Prints events/s (parsing, applying, encoding), nanoseconds an evaluation and bytes an entity.

#![allow(clippy::unwrap_used, reason = "an example that cannot go on ends here")]

use std::hint::black_box;
use std::time::{Duration, UNIX_EPOCH};

use features::Catalog;
use features::windows::{State, evaluate};
use tokio::time::Instant;

const EVENTS: &str = r#"
entities.card_id = "string"
[events.payment]
id = "id"
time = "t"
time_unit = "ms"
fields = { card_id = "string", amount = "float64" }
[views.velocity]
entity = "card_id"
events = "payment"
[views.velocity.features]
"#;

const START_MS: u64 = 1_600_000_000_000;
/// All events fall into a day.
const SPAN_MS: u64 = 86_400_000;

fn definitions() -> String {
    let mut text = EVENTS.to_owned();
    for window in ["1h", "24h", "30d"] {
        for aggregate in ["count", "sum", "mean", "max"] {
            let of = match aggregate {
                "count" => "",
                _ => ", of = \"amount\"",
            };
            text += &format!(
                "{aggregate}_{window} = {{ dtype = \"float32\", default = 0.0, aggregate = \"{aggregate}\", window = \"{window}\"{of} }}\n"
            );
        }
    }
    text
}

fn per(elapsed: Duration, count: usize) -> f64 {
    elapsed.as_nanos() as f64 / count.max(1) as f64
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let count: usize = arguments.next().unwrap_or(1_000_000);
    let entities: usize = arguments.next().unwrap_or(10_000).max(1);
    let catalog = Catalog::parse(&definitions()).unwrap();
    let (events, view) = (
        catalog.event_type("payment").unwrap(),
        catalog.window_view("velocity").unwrap(),
    );
    // A multiplicative generator: which entity is next, and what it pays.
    let mut random = 1u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        random >> 33
    };
    let lines: Vec<(usize, String)> = (0..count)
        .map(|i| {
            let entity = next() as usize % entities;
            let time = START_MS + SPAN_MS * i as u64 / count as u64;
            let amount = next() % 100_000;
            let line = format!(
                r#"{{"id":"p{i}","t":{time},"card_id":"c{entity}","amount":{}.{:02}}}"#,
                amount / 100,
                amount % 100
            );
            (entity, line)
        })
        .collect();
    let now = UNIX_EPOCH + Duration::from_millis(START_MS + SPAN_MS);

    let start = Instant::now();
    let parsed: Vec<_> = lines
        .iter()
        .map(|(entity, line)| (*entity, events.parse_json(line.as_bytes(), now).unwrap()))
        .collect();
    println!("parse     {:8.0} ns an event", per(start.elapsed(), count));

    let mut states: Vec<State> = (0..entities).map(|_| State::new(&view)).collect();
    let start = Instant::now();
    for (offset, (entity, event)) in parsed.iter().enumerate() {
        black_box(states[*entity].apply(event, Some((1, offset as i64))));
    }
    println!("apply     {:8.0} ns an event", per(start.elapsed(), count));

    let start = Instant::now();
    let stored: Vec<Vec<u8>> = states.iter().map(|state| state.encode(1)).collect();
    println!(
        "encode    {:8.0} ns a state",
        per(start.elapsed(), entities)
    );

    let start = Instant::now();
    for bytes in &stored {
        black_box(State::decode(&view, bytes).unwrap());
    }
    println!(
        "decode    {:8.0} ns a state",
        per(start.elapsed(), entities)
    );

    let moment_us = (1_000 * (START_MS + SPAN_MS)) as i64;
    let start = Instant::now();
    for bytes in &stored {
        evaluate(&view, bytes, moment_us, |_, value| _ = black_box(value)).unwrap();
    }
    println!(
        "evaluate  {:8.0} ns a state",
        per(start.elapsed(), entities)
    );

    let bytes: usize = stored.iter().map(Vec::len).sum();
    let each = count as f64 / entities as f64;
    println!(
        "stored    {:8} bytes a state of {each:.0} events",
        bytes / entities
    );
}
