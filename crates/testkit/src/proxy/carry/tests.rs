//! Bytes under rules, exact on a paused clock.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::{JoinHandle, yield_now},
};

use super::*;

const ROOM: usize = 1024;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Both ends of a connection through the proxy, its rules, and its end.
struct Carried {
    client: DuplexStream,
    server: DuplexStream,
    rules: watch::Sender<Rules>,
    ending: JoinHandle<Ending>,
}

fn carried(rules: Rules) -> Carried {
    let (client, mut near) = duplex(ROOM);
    let (server, mut far) = duplex(ROOM);
    let (rules, follow) = watch::channel(rules);
    let born = *follow.borrow();
    let ending = tokio::spawn(async move { between(&mut near, &mut far, born, follow).await });
    Carried {
        client,
        server,
        rules,
        ending,
    }
}

fn under(fault: Fault) -> Carried {
    carried(Rules {
        fault,
        ..Rules::default()
    })
}

/// What arrives, piece by piece, and when, until the stream ends.
async fn arrivals(stream: &mut DuplexStream, start: Instant) -> Vec<(u128, Vec<u8>)> {
    let mut pieces = Vec::new();
    let mut buffer = [0; ROOM];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        pieces.push((start.elapsed().as_millis(), buffer[..length].to_vec()));
    }
    pieces
}

#[tokio::test(start_paused = true)]
async fn bytes_pass_at_once_and_each_way_ends_by_itself() {
    let mut c = under(Fault::None);
    let start = Instant::now();
    c.client.write_all(b"question").await.unwrap();
    c.client.shutdown().await.unwrap();
    assert_eq!(
        arrivals(&mut c.server, start).await,
        [(0, b"question".to_vec())]
    );
    c.server.write_all(b"answer").await.unwrap();
    c.server.shutdown().await.unwrap();
    assert_eq!(
        arrivals(&mut c.client, start).await,
        [(0, b"answer".to_vec())]
    );
    assert_eq!(c.ending.await.unwrap(), Ending::Close);
}

#[tokio::test(start_paused = true)]
async fn a_delay_shifts_and_does_not_add_up() {
    let mut c = under(Fault::Delay(ms(100)));
    let start = Instant::now();
    let sent = tokio::spawn(async move {
        for piece in [b"a", b"b", b"c"] {
            c.client.write_all(piece).await.unwrap();
            sleep(ms(10)).await;
        }
        c.client.shutdown().await.unwrap();
        c.client
    });
    let pieces = arrivals(&mut c.server, start).await;
    let expected = [
        (100, b"a".to_vec()),
        (110, b"b".to_vec()),
        (120, b"c".to_vec()),
    ];
    assert_eq!(pieces, expected);
    // The end of the stream is as late as everything else.
    assert_eq!(start.elapsed(), ms(130));
    drop(sent.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_a_delay_holds_back_goes_on_when_healed() {
    let mut c = under(Fault::Delay(ms(10_000)));
    let start = Instant::now();
    c.client.write_all(b"held").await.unwrap();
    sleep(ms(50)).await;
    c.rules.send_modify(Rules::heal);
    let mut held = [0; 4];
    c.server.read_exact(&mut held).await.unwrap();
    assert_eq!((&held, start.elapsed()), (b"held", ms(50)));
}

#[tokio::test(start_paused = true)]
async fn a_trickle_passes_so_many_bytes_each_interval() {
    let fault = Fault::Trickle {
        bytes: 3,
        every: ms(100),
    };
    let mut c = under(fault);
    let start = Instant::now();
    c.client.write_all(b"1234567").await.unwrap();
    c.client.write_all(b"8").await.unwrap();
    c.client.shutdown().await.unwrap();
    let expected = [
        (0, b"123".to_vec()),
        (100, b"456".to_vec()),
        (200, b"78".to_vec()),
    ];
    assert_eq!(arrivals(&mut c.server, start).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_cut_comes_after_exactly_so_many_bytes_from_when_it_was_ordered() {
    let mut c = under(Fault::None);
    c.client.write_all(b"before").await.unwrap();
    let mut before = [0; 6];
    c.server.read_exact(&mut before).await.unwrap();

    c.rules.send_modify(|rules| rules.begin(Fault::CutAfter(5)));
    c.client.write_all(b"abc").await.unwrap();
    c.server.write_all(b"1234").await.unwrap();
    let mut back = [0; 4];
    c.client.read_exact(&mut back).await.unwrap();
    c.client.write_all(b"defgh").await.unwrap();
    assert_eq!(c.ending.await.unwrap(), Ending::Close);
    let mut after = Vec::new();
    c.server.read_to_end(&mut after).await.unwrap();
    assert_eq!(after, b"abcde");
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_what_is_open_and_what_is_silent() {
    for silent in [false, true] {
        let c = under(Fault::None);
        if silent {
            c.rules.send_modify(Rules::black_hole);
        }
        yield_now().await;
        c.rules.send_modify(|rules| rules.resets += 1);
        assert_eq!(c.ending.await.unwrap(), Ending::Reset, "silent: {silent}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_not_missed_however_short_and_is_for_good() {
    let mut c = under(Fault::None);
    c.rules.send_modify(Rules::black_hole);
    c.rules.send_modify(Rules::heal);
    c.client.write_all(b"lost").await.unwrap();
    c.client.shutdown().await.unwrap();
    let mut byte = [0];
    let heard = timeout_at(
        Instant::now() + ms(3_600_000),
        c.server.read_exact(&mut byte),
    );
    assert!(heard.await.is_err(), "nothing comes, not even an end");
    assert!(!c.ending.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_connection_begun_in_a_black_hole_stays_silent() {
    let mut rules = Rules::default();
    rules.black_hole();
    let mut c = carried(rules);
    c.client.write_all(b"lost").await.unwrap();
    yield_now().await;
    c.rules.send_modify(Rules::heal);
    let mut byte = [0];
    let heard = timeout_at(
        Instant::now() + ms(3_600_000),
        c.server.read_exact(&mut byte),
    );
    assert!(heard.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_broken_end_breaks_the_other() {
    let mut c = under(Fault::None);
    drop(c.server);
    c.client.write_all(b"to nobody").await.unwrap();
    assert_eq!(c.ending.await.unwrap(), Ending::Reset);
}
