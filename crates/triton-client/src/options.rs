//! What an operator may set about an endpoint, with defaults that hold for a Triton pod nearby.

use std::time::Duration;

/// Limits and patience of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointOptions {
    /// Calls that may be out at once, those whose waiter has left included. Keep it above
    /// calls per second times [`Self::slow_call`].
    pub max_in_flight: usize,
    /// A call that is still out after this counts as a failure of the endpoint, however patient
    /// its waiter is.
    pub slow_call: Duration,
    /// So many failures in a row open the breaker.
    pub consecutive_failures: u32,
    /// How long the breaker stays open the first time; it doubles with every failed probe.
    pub first_backoff: Duration,
    /// The longest that the breaker stays open between two probes.
    pub max_backoff: Duration,
    /// How long a TCP connection may take to establish.
    pub connect_timeout: Duration,
    /// The largest message that is sent or read, in bytes.
    pub max_message_bytes: usize,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            max_in_flight: 1024,
            slow_call: Duration::from_millis(100),
            consecutive_failures: 5,
            first_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(1),
            max_message_bytes: 256 << 20,
        }
    }
}
