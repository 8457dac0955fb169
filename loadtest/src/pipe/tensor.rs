//! The 36 floats of the primary model, in its order: `decisions/features.toml` as straight code.

use super::{
    Payment,
    stored::{Card, Shop},
};

/// Width of the primary model's input.
pub const FEATURES: usize = 36;

const EARTH_RADIUS_KM: f64 = 6371.0088;
const SECONDS_PER_DAY: f64 = 86_400.0;
const LONGEST_GAP_S: f64 = 7_776_000.0;
const AMOUNTS: [f64; 8] = [10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 750.0, 900.0];
const HOURS: [f64; 4] = [6.0, 12.0, 18.0, 22.0];
const CURRENCIES: [&str; 12] = [
    "EUR", "USD", "GBP", "JPY", "CNY", "INR", "BRL", "RUB", "CHF", "CAD", "AUD", "MXN",
];
const PROVIDERS: [&str; 10] = [
    "American Express",
    "Diners Club / Carte Blanche",
    "Discover",
    "JCB 15 digit",
    "JCB 16 digit",
    "Maestro",
    "Mastercard",
    "VISA 13 digit",
    "VISA 16 digit",
    "VISA 19 digit",
];

/// One row of the primary model. A card or a store that the online store does not know counts with
/// the defaults of `features.toml`.
#[rustfmt::skip]
pub(super) fn tensor(payment: &Payment<'_>, card: Option<&Card>, shop: Option<&Shop>) -> [f32; FEATURES] {
    let inputs = &payment.inputs;
    let amount = inputs.amount;
    let of_card = |feature: fn(&Card) -> f64| card.map_or(0.0, feature);
    let of_shop = |feature: fn(&Shop) -> f64| shop.map_or(0.0, feature);
    let card_mean = of_card(|card| card.txn_amount_mean_30d);
    let card_max = of_card(|card| card.txn_amount_max_30d);
    let shop_mean = of_shop(|shop| shop.txn_amount_mean_30d);

    // A payment without a timestamp counts as noon on a Wednesday, and as long after the last one.
    let time = inputs.timestamp.map(|timestamp| timestamp as f64);
    let hour = time.map_or(12.0, |time| (time.rem_euclid(SECONDS_PER_DAY) / 3600.0).floor().min(23.0));
    let day = time.map_or(2.0, |time| ((time / SECONDS_PER_DAY).floor() + 3.0).rem_euclid(7.0));
    let gap_s = time.map_or(LONGEST_GAP_S, |time| time - of_card(|card| card.last_txn_at)).clamp(0.0, LONGEST_GAP_S);

    let place = |latitude: f64, longitude: f64| (latitude, longitude);
    let (from_lat, from_lng) = card.map_or((0.0, 0.0), |card| place(card.last_lat, card.last_lng));
    let (to_lat, to_lng) = shop.map_or((0.0, 0.0), |shop| place(shop.lat, shop.lng));
    let travel_km = haversine_km(from_lat, from_lng, to_lat, to_lng);

    [
        amount,
        log1p(amount),
        below(&AMOUNTS, amount),
        ratio(amount, card_mean, 1.0),
        ratio(amount, card_max, 1.0),
        ratio(amount, shop_mean, 1.0),
        amount - card_mean,
        flag(inputs.customer_present),
        hour,
        day,
        below(&HOURS, hour),
        of_card(|card| card.txn_count_24h),
        of_card(|card| card.txn_count_7d),
        of_card(|card| card.txn_count_30d),
        log1p(of_card(|card| card.txn_amount_sum_7d)),
        card_mean,
        card_max,
        of_card(|card| card.distinct_stores_30d),
        of_card(|card| card.last_amounts[0]),
        of_card(|card| card.last_amounts[1]),
        of_card(|card| card.last_amounts[2]),
        log1p(gap_s),
        flag(card.is_none()),
        of_shop(|shop| shop.txn_count_24h),
        of_shop(|shop| shop.txn_count_7d),
        of_shop(|shop| shop.txn_count_30d),
        shop_mean,
        of_shop(|shop| shop.txn_amount_max_30d),
        shop.map_or(0.5, |shop| shop.customer_present_share_30d),
        of_shop(|shop| shop.distinct_cards_30d),
        log1p(travel_km),
        log1p(ratio(travel_km, gap_s / 3600.0, 0.0)),
        index(&CURRENCIES, &inputs.currency),
        bucket(&inputs.currency, 16),
        bucket(&inputs.country, 32),
        index(&PROVIDERS, &inputs.provider),
    ]
    .map(|value| value.clamp(f32::MIN.into(), f32::MAX.into()) as f32)
}

