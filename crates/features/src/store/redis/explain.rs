//! Redis's errors, in words that say what to do.

use deadpool_redis::redis::{ErrorKind, RedisError};

/// What a Redis user needs; in `docs/operators.md` too.
const GRANTS: &str = "+mget +hmget +ping +evalsha +eval +getrange +set ~gavel:*";

pub(super) fn explain(error: &RedisError) -> String {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "Redis knows no such user with such a password: see the URL's login".to_owned();
    }
    match error.code() {
        Some("NOPERM") => {
            let said = error.detail().unwrap_or_default();
            format!(
                "Redis says: {said}. Grant it with ACL SETUSER; Gavel needs {GRANTS}, and the keys of the hashes that views read"
            )
        }
        Some("NOAUTH") => "Redis wants a password, and the URL has none".to_owned(),
        _ if error.to_string().contains("user executing the script") => format!(
            "the Redis user may call scripts, but not the GETRANGE and SET in them. Grant it with ACL SETUSER; Gavel needs {GRANTS}"
        ),
        _ => error.to_string(),
    }
}
