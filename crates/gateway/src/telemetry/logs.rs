//! Structured logs to standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::config::{LogConfig, LogFormat};

/// The embedded store's own words at `info` are for its developers; a filter may ask for them.
const QUIET: &str = "fjall=warn,lsm_tree=warn";

/// A filter as it is written, checked.
///
/// # Errors
/// It is not one.
pub fn parse_level(written: &str) -> Result<String, ParseError> {
    written.parse::<EnvFilter>().map(|_| written.to_owned())
}

/// Starts logging for the process.
pub fn init(config: &LogConfig) {
    // The level was checked when the configuration was read.
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .init(),
    }
}
