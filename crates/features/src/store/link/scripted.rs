//! A server that does as a test says, for exact times on a paused clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::{Dial, Wire, WireError};
use crate::key::Keys;
use crate::store::ask::{Ask, Reply};
use crate::store::change::Change;
use crate::store::remote::Remote;
use crate::store::{Backend, Store};

/// What the server does with whatever comes, until told otherwise.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// Answers after this long.
    Answer(Duration),
    /// Looks at once, and answers after this long.
    AnswerLate(Duration),
    /// Answers with an error that leaves the connection whole.
    Refuse,
    /// Closes the connection.
    Close,
    /// Closes the connection, and answers after that.
    CloseOnce,
    /// Does nothing.
    Hang,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    dial: Mood,
    read: Mood,
    rows: HashMap<Vec<u8>, Vec<u8>>,
    dials: usize,
    /// Reads that asked for rows: probes are not among them.
    reads: usize,
}

impl Script {
    pub(crate) fn new() -> (Self, Store) {
        let at_once = Mood::Answer(Duration::ZERO);
        let shared = Shared {
            dial: at_once.clone(),
            read: at_once,
            rows: HashMap::new(),
            dials: 0,
            reads: 0,
        };
        let script = Script {
            shared: Arc::new(Mutex::new(shared)),
        };
        let remote = Arc::new(Remote::new(ScriptedDial(script.clone())));
        (
            script,
            Store {
                feast: None,
                backend: Backend::Scripted(remote),
            },
        )
    }

    pub(crate) fn dial(&self, mood: Mood) {
        self.shared.lock().unwrap().dial = mood;
    }

    pub(crate) fn read(&self, mood: Mood) {
        self.shared.lock().unwrap().read = mood;
    }

    pub(crate) fn dials(&self) -> usize {
        self.shared.lock().unwrap().dials
    }

    pub(crate) fn reads(&self) -> usize {
        self.shared.lock().unwrap().reads
    }

    async fn act(mood: Mood) -> Result<(), WireError> {
        match mood {
            Mood::Answer(after) if after.is_zero() => Ok(()),
            Mood::Answer(after) | Mood::AnswerLate(after) => {
                sleep(after).await;
                Ok(())
            }
            Mood::Refuse => Err(WireError {
                why: "refused".to_owned(),
                broken: false,
                refused: true,
            }),
            Mood::Close | Mood::CloseOnce => Err(WireError::broken("closed".to_owned())),
            Mood::Hang => std::future::pending().await,
        }
    }
}

pub(crate) struct ScriptedDial(Script);

impl Dial for ScriptedDial {
    type Wire = Script;

    async fn dial(&self) -> Result<Script, WireError> {
        let mood = {
            let mut shared = self.0.shared.lock().unwrap();
            shared.dials += 1;
            shared.dial.clone()
        };
        Script::act(mood).await?;
        Ok(self.0.clone())
    }
}

impl Wire for Script {
    async fn read(&self, ask: &Ask<'_>) -> Result<Reply, WireError> {
        let mood = {
            let mut shared = self.shared.lock().unwrap();
            let probe = ask.rows.iter().eq(Keys::probe().iter());
            shared.reads += usize::from(!probe);
            let mood = shared.read.clone();
            if let Mood::CloseOnce = mood {
                shared.read = Mood::Answer(Duration::ZERO);
            }
            mood
        };
        let look = || {
            let rows = &self.shared.lock().unwrap().rows;
            ask.rows.iter().map(|key| rows.get(key).cloned()).collect()
        };
        let at_once = matches!(mood, Mood::AnswerLate(_)).then(look);
        Script::act(mood).await?;
        let rows = at_once.unwrap_or_else(look);
        Ok(Reply {
            rows,
            hashes: Vec::new(),
        })
    }

    async fn probe(&self) -> Result<(), WireError> {
        Wire::read(self, &Ask::probe()).await.map(drop)
    }

    async fn write(&self, changes: &[Change<'_>]) -> Result<Vec<bool>, WireError> {
        let rows = &mut self.shared.lock().unwrap().rows;
        let mut write = |change: &Change<'_>| {
            let stored = rows.get(change.key).map(Vec::as_slice);
            let allowed = change.guard.allows(stored, change.value);
            if allowed {
                rows.insert(change.key.to_vec(), change.value.to_vec());
            }
            allowed
        };
        Ok(changes.iter().map(&mut write).collect())
    }
}
