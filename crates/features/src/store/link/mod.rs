//! A link to a server that may be slow, down, hung or back again: what Redis is behind.
//!
//! ```text
//!             no connection in 100 ms, or it failed
//!  Connecting ──────────────────────────────────────► Down ◄─────────────┐
//!      │  ▲                                             │ back-off over  │ failed
//!      │  │ the server closed the connection            ▼                │
//!      ▼  │ (once it had answered)                   Probing ────────────┘
//!  connected, ◄────────────────────────────────────────┘ connected, and the probe answered
//!   = Up ──── 5 failures in a row (1 after Probing) ──► Down
//! ```
//! A read waits for the outcome of `Connecting`, within its slice; while the link is `Down` or
//! `Probing` it is turned away at once, so that a dead store costs a decision nothing. One task, the
//! [keeper](keeper), makes every connection and every probe, off the path of requests and bounded
//! in time: a request that leaves never leaves a half-made connection, and however many ask, a dead
//! server sees one attempt.
//!
//! A timer may fire up to 2 ms late, so a read leaves 2 ms before its slice ends, and with less than
//! that left it is not sent at all.
//!
//! A failure is an error, or a read that got no answer in at least 2 ms while the server had
//! answered nobody for 25 ms. So neither an impatient caller nor a hiccup opens the breaker.

mod keeper;
mod session;

use std::future::Future;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use futures::future::try_join_all;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::StoreError;
use super::ask::{Ask, Reply, Values};
use super::change::Change;
use crate::feature_row::StoreOutcome;
use keeper::Keeper;
use session::Session;

/// Connects to the server.
pub(super) trait Dial: Send + Sync + 'static {
    type Wire: Wire;
    fn dial(&self) -> impl Future<Output = Result<Self::Wire, WireError>> + Send;
}

