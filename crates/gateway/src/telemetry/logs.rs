//! Structured logs to standard error, which may be slow, full or gone: lines are written by a thread
//! of their own, and those that it cannot take are dropped. Nothing that decides waits for a log.

use std::io::IsTerminal;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::config::{LogConfig, LogFormat};

/// The embedded store's own words at `info` are for its developers, and what HTTP/2 warns of a caller
/// can provoke as often as it likes; a filter may ask for them.
const QUIET: &str = "fjall=warn,lsm_tree=warn,h2=error";
/// Lines that wait to be written, at most.
const WAITING_LINES: usize = 4096;

/// A filter as it is written, checked.
///
/// # Errors
/// It is not one.
pub fn parse_level(written: &str) -> Result<String, ParseError> {
    written.parse::<EnvFilter>().map(|_| written.to_owned())
}

/// Starts logging for the process. What waits is written when the guard is dropped.
pub fn init(config: &LogConfig) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("gavel-log")
        .finish(std::io::stderr());
    // The level was checked when the configuration was read.
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match config.format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .init(),
    }
    guard
}
