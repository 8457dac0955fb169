//! Which records of the decision log a subcommand is about.

use std::time::{Duration, SystemTime};

use clap::Args;
use gateway::decision_log::Filter;

#[derive(Debug, Args)]
pub(crate) struct Select {
    /// From this time: 2026-11-25T10:00:00Z, 2026-11-25, or how long ago, such as 2h.
    #[arg(long, value_parser = moment)]
    from: Option<i64>,
    /// Before this time, written likewise.
    #[arg(long, value_parser = moment)]
    to: Option<i64>,
    /// Of this decision.
    #[arg(long)]
    decision: Option<String>,
}

impl Select {
    pub(crate) fn filter(self) -> Filter {
        Filter {
            from_us: self.from,
            to_us: self.to,
            decision: self.decision,
            ..Filter::default()
        }
    }
}

/// Microseconds since the Unix epoch.
fn moment(text: &str) -> Result<i64, String> {
    let written = humantime::parse_rfc3339_weak(text)
        .or_else(|_| humantime::parse_rfc3339_weak(&format!("{text}T00:00:00Z")));
    let ago = || SystemTime::now().checked_sub(humantime::parse_duration(text).ok()?);
    let time = written.ok().or_else(ago);
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since
        .and_then(|since: Duration| i64::try_from(since.as_micros()).ok())
        .ok_or_else(|| {
            "expected a time such as 2026-11-25T10:00:00Z or 2026-11-25, or how long ago, such as 2h".into()
        })
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn a_moment_is_a_time_a_day_or_how_long_ago() {
        assert_eq!(moment("1970-01-02T00:00:00Z"), Ok(86_400_000_000));
        assert_eq!(moment("1970-01-02 00:00:01.5"), Ok(86_401_500_000));
        assert_eq!(moment("1970-01-02"), Ok(86_400_000_000));
        assert!(moment("1h").unwrap() < moment("1s").unwrap());
        for bad in ["", "soon", "-5", "2026-13-01", "1h ago"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