/// A connection that many requests share. Dropping the future of a call abandons its reply only.
pub(super) trait Wire: Send + Sync + 'static {
    /// One round trip; on a cluster, one to each node, side by side.
    fn read(&self, ask: &Ask<'_>) -> impl Future<Output = Result<Reply, WireError>> + Send;
    /// Whether a read could succeed.
    fn probe(&self) -> impl Future<Output = Result<(), WireError>> + Send;
    /// Makes each change that its guard allows, of keys that come once; says which it made.
    fn write(
        &self,
        changes: &[Change<'_>],
    ) -> impl Future<Output = Result<Vec<bool>, WireError>> + Send;
}

#[derive(Clone, Debug)]
pub(super) struct WireError {
    pub(super) why: String,
    /// The connection is of no use any more; another one may be.
    pub(super) broken: bool,
    /// The server said that it will not do this, now or later.
    pub(super) refused: bool,
}

impl WireError {
    /// The connection is of no use any more.
    pub(super) fn broken(why: String) -> Self {
        Self {
            why,
            broken: true,
            refused: false,
        }
    }
}

/// Why a read brought nothing.
#[derive(Clone, Debug)]
pub(super) enum ReadFailure {
    TimedOut,
    Unavailable(Arc<str>),
}

impl ReadFailure {
    pub(super) fn outcome(&self) -> StoreOutcome {
        match self {
            ReadFailure::TimedOut => StoreOutcome::TimedOut,
            ReadFailure::Unavailable(_) => StoreOutcome::Unavailable,
        }
    }
}

enum State<W> {
    Connecting,
    Up(Arc<Session<W>>),
    /// Down or probing: to a request they are the same.
    Down(Arc<str>),
}

/// A timer may fire so late: tokio rounds up to a millisecond, and the kernel's poll to another.
const TIMER_RESOLUTION: Duration = Duration::from_millis(2);
/// How long a write waits for a connection, and then for the server.
const WRITE_CONNECT: Duration = Duration::from_secs(5);
const WRITE_ANSWER: Duration = Duration::from_secs(10);
const PING: Duration = Duration::from_secs(2);
/// Keys in one call of a writer: few enough that reads in between do not wait long.
const KEYS_PER_CALL: usize = 256;

pub(super) struct Link<D: Dial> {
    state: watch::Receiver<State<D::Wire>>,
    /// Started by the first use, because a store may be opened outside a runtime. It ends with
    /// the last clone of the link.
    keeper: Mutex<Option<Keeper<D>>>,
    started: Once,
}

impl<D: Dial> Link<D> {
    pub(super) fn new(dial: D) -> Self {
        let (publish, state) = watch::channel(State::Connecting);
        let keeper = Mutex::new(Some(Keeper::new(dial, publish)));
        Link {
            state,
            keeper,
            started: Once::new(),
        }
    }

    /// Reads everything in one round trip. Without an answer it leaves so long before `until` that a
    /// late timer still ends it in time; with less than that left, it leaves at once.
    pub(super) async fn read(&self, ask: &Ask<'_>, until: Instant) -> Result<Reply, ReadFailure> {
        if ask.len() == 0 {
            return Ok(Reply::default());
        }
        let leave_at = last_moment(until).ok_or(ReadFailure::TimedOut)?;
        let mut broken = None;
        // A server closes idle connections and restarts: a read is tried once more then.
        for _ in 0..2 {
            let session = timeout_at(leave_at, self.session()).await;
            let session = session.map_err(|_| ReadFailure::TimedOut)??;
            let sent = Instant::now();
            if sent > leave_at {
                return Err(ReadFailure::TimedOut);
            }
            match timeout_at(leave_at, session.wire.read(ask)).await {
                Ok(Ok(reply)) => {
                    session.answered();
                    return Ok(reply);
                }
                Ok(Err(error)) => {
                    session.failed(&error);
                    if !error.broken {
                        return Err(ReadFailure::Unavailable(error.why.into()));
                    }
                    broken = Some(error.why);
                }
                Err(_) => {
                    session.unanswered(sent);
                    return Err(ReadFailure::TimedOut);
                }
            }
        }
        Err(ReadFailure::Unavailable(broken.unwrap_or_default().into()))
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        match self.read(&Ask::probe(), Instant::now() + PING).await {
            Ok(_) => Ok(()),
            Err(ReadFailure::Unavailable(why)) => Err(unavailable(why.to_string())),
            Err(ReadFailure::TimedOut) => Err(unavailable(format!("no answer within {PING:?}"))),
        }
    }

    /// Reads for a writer, which has no slice: all calls side by side.
    pub(super) async fn fetch(&self, keys: &[&[u8]]) -> Result<Values, StoreError> {
        let until = Instant::now() + WRITE_ANSWER;
        let calls = keys.chunks(KEYS_PER_CALL).map(|keys| async move {
            let ask = Ask::rows(keys.iter().copied().collect());
            self.read(&ask, until)
                .await
                .map(|reply| reply.rows)
                .map_err(|failure| match failure {
                    ReadFailure::Unavailable(why) => unavailable(why.to_string()),
                    ReadFailure::TimedOut => {
                        unavailable(format!("no answer within {WRITE_ANSWER:?}"))
                    }
                })
        });
        Ok(try_join_all(calls).await?.into_iter().flatten().collect())
    }

    /// Makes the changes that their guards allow, and says which those are. A key comes once.
    pub(super) async fn write(&self, changes: &[Change<'_>]) -> Result<Vec<bool>, StoreError> {
        let mut done = Vec::with_capacity(changes.len());
        for changes in changes.chunks(KEYS_PER_CALL) {
            done.extend(self.call(changes).await?);
        }
        Ok(done)
    }

    async fn call(&self, changes: &[Change<'_>]) -> Result<Vec<bool>, StoreError> {
        // A server that closed the connection may have done as told, and may not.
        let mut again = changes.iter().all(|change| change.guard.may_repeat());
        loop {
            let session = match timeout(WRITE_CONNECT, self.session()).await {
                Ok(Ok(session)) => session,
                Ok(Err(ReadFailure::Unavailable(why))) => return Err(unavailable(why.to_string())),
                Ok(Err(ReadFailure::TimedOut)) | Err(_) => {
                    return Err(unavailable(format!(
                        "no connection within {WRITE_CONNECT:?}"
                    )));
                }
            };
            match timeout(WRITE_ANSWER, session.wire.write(changes)).await {
                Ok(Ok(done)) => {
                    session.answered();
                    return Ok(done);
                }
                Ok(Err(error)) if error.broken => {
                    session.failed(&error);
                    if !std::mem::take(&mut again) {
                        return Err(unavailable(error.why));
                    }
                }
                Ok(Err(error)) if error.refused => {
                    return Err(StoreError::Write { why: error.why });
                }
                Ok(Err(error)) => return Err(unavailable(error.why)),
                Err(_) => return Err(unavailable(format!("no answer within {WRITE_ANSWER:?}"))),
            }
        }
    }

    /// The session of the present, as soon as there is one or it is known that there is none.
    async fn session(&self) -> Result<Arc<Session<D::Wire>>, ReadFailure> {
        self.started.call_once(|| {
            let keeper = self
                .keeper
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(keeper) = keeper {
                tokio::spawn(keeper.run());
            }
        });
        if let Some(known) = present(&self.state.borrow()) {
            return known;
        }
        let mut state = self.state.clone();
        let down = |_| ReadFailure::Unavailable("the runtime is shutting down".into());
        let state = state
            .wait_for(|state| present(state).is_some())
            .await
            .map_err(down)?;
        // The state that ended the wait, looked at again: a session may have ended just now.
        present(&state).unwrap_or_else(|| Err(ReadFailure::Unavailable("connection lost".into())))
    }
}

/// When who has to be gone at `until` leaves, so that a late timer still lets it; `None` if that is
/// over.
pub(super) fn last_moment(until: Instant) -> Option<Instant> {
    let now = Instant::now();
    let left = until.saturating_duration_since(now);
    left.checked_sub(TIMER_RESOLUTION).map(|wait| now + wait)
}

fn unavailable(why: String) -> StoreError {
    StoreError::Unavailable { why }
}

/// What a state means for a request; `None` means: wait for the next.
fn present<W>(state: &State<W>) -> Option<Result<Arc<Session<W>>, ReadFailure>> {
    match state {
        State::Connecting => None,
        State::Up(session) if session.is_over() => None,
        State::Up(session) => Some(Ok(session.clone())),
        State::Down(why) => Some(Err(ReadFailure::Unavailable(why.clone()))),
    }
}

impl<D: Dial> std::fmt::Debug for Link<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &*self.state.borrow() {
            State::Connecting => "connecting",
            State::Up(_) => "up",
            State::Down(_) => "down",
        };
        f.debug_struct("Link")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod scripted;
#[cfg(test)]
mod tests;
