//! What the pipe's store keeps of a card and of a store: finished numbers, as float64s one behind
//! the other, written for the pipe alone.

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use serde_json::{Map, Value};

use super::{Payment, PipeError};

/// How many of a card's last amounts a model takes.
const AMOUNTS: usize = 3;

/// The view `card`.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) txn_count_24h: f64,
    pub(super) txn_count_7d: f64,
    pub(super) txn_count_30d: f64,
    pub(super) txn_amount_sum_7d: f64,
    pub(super) txn_amount_mean_30d: f64,
    pub(super) txn_amount_max_30d: f64,
    pub(super) distinct_stores_30d: f64,
    pub(super) last_amounts: [f64; AMOUNTS],
    pub(super) last_txn_at: f64,
    pub(super) last_lat: f64,
    pub(super) last_lng: f64,
}

/// The view `store`.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) txn_count_24h: f64,
    pub(super) txn_count_7d: f64,
    pub(super) txn_count_30d: f64,
    pub(super) txn_amount_mean_30d: f64,
    pub(super) txn_amount_max_30d: f64,
    pub(super) customer_present_share_30d: f64,
    pub(super) distinct_cards_30d: f64,
    pub(super) lat: f64,
    pub(super) lng: f64,
}

/// A card's features in the order of a row; the list fills as many places as it has elements.
pub(super) const CARD: [&str; 11] = [
    "txn_count_24h",
    "txn_count_7d",
    "txn_count_30d",
    "txn_amount_sum_7d",
    "txn_amount_mean_30d",
    "txn_amount_max_30d",
    "distinct_stores_30d",
    "last_amounts",
    "last_txn_at",
    "last_lat",
    "last_lng",
];

/// A store's.
pub(super) const SHOP: [&str; 9] = [
    "txn_count_24h",
    "txn_count_7d",
    "txn_count_30d",
    "txn_amount_mean_30d",
    "txn_amount_max_30d",
    "customer_present_share_30d",
    "distinct_cards_30d",
    "lat",
    "lng",
];

/// Features that are no float32: their shortest decimals are their values.
const WIDE: [&str; 5] = ["last_txn_at", "last_lat", "last_lng", "lat", "lng"];

/// Both rows, in one round trip.
pub(super) async fn read(
    mut store: MultiplexedConnection,
    payment: &Payment<'_>,
) -> Result<(Option<Card>, Option<Shop>), redis::RedisError> {
    let mut command = redis::cmd("MGET");
    command.arg(key("card", &payment.entities.card_id));
    command.arg(key("store", &payment.entities.store_id));
    let (card, shop): (Option<Bytes>, Option<Bytes>) = command.query_async(&mut store).await?;
    Ok((
        card.and_then(|row| Card::decode(&row)),
        shop.and_then(|row| Shop::decode(&row)),
    ))
}

/// Writes the rows of JSON lines with `card_id`, `store_id` and every feature and status of both views.
pub(super) async fn write(mut store: MultiplexedConnection, lines: &str) -> Result<(), PipeError> {
    for line in lines.lines() {
        let row: Map<String, Value> = serde_json::from_str(line)?;
        for (view, entity, names) in [
            ("card", "card_id", CARD.as_slice()),
            ("store", "store_id", SHOP.as_slice()),
        ] {
            let of = |column: String| row.get(&column).ok_or(PipeError::Row(column));
            // All of a view's features are missing together.
            if of(format!("{view}.{}.status", names[0]))? == "missing" {
                continue;
            }
            let entity = of(entity.into())?;
            let entity = entity.as_str().map_or(entity.to_string(), str::to_owned);
            let mut bytes = Vec::new();
            for name in names {
                encode(name, of(format!("{view}.{name}"))?, &mut bytes);
            }
            let mut command = redis::cmd("SET");
            command.arg(key(view, &entity)).arg(bytes);
            command.exec_async(&mut store).await?;
        }
    }
    Ok(())
}

/// Appends a feature's number, or its list of them, rounded as its dtype rounds. What is none is not
/// a number.
pub(super) fn encode(name: &str, value: &Value, bytes: &mut Vec<u8>) {
    if let Value::Array(elements) = value {
        return elements
            .iter()
            .for_each(|element| encode(name, element, bytes));
    }
    let number = value.as_f64().unwrap_or(f64::NAN);
    let rounded = match WIDE.contains(&name) {
        true => number,
        false => f64::from(number as f32),
    };
    bytes.extend(rounded.to_le_bytes());
}

fn key(view: &str, entity: &str) -> String {
    format!("pipe:{view}:{entity}")
}

impl Card {
    pub(super) fn decode(row: &[u8]) -> Option<Self> {
        let mut values = values(row);
        let mut next = || values.next();
        Some(Self {
            txn_count_24h: next()?,
            txn_count_7d: next()?,
            txn_count_30d: next()?,
            txn_amount_sum_7d: next()?,
            txn_amount_mean_30d: next()?,
            txn_amount_max_30d: next()?,
            distinct_stores_30d: next()?,
            last_amounts: [next()?, next()?, next()?],
            last_txn_at: next()?,
            last_lat: next()?,
            last_lng: next()?,
        })
    }
}

impl Shop {
    pub(super) fn decode(row: &[u8]) -> Option<Self> {
        let mut values = values(row);
        let mut next = || values.next();
        Some(Self {
            txn_count_24h: next()?,
            txn_count_7d: next()?,
            txn_count_30d: next()?,
            txn_amount_mean_30d: next()?,
            txn_amount_max_30d: next()?,
            customer_present_share_30d: next()?,
            distinct_cards_30d: next()?,
            lat: next()?,
            lng: next()?,
        })
    }
}

fn values(row: &[u8]) -> impl Iterator<Item = f64> {
    let (values, _) = row.as_chunks::<8>();
    values.iter().map(|bytes| f64::from_le_bytes(*bytes))
}