fn log1p(x: f64) -> f64 {
    x.max(0.0).ln_1p()
}

fn ratio(a: f64, b: f64, default: f64) -> f64 {
    let ratio = a / b;
    if ratio.is_finite() { ratio } else { default }
}

fn flag(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

/// How many boundaries are at most x.
fn below(boundaries: &[f64], x: f64) -> f64 {
    boundaries.partition_point(|boundary| *boundary <= x) as f64
}

/// Place in a vocabulary, counted from 1; 0 when it is not there.
fn index(vocabulary: &[&str], text: &str) -> f64 {
    let place = vocabulary.iter().position(|word| *word == text);
    place.map_or(0.0, |place| (place + 1) as f64)
}

fn bucket(text: &str, buckets: u32) -> f64 {
    // Reading from a slice does not fail.
    let hash = murmur3::murmur3_32(&mut text.as_bytes(), 0).unwrap_or_default();
    f64::from(hash % buckets)
}

fn haversine_km(lat1: f64, lng1: f64, lat2: f64, lng2: f64) -> f64 {
    let (phi1, phi2) = (lat1.to_radians(), lat2.to_radians());
    let half_dphi = (lat2 - lat1).to_radians() / 2.0;
    let half_dlambda = (lng2 - lng1).to_radians() / 2.0;
    let a = half_dphi.sin().powi(2) + phi1.cos() * phi2.cos() * half_dlambda.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * a.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::{
        pipe::stored::{CARD, SHOP, encode},
        questions::{golden, repository_root},
    };

    /// A stored row; null is the default that `features.toml` says.
    fn packed(view: &Value, names: &[&str]) -> Option<Vec<u8>> {
        let view = view.as_object()?;
        let mut bytes = Vec::new();
        for name in names {
            let default = if *name == "customer_present_share_30d" {
                0.5
            } else {
                0.0
            };
            match &view[*name] {
                Value::Null => encode(name, &default.into(), &mut bytes),
                value => encode(name, value, &mut bytes),
            }
        }
        Some(bytes)
    }

    /// What training computed for these payments, to the bit.
    #[test]
    fn the_golden_rows_come_out() {
        let rows = golden(Path::new(repository_root())).unwrap();
        assert!(rows.len() >= 50);
        for row in rows {
            let json = row.request.to_json();
            let payment: Payment<'_> = serde_json::from_slice(&json).unwrap();
            let card = packed(&row.views["card"], &CARD);
            let shop = packed(&row.views["store"], &SHOP);
            let card = card.map(|row| Card::decode(&row).unwrap());
            let shop = shop.map(|row| Shop::decode(&row).unwrap());
            let found = tensor(&payment, card.as_ref(), shop.as_ref());
            assert_eq!(
                found.as_slice(),
                row.vectors["fraud_primary"],
                "{}",
                row.request.id
            );
        }
    }

    #[test]
    fn numbers_are_rounded_as_gavel_rounds_them() {
        let encoded = |name: &str, number: f64| {
            let mut bytes = Vec::new();
            encode(name, &number.into(), &mut bytes);
            f64::from_le_bytes(bytes.try_into().unwrap())
        };
        assert_eq!(encoded("txn_amount_max_30d", 970.85), f64::from(970.85_f32));
        assert_eq!(encoded("lat", 36.27462), 36.27462);
    }

    #[test]
    fn a_payment_without_a_timestamp_counts_as_noon_on_a_wednesday() {
        let json =
            br#"{"id":"q-0","entities":{"card_id":"1","store_id":"2"},"inputs":{"amount":1e308,
            "currency":"EUR","country":"CA","provider":"x","customer_present":true}}"#;
        let payment: Payment<'_> = serde_json::from_slice(json).unwrap();
        let found = tensor(&payment, None, None);
        assert_eq!(found[0], f32::MAX);
        assert_eq!(found[8..11], [12.0, 2.0, 2.0]);
        assert_eq!(found[21], (LONGEST_GAP_S.ln_1p()) as f32);
    }
}
