//! The circuit breaker of one endpoint.
//!
//! ```text
//!             N failures in a row, or slower than the others for a while
//!   Closed ------------------------> Open (until, back-off: longer if it was open lately)
//!     ^                               |  ^
//!     |                     back-off  |  |  probe failed: back-off doubles, up to a cap
//!     |                      elapsed  v  |  probe gave no verdict: due again at once
//!     +--------------------------- HalfOpen (one probe is out)
//!          probe succeeded
//! ```
//!
//! Each state is a type and a transition consumes it. A verdict counts only in the epoch in which
//! its call was admitted: what was sent before the breaker opened says nothing about a probe. And what
//! fails together counts once: a failure counts if its call was admitted after the one before was
//! known, so that a connection that breaks under twenty calls is one failure, not twenty.
//! The clock is an argument, so the machine is a pure function of what happened.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::options::EndpointOptions;

/// Whoever fails again within this after having come back is left alone for longer.
const RELAPSE: Duration = Duration::from_secs(10);

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls are turned away.
    Open,
    /// One call is out to find out.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        })
    }
}

#[derive(Debug)]
struct Policy {
    consecutive_failures: u32,
    first_backoff: Duration,
    max_backoff: Duration,
}

#[derive(Debug, Default)]
struct Closed {
    failures: u32,
    /// When the newest of them was known.
    failed: Option<Instant>,
    /// The last time that it was open.
    last: Option<Lapse>,
}

#[derive(Debug, Clone, Copy)]
struct Lapse {
    closed: Instant,
    backoff: Duration,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    backoff: Duration,
    probes: u32,
    why: Arc<str>,
    /// It failed nothing, it was slower than the others.
    slow: bool,
}

#[derive(Debug)]
struct HalfOpen {
    backoff: Duration,
    probes: u32,
    why: Arc<str>,
    slow: bool,
}

#[derive(Debug)]
enum State {
    Closed(Closed),
    Open(Open),
    HalfOpen(HalfOpen),
}

impl Closed {
    fn failed(self, policy: &Policy, now: Instant, failure: Failure<'_>) -> State {
        if self.failed.is_some_and(|failed| failure.since < failed) {
            return State::Closed(self);
        }
        let failures = self.failures + 1;
        if failures < policy.consecutive_failures.max(1) {
            return State::Closed(Self {
                failures,
                failed: Some(now),
                ..self
            });
        }
        State::Open(self.opened(policy, now, failure.why, false))
    }

    /// Who comes back and is soon gone again is left alone for longer.
    fn opened(self, policy: &Policy, now: Instant, why: &str, slow: bool) -> Open {
        let recent = |last: &Lapse| now.saturating_duration_since(last.closed) < RELAPSE;
        let longer = self.last.filter(recent).map(|last| last.backoff * 2);
        let backoff = longer
            .unwrap_or(policy.first_backoff)
            .min(policy.max_backoff);
        Open {
            until: now + backoff,
            backoff,
            probes: 0,
            why: why.into(),
            slow,
        }
    }

    fn succeeded(self) -> Self {
        Self {
            failures: 0,
            failed: None,
            ..self
        }
    }
}

impl Open {
    fn admit(self, now: Instant) -> Result<HalfOpen, Self> {
        if now < self.until {
            return Err(self);
        }
        let Self {
            backoff,
            probes,
            why,
            slow,
            ..
        } = self;
        Ok(HalfOpen {
            backoff,
            probes: probes.saturating_add(1),
            why,
            slow,
        })
    }
}

impl HalfOpen {
    fn succeeded(self, now: Instant) -> Closed {
        let last = Some(Lapse {
            closed: now,
            backoff: self.backoff,
        });
        Closed {
            last,
            ..Closed::default()
        }
    }

    fn failed(self, policy: &Policy, now: Instant, why: &str) -> Open {
        let backoff = (self.backoff * 2).min(policy.max_backoff);
        Open {
            until: now + backoff,
            backoff,
            probes: self.probes,
            why: why.into(),
            slow: self.slow,
        }
    }

    fn released(self, now: Instant) -> Open {
        let Self {
            backoff,
            probes,
            why,
            slow,
        } = self;
        Open {
            until: now,
            backoff,
            probes: probes.saturating_sub(1),
            why,
            slow,
        }
    }
}

#[derive(Debug)]
struct Inner {
    state: State,
    epoch: u64,
    openings: u32,
}

/// Admits calls to one endpoint, or not. See the module's diagram.
#[derive(Debug)]
pub(crate) struct Breaker {
    endpoint: Arc<str>,
    policy: Policy,
    inner: Mutex<Inner>,
}

/// Leave to make one call. Giving no verdict (dropping it) is neither success nor failure.
#[derive(Debug)]
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    epoch: u64,
    admitted: Instant,
    probe: Option<Probe>,
    judged: bool,
}

/// What a call is that finds out whether the endpoint is well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    /// The first since the breaker opened is 1.
    pub(crate) number: u32,
    /// The endpoint was slower than the others, so it must be as fast now.
    pub(crate) of_speed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Failure<'a> {
    why: &'a str,
    /// Since when whoever failed may have been failing.
    since: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Verdict<'a> {
    Success,
    Failure(Failure<'a>),
    None,
}

impl Breaker {
    pub(crate) fn new(endpoint: Arc<str>, options: &EndpointOptions) -> Arc<Self> {
        Arc::new(Self {
            endpoint,
            policy: Policy {
                consecutive_failures: options.consecutive_failures,
                first_backoff: options.first_backoff,
                max_backoff: options.max_backoff,
            },
            inner: Mutex::new(Inner {
                state: State::Closed(Closed::default()),
                epoch: 0,
                openings: 0,
            }),
        })
    }

