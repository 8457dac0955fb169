//! What a person sees of an ingestion: a bar on a terminal, a line every two seconds elsewhere.

use std::{io::IsTerminal, sync::Arc, time::Duration};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::observed::{Counts, Observed};

/// How often a line is written while there is work.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// How often a topic that has nothing new says so.
const IDLE_EVERY: Duration = Duration::from_secs(60);
/// How often a bar moves.
const BAR_EVERY: Duration = Duration::from_millis(200);

/// Shows progress until `stop`.
pub(crate) async fn show(observed: Arc<Observed>, endless: bool, stop: CancellationToken) {
    let shown = async {
        if std::io::stderr().is_terminal() {
            bar(&observed).await;
        } else {
            lines(&observed, endless).await;
        }
    };
    stop.run_until_cancelled(shown).await;
}

/// The counts in words, with the rate since `before`.
pub(crate) fn words(now: &Counts, before: &Counts, elapsed: Duration) -> String {
    let read = now.read();
    let rate = (read - before.read()) as f64 / elapsed.as_secs_f64().max(1e-3);
    let mut text = format!(
        "{} events, {}/s",
        HumanCount(read),
        HumanCount(rate.round() as u64)
    );
    if now.all_bytes > 0 {
        let share = 100.0 * now.done_bytes as f64 / now.all_bytes as f64;
        text.push_str(&format!(", {share:.1} %"));
    }
    for (count, word) in [
        (now.lag, "to go"),
        (now.late, "late"),
        (now.duplicates, "duplicates"),
        (now.replayed, "read before"),
        (now.dead, "dead letters"),
    ] {
        if count > 0 {
            let word = if count == 1 {
                word.trim_end_matches('s')
            } else {
                word
            };
            text.push_str(&format!(", {} {word}", HumanCount(count)));
        }
    }
    text
}

async fn lines(observed: &Observed, endless: bool) {
    let (mut before, mut since) = (Counts::default(), Instant::now());
    let mut ticks = tokio::time::interval(LINE_EVERY);
    // The first tick is at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = observed.counts();
        let working = now.read() != before.read() && (!endless || now.lag > 0);
        if !working && since.elapsed() < IDLE_EVERY {
            continue;
        }
        tracing::info!("{}", words(&now, &before, since.elapsed()));
        (before, since) = (now, Instant::now());
    }
}

async fn bar(observed: &Observed) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let (mut before, mut since) = (Counts::default(), Instant::now());
    let mut ticks = tokio::time::interval(BAR_EVERY);
    let mut ticked = 0_u32;
    loop {
        ticks.tick().await;
        let now = observed.counts();
        if now.all_bytes > 0 && bar.length().is_none() {
            bar.set_length(now.all_bytes);
            // A template that is wrong leaves the plain bar.
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
                bar.set_style(style);
            }
        }
        bar.set_position(now.done_bytes);
        bar.set_message(words(&now, &before, since.elapsed()));
        ticked += 1;
        if ticked.is_multiple_of(10) {
            (before, since) = (now, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_with_what_is_not_zero() {
        let before = Counts::default();
        let now = Counts {
            counted: 100_000,
            late: 3,
            dead: 1,
            done_bytes: 5,
            all_bytes: 10,
            ..Counts::default()
        };
        assert_eq!(
            words(&now, &before, Duration::from_secs(2)),
            "100,004 events, 50,002/s, 50.0 %, 3 late, 1 dead letter"
        );
    }
}
