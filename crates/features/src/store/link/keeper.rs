//! The task that keeps the link: connects, watches, backs off, probes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::session::Session;
use super::{Dial, State, Wire, WireError};

/// Requests wait for a connection being made no longer than this; it is made all the same.
const CONNECTING: Duration = Duration::from_millis(100);
/// A connection and its probe take no longer than this.
const ATTEMPT: Duration = Duration::from_secs(5);
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(1);

pub(super) struct Keeper<D: Dial> {
    dial: D,
    publish: watch::Sender<State<D::Wire>>,
}

impl<D: Dial> Keeper<D> {
    pub(super) fn new(dial: D, publish: watch::Sender<State<D::Wire>>) -> Self {
        Keeper { dial, publish }
    }

    /// Runs until nobody holds the link any more.
    pub(super) async fn run(self) {
        let unused = self.publish.clone();
        tokio::select! {
            () = self.keep() => {}
            () = unused.closed() => {}
        }
    }

    async fn keep(self) {
        let mut back_off = FIRST_BACK_OFF;
        let mut probation = false;
        loop {
            match self.connect().await {
                Ok(wire) => {
                    let session = Arc::new(Session::new(wire, probation));
                    tracing::info!("the feature store answers");
                    self.publish.send_replace(State::Up(session.clone()));
                    let verdict = session.over().await;
                    probation = true;
                    if session.is_proved() {
                        back_off = FIRST_BACK_OFF;
                        if verdict.broken {
                            tracing::info!(why = verdict.why, "feature store: connecting again");
                            self.publish.send_replace(State::Connecting);
                            continue;
                        }
                    }
                    self.down(verdict.why);
                }
                Err(error) => self.down(error.why),
            }
            sleep(back_off).await;
            back_off = (2 * back_off).min(LONGEST_BACK_OFF);
            probation = true;
        }
    }

    /// A connection that has answered a probe. Meanwhile requests stop waiting after a while.
    async fn connect(&self) -> Result<D::Wire, WireError> {
        let attempt = async {
            let wire = self.dial.dial().await?;
            wire.probe().await?;
            Ok(wire)
        };
        let attempt = within(ATTEMPT, attempt);
        tokio::pin!(attempt);
        if let Ok(outcome) = timeout(CONNECTING, &mut attempt).await {
            return outcome;
        }
        self.down(format!("no connection within {CONNECTING:?}"));
        attempt.await
    }

    fn down(&self, why: String) {
        let already = matches!(*self.publish.borrow(), State::Down(_));
        if !already {
            tracing::warn!(
                why,
                "the feature store is down: its features are missing meanwhile"
            );
        }
        self.publish.send_replace(State::Down(why.into()));
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    let late = |_| WireError::broken(format!("no answer within {limit:?}"));
    timeout(limit, work).await.map_err(late)?
}