    /// Leave for one call, or `None` while open or while the probe is out.
    pub(crate) fn admit(self: &Arc<Self>, now: Instant) -> Option<Pass> {
        let mut inner = self.inner.lock();
        let (state, probe) =
            match std::mem::replace(&mut inner.state, State::Closed(Closed::default())) {
                State::Open(open) => match open.admit(now) {
                    Ok(half_open) => {
                        let probe = Probe {
                            number: half_open.probes,
                            of_speed: half_open.slow,
                        };
                        inner.epoch += 1;
                        (State::HalfOpen(half_open), Some(Some(probe)))
                    }
                    Err(open) => (State::Open(open), None),
                },
                State::HalfOpen(half_open) => (State::HalfOpen(half_open), None),
                State::Closed(closed) => (State::Closed(closed), Some(None)),
            };
        inner.state = state;
        let probe = probe?;
        Some(Pass {
            breaker: Arc::clone(self),
            epoch: inner.epoch,
            admitted: now,
            probe,
            judged: false,
        })
    }

    /// Whether [`Self::admit`] would give leave.
    pub(crate) fn would_admit(&self, now: Instant) -> bool {
        match &self.inner.lock().state {
            State::Closed(_) => true,
            State::Open(open) => now >= open.until,
            State::HalfOpen(_) => false,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.inner.lock().state, State::Closed(_))
    }

    /// The state, and why it is not closed.
    pub(crate) fn state(&self) -> (BreakerState, Option<Arc<str>>) {
        match &self.inner.lock().state {
            State::Closed(_) => (BreakerState::Closed, None),
            State::Open(open) => (BreakerState::Open, Some(Arc::clone(&open.why))),
            State::HalfOpen(half) => (BreakerState::HalfOpen, Some(Arc::clone(&half.why))),
        }
    }

    /// Applies a verdict; true if the breaker opened by it.
    fn judge(&self, epoch: u64, verdict: Verdict<'_>, now: Instant) -> bool {
        let mut inner = self.inner.lock();
        if inner.epoch != epoch {
            return false;
        }
        let state = std::mem::replace(&mut inner.state, State::Closed(Closed::default()));
        let was_closed = matches!(state, State::Closed(_));
        inner.state = match (state, verdict) {
            (State::Closed(closed), Verdict::Success) => State::Closed(closed.succeeded()),
            (State::Closed(closed), Verdict::Failure(failure)) => {
                closed.failed(&self.policy, now, failure)
            }
            (State::Closed(closed), Verdict::None) => State::Closed(closed),
            (State::HalfOpen(half), Verdict::Success) => State::Closed(half.succeeded(now)),
            (State::HalfOpen(half), Verdict::Failure(failure)) => {
                State::Open(half.failed(&self.policy, now, failure.why))
            }
            (State::HalfOpen(half), Verdict::None) => State::Open(half.released(now)),
            (State::Open(open), _) => State::Open(open),
        };
        let is_closed = matches!(inner.state, State::Closed(_));
        if was_closed && is_closed {
            return false;
        }
        inner.epoch += 1;
        inner.openings += u32::from(was_closed);
        drop(inner);
        self.tell(was_closed, is_closed, verdict);
        !is_closed
    }

    /// Opens it if it is closed, because its calls take longer than the others'.
    pub(crate) fn trip(&self, now: Instant, why: &str) {
        let mut inner = self.inner.lock();
        let state = std::mem::replace(&mut inner.state, State::Closed(Closed::default()));
        let State::Closed(closed) = state else {
            inner.state = state;
            return;
        };
        inner.state = State::Open(closed.opened(&self.policy, now, why, true));
        inner.epoch += 1;
        inner.openings += 1;
        drop(inner);
        self.tell(true, false, Verdict::Failure(Failure { why, since: now }));
    }

    /// How often it opened.
    pub(crate) fn openings(&self) -> u32 {
        self.inner.lock().openings
    }

    fn tell(&self, was_closed: bool, is_closed: bool, verdict: Verdict<'_>) {
        let endpoint = &*self.endpoint;
        match verdict {
            Verdict::Failure(Failure { why, .. }) if was_closed => {
                tracing::warn!(endpoint, why, "endpoint's breaker opened");
            }
            Verdict::Failure(Failure { why, .. }) => tracing::debug!(endpoint, why, "probe failed"),
            Verdict::Success if is_closed => {
                tracing::info!(endpoint, "endpoint's breaker closed");
            }
            _ => {}
        }
    }
}

impl Pass {
    /// Which probe the call is; `None` for an ordinary one.
    pub(crate) fn probe(&self) -> Option<Probe> {
        self.probe
    }

    pub(crate) fn success(mut self, now: Instant) {
        self.judged = true;
        self.breaker.judge(self.epoch, Verdict::Success, now);
    }

    /// The call came to nothing. True if the breaker opened by it.
    pub(crate) fn failure(self, now: Instant, why: &str) -> bool {
        let since = self.admitted;
        self.failed(now, Failure { why, since })
    }

    /// The call did not come back: each that does not counts. True if the breaker opened by it.
    pub(crate) fn silence(self, now: Instant, why: &str) -> bool {
        self.failed(now, Failure { why, since: now })
    }

    fn failed(mut self, now: Instant, failure: Failure<'_>) -> bool {
        self.judged = true;
        self.breaker
            .judge(self.epoch, Verdict::Failure(failure), now)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.judged {
            self.breaker
                .judge(self.epoch, Verdict::None, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
