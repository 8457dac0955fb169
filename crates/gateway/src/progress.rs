//! How far a long command has come, on the standard error: a bar on a terminal, else a line every two
//! seconds. What ends sooner than that says nothing.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

/// Before anything is said, and between lines.
const EVERY: Duration = Duration::from_secs(2);
/// Between moves of a bar.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// What is shown while one thing is worked through.
#[derive(Debug)]
pub(crate) struct Meter {
    what: String,
    total: Option<u64>,
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// When there is something to show again.
    next_at: Instant,
}

impl Meter {
    /// `what` is worked through, for messages; `total` in any unit, if it is known.
    pub(crate) fn new(what: impl Into<String>, total: Option<u64>) -> Meter {
        Meter {
            what: what.into(),
            total,
            bar: std::io::stderr().is_terminal().then(|| bar(total)),
            next_at: Instant::now() + EVERY,
        }
    }

    /// A step on: `done` of the total, and in words what has come of it. Cheap when there is nothing
    /// to show yet.
    pub(crate) fn step(&mut self, done: u64, words: impl FnOnce() -> String) {
        let now = Instant::now();
        if now < self.next_at {
            return;
        }
        match &self.bar {
            Some(bar) => {
                self.next_at = now + BAR_EVERY;
                bar.set_position(done);
                bar.set_message(format!("{}: {}", self.what, words()));
            }
            None => {
                self.next_at = now + EVERY;
                let share = match self.total {
                    Some(total) if total > 0 => {
                        format!(" {:.0} %,", (done as f64 / total as f64 * 100.0).min(100.0))
                    }
                    _ => String::new(),
                };
                let _ = writeln!(std::io::stderr(), "{}:{share} {}", self.what, words());
            }
        }
    }

    /// Says a line of its own.
    pub(crate) fn say(&self, line: &str) {
        let say = || {
            let _ = writeln!(std::io::stderr(), "{line}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    let template = match total {
        Some(_) => "{bar:30} {percent:>3} % {msg} ({eta} left)",
        None => "{spinner} {msg} ({elapsed})",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar
}
