//! Writers of one store, side by side; and what each says of its events.

use std::{future::Future as _, pin::pin, time::UNIX_EPOCH};

use features::windows::evaluate;

use super::*;
use crate::ingest::types::{Format, Types};

const FEATURES: &str = r#"
[entities]
card_id = "string"
[events.payment]
id = "id"
time = "timestamp"
[events.payment.fields]
card_id = "string"
amount = "float64"
[views.velocity]
entity = "card_id"
events = "payment"
[views.velocity.features]
sum_1d = { dtype = "float64", default = 0.0, aggregate = "sum", of = "amount", window = "1d" }
"#;
const TIME: u64 = 1_700_000_000;

struct World {
    _folder: tempfile::TempDir,
    store: Store,
    catalog: Arc<Catalog>,
    key: StateKey,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("embedded:{}", folder.path().display())).unwrap();
        let catalog = Arc::new(Catalog::parse(FEATURES).unwrap());
        let card = features::Value::String("c".into());
        Self {
            key: catalog.state_key("velocity", &[card]).unwrap(),
            _folder: folder,
            store,
            catalog,
        }
    }

    fn writer(&self) -> Writer {
        Writer::new(self.store.clone(), Arc::clone(&self.catalog), 1 << 20)
    }

    /// Writes a payment as number `position` of a source.
    async fn pay(&self, writer: &mut Writer, amount: f64, source: u64, position: i64) {
        let payload = format!(r#"{{"timestamp":{TIME},"card_id":"c","amount":{amount}}}"#);
        let types = Types::new(Arc::clone(&self.catalog));
        let kind = types.only().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(TIME);
        let typed = types.read(Format::Json, payload.as_bytes(), kind.as_ref(), now);
        let origin = (source, position);
        let typed = typed.unwrap();
        let events = [Sourced { typed, origin }];
        let outcomes = writer.write(&events, &[], None).await.unwrap();
        assert_eq!(outcomes, [Applied::Counted]);
    }

    async fn stored(&self) -> Vec<u8> {
        let keys = [self.key.clone()];
        let found = self.store.read_states(&keys).await.unwrap().remove(0);
        found.unwrap()
    }

    async fn sum(&self) -> f64 {
        let view = self.catalog.window_view("velocity").unwrap();
        let (bytes, mut sum) = (self.stored().await, None);
        let moment = TIME as i64 * 1_000_000;
        evaluate(&view, &bytes, moment, |_, value| sum = value).unwrap();
        sum.unwrap().as_f64().unwrap()
    }

    /// Takes the store back to what it had, as a failover to a replica that lags does.
    async fn fail_over_to(&self, earlier: Vec<u8>) {
        let write = StateWrite {
            key: self.key.clone(),
            expected: features::revision(&self.stored().await).unwrap(),
            bytes: earlier,
            expires_in: None,
        };
        assert_eq!(self.store.swap_states(&[write], &[]).await.unwrap(), [true]);
    }
}

#[tokio::test]
async fn what_was_written_after_a_failover_is_not_taken_for_what_it_lost() {
    let world = World::new();
    let (mut one, mut other) = (world.writer(), world.writer());
    world.pay(&mut one, 1.0, 1, 1).await;
    let replica = world.stored().await;
    world.pay(&mut one, 10.0, 1, 2).await;
    world.fail_over_to(replica).await;
    world.pay(&mut other, 100.0, 2, 1).await;
    // It still holds the state with the 10, of which nobody else knows.
    world.pay(&mut one, 1000.0, 1, 3).await;
    assert_eq!(world.sum().await, 1101.0);
}

/// A payment of each card, in this order; the card is its id.
fn payments(catalog: &Arc<Catalog>, cards: impl Iterator<Item = usize>) -> Vec<Sourced> {
    let types = Types::new(Arc::clone(catalog));
    let now = UNIX_EPOCH + Duration::from_secs(TIME);
    let event = |(position, card)| {
        let payload = format!(
            r#"{{"type":"payment","id":"{card}","timestamp":{TIME},"card_id":"c{card}","amount":1}}"#
        );
        let typed = types.read(Format::Json, payload.as_bytes(), None, now);
        Sourced {
            typed: typed.unwrap(),
            origin: (1, position as i64),
        }
    };
    cards.enumerate().map(event).collect()
}

#[test]
fn what_an_event_was_is_told_also_when_its_write_was_made_without_our_knowing() {
    let catalog = Arc::new(Catalog::parse(FEATURES).unwrap());
    // The same payment twice.
    let events = payments(&catalog, [7, 7].into_iter());
    let mut groups = group(&catalog, &events);
    let new = State::new(&groups[0].view);
    let mut written = new.clone();
    // Nobody knows that the first write was made; the second finds nothing, and is refused; the third
    // finds what the first wrote.
    groups[0].apply(&mut written, &events);
    groups[0].apply(&mut new.clone(), &events);
    groups[0].apply(&mut written, &events);
    let told = outcomes(events.len(), &groups);
    assert_eq!(told, [Applied::Counted, Applied::Duplicate]);
}

#[tokio::test]
async fn a_long_write_gives_others_their_turn() {
    let world = World::new();
    let mut writer = world.writer();
    let events = payments(&world.catalog, 0..5000);
    let mut turns = 0;
    let mut writing = pin!(writer.write(&events, &[], None));
    let written = std::future::poll_fn(|context| {
        turns += 1;
        writing.as_mut().poll(context)
    });
    assert_eq!(written.await.unwrap().len(), 5000);
    assert!(turns > 5000 / (2 * TURN), "{turns}");
}
