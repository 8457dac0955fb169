//! The script that compares and writes inside the server.

use std::sync::LazyLock;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, Script, cmd};

use crate::store::change::{Change, Guard};

const CODE: &str = include_str!("guarded_set.lua");
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CODE));
/// Redis adds an expiry to the time of day, and refuses one that overflows.
const LONGEST_EXPIRY: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// How a call names the script.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    /// By its digest: short, but a server that has not seen the script answers `NOSCRIPT`.
    Digest,
    /// By its text, which the server then knows.
    Text,
}

/// The command that makes the changes, all of whose keys are on one server. It answers one
/// integer for each.
pub(super) fn call(changes: &[Change<'_>], by: By) -> Cmd {
    let mut command = match by {
        By::Digest => cmd("EVALSHA"),
        By::Text => cmd("EVAL"),
    };
    match by {
        By::Digest => command.arg(SCRIPT.get_hash()),
        By::Text => command.arg(CODE),
    };
    command.arg(changes.len());
    for change in changes {
        command.arg(change.key);
    }
    for change in changes {
        match change.guard {
            Guard::Free => command.arg("free"),
            Guard::NotOlder => command.arg("not older"),
            Guard::Revision(revision) => command.arg(&revision.to_le_bytes()),
        };
        let expiry = change.expires_in.map_or(0, |after| {
            after.min(LONGEST_EXPIRY).as_millis().max(1) as u64
        });
        command.arg(change.value).arg(expiry);
    }
    command
}
