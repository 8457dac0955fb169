//! What the online store keeps of a card and of a store: the keys and packed rows that `features`
//! documents (`key.rs`, `row.rs`), read for these two views.

use bytes::Bytes;
use redis::aio::MultiplexedConnection;

use super::Payment;

/// Version, fingerprint and event time; then a bitmap of nulls, two bytes for up to 16 features.
const HEADER_BYTES: usize = 1 + 8 + 8;
const BITMAP_BYTES: usize = 2;

/// The view `card`; null is its default.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) distinct_stores_30d: f32,
    pub(super) last_lat: f64,
    pub(super) last_lng: f64,
    pub(super) last_txn_at: Option<i64>,
    pub(super) txn_amount_max_30d: f32,
    pub(super) txn_amount_mean_30d: f32,
    pub(super) txn_amount_sum_7d: f32,
    pub(super) txn_count_24h: f32,
    pub(super) txn_count_30d: f32,
    pub(super) txn_count_7d: f32,
}

/// The view `store`.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) customer_present_share_30d: Option<f32>,
    pub(super) distinct_cards_30d: f32,
    pub(super) lat: f64,
    pub(super) lng: f64,
    pub(super) txn_amount_max_30d: f32,
    pub(super) txn_amount_mean_30d: f32,
    pub(super) txn_count_24h: f32,
    pub(super) txn_count_30d: f32,
    pub(super) txn_count_7d: f32,
}

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

fn key(view: &str, entity: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(32 + entity.len());
    key.extend_from_slice(b"gavel:1:");
    key.extend_from_slice(view.as_bytes());
    key.extend_from_slice(b":s");
    key.extend_from_slice(&(entity.len() as u32).to_le_bytes());
    key.extend_from_slice(entity.as_bytes());
    key
}

impl Card {
    pub(super) fn decode(row: &[u8]) -> Option<Self> {
        let mut values = Values::of(row)?;
        Some(Self {
            distinct_stores_30d: values.f32()?.unwrap_or_default(),
            last_lat: values.f64()?.unwrap_or_default(),
            last_lng: values.f64()?.unwrap_or_default(),
            last_txn_at: values.i64()?,
            txn_amount_max_30d: values.f32()?.unwrap_or_default(),
            txn_amount_mean_30d: values.f32()?.unwrap_or_default(),
            txn_amount_sum_7d: values.f32()?.unwrap_or_default(),
            txn_count_24h: values.f32()?.unwrap_or_default(),
            txn_count_30d: values.f32()?.unwrap_or_default(),
            txn_count_7d: values.f32()?.unwrap_or_default(),
        })
    }
}

impl Shop {
    pub(super) fn decode(row: &[u8]) -> Option<Self> {
        let mut values = Values::of(row)?;
        Some(Self {
            customer_present_share_30d: values.f32()?,
            distinct_cards_30d: values.f32()?.unwrap_or_default(),
            lat: values.f64()?.unwrap_or_default(),
            lng: values.f64()?.unwrap_or_default(),
            txn_amount_max_30d: values.f32()?.unwrap_or_default(),
            txn_amount_mean_30d: values.f32()?.unwrap_or_default(),
            txn_count_24h: values.f32()?.unwrap_or_default(),
            txn_count_30d: values.f32()?.unwrap_or_default(),
            txn_count_7d: values.f32()?.unwrap_or_default(),
        })
    }
}

/// A row's values in order; a null one is `Some(None)`, and a row that is cut off ends in `None`.
struct Values<'r> {
    nulls: u16,
    rest: &'r [u8],
}

impl<'r> Values<'r> {
    fn of(row: &'r [u8]) -> Option<Self> {
        let (nulls, rest) = row
            .get(HEADER_BYTES..)?
            .split_first_chunk::<BITMAP_BYTES>()?;
        Some(Self {
            nulls: u16::from_le_bytes(*nulls),
            rest,
        })
    }

    fn next<const N: usize>(&mut self) -> Option<Option<[u8; N]>> {
        let null = self.nulls & 1 != 0;
        self.nulls >>= 1;
        if null {
            return Some(None);
        }
        let (value, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(Some(*value))
    }

    fn f32(&mut self) -> Option<Option<f32>> {
        Some(self.next()?.map(f32::from_le_bytes))
    }

    fn f64(&mut self) -> Option<Option<f64>> {
        Some(self.next()?.map(f64::from_le_bytes))
    }

    fn i64(&mut self) -> Option<Option<i64>> {
        Some(self.next()?.map(i64::from_le_bytes))
    }
}
