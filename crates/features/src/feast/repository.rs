//! A Feast repository: its `feature_store.yaml`, and the registry that it names.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::key::KeyFormat;
use super::registry::{self, FeastView, Registry};
use super::settings::{self, Settings};

/// What is wrong with a file of Feast's. Its text is a full sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FeastProblem {
    /// The file.
    pub file: PathBuf,
    /// Dotted path of the key in feature_store.yaml; empty for what has no key.
    pub key: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for FeastProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, key) = (self.file.display(), &self.key);
        let separator = if key.is_empty() { "" } else { ": " };
        write!(f, "{file}{separator}{key} {}", self.message)
    }
}

/// The views of a project of Feast's, as its registry said them when it was read.
#[derive(Debug)]
pub struct FeastRepository {
    file: PathBuf,
    settings: Settings,
    registry: Registry,
}

impl FeastRepository {
    /// Reads a feature_store.yaml and the registry that it names. A path in it is relative to its
    /// folder.
    ///
    /// # Errors
    /// Everything that is wrong with feature_store.yaml at once, or else with the registry.
    pub fn open(file: &Path) -> Result<FeastRepository, Vec<FeastProblem>> {
        let problem = |key: &str, message: String| FeastProblem {
            file: file.to_owned(),
            key: key.to_owned(),
            message,
        };
        let bytes = read_settled(file).map_err(|problem| vec![problem])?;
        let text = String::from_utf8(bytes)
            .map_err(|error| vec![problem("", format!("cannot be read: {error}"))])?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let env = |name: &str| std::env::var(name).ok();
        let settings = settings::parse(&text, folder, &env).map_err(|all| {
            let all = all.into_iter();
            all.map(|(key, message)| problem(key, message))
                .collect::<Vec<_>>()
        })?;
        let registry = load(&settings).map_err(|problem| vec![problem])?;
        Ok(FeastRepository {
            file: file.to_owned(),
            settings,
            registry,
        })
    }

    /// Reads both files again; `None` if they say what they said. Feast writes its registry in place,
    /// so it may be found empty or cut short.
    ///
    /// # Errors
    /// As [`Self::open`], and if they name another Redis. What was read before is still good: ask
    /// again a little later.
    pub fn reread(&self) -> Result<Option<FeastRepository>, Vec<FeastProblem>> {
        let now = Self::open(&self.file)?;
        if now.settings.store_url != self.settings.store_url {
            return Err(vec![FeastProblem {
                file: self.file.clone(),
                key: "online_store".to_owned(),
                message: "names another Redis, or another login to it, than when Gavel started: restart Gavel to follow it".to_owned(),
            }]);
        }
        let is_same = now.settings == self.settings && now.registry == self.registry;
        Ok((!is_same).then_some(now))
    }

    /// How often Feast reads its registry again; `None` for never.
    pub(crate) fn refresh(&self) -> Option<Duration> {
        self.settings.refresh
    }

    /// The URL of the Redis that Feast writes to, for [`Store::open`](crate::Store::open). It may
    /// hold a password.
    pub fn store_url(&self) -> &str {
        self.settings.store_url.as_str()
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// How the keys of the view's entities are written.
    pub(crate) fn key_format(&self, view: &FeastView) -> KeyFormat {
        let join_keys = view.join_keys.iter();
        let join_keys = join_keys.map(|(name, key_type)| (&**name, *key_type));
        KeyFormat::new(self.settings.key_version, join_keys, &self.settings.project)
    }
}

fn load(settings: &Settings) -> Result<Registry, FeastProblem> {
    let file = &settings.registry;
    let problem = |message: String| FeastProblem {
        file: file.clone(),
        key: String::new(),
        message,
    };
    let bytes = read_settled(file)?;
    registry::parse(&bytes, &settings.project, settings.versioned).map_err(problem)
}

/// Reads a file that nobody is writing: a write in between would leave the beginning of one text
/// before the end of another.
fn read_settled(file: &Path) -> Result<Vec<u8>, FeastProblem> {
    let problem = |message: String| FeastProblem {
        file: file.to_owned(),
        key: String::new(),
        message,
    };
    let read = || fs::read(file).map_err(|error| problem(format!("cannot be read: {error}")));
    let bytes = read()?;
    if read()? != bytes {
        let message = "changed while it was read: it is being written";
        return Err(problem(message.to_owned()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
