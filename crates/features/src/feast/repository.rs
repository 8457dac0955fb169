//! A Feast repository: its `feature_store.yaml`, and the registry that it names, kept up to date.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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

/// What came of reading the registry again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// It says what it said before.
    Unchanged,
    /// Who asks from now on gets what it says now.
    Changed,
}

/// The views of a project of Feast's, as its registry last said them.
#[derive(Debug)]
pub struct FeastRepository {
    settings: Settings,
    current: Mutex<Arc<Registry>>,
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
        let text = fs::read_to_string(file)
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
            settings,
            current: Mutex::new(Arc::new(registry)),
        })
    }

    /// Reads the registry again. Feast writes it in place, so it may be found empty or cut short.
    ///
    /// # Errors
    /// Why it cannot be used. What it said before stays in force: ask again a little later.
    pub fn reload(&self) -> Result<Reloaded, FeastProblem> {
        let registry = load(&self.settings)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if **current == registry {
            return Ok(Reloaded::Unchanged);
        }
        *current = Arc::new(registry);
        Ok(Reloaded::Changed)
    }

    /// The URL of the Redis that Feast writes to, for [`Store::open`](crate::Store::open). It may
    /// hold a password.
    pub fn store_url(&self) -> &str {
        self.settings.store_url.as_str()
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
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
    let read = || fs::read(file).map_err(|error| problem(format!("cannot be read: {error}")));
    // A write in between would leave the beginning of one registry before the end of another.
    let bytes = read()?;
    if read()? != bytes {
        return Err(problem(
            "changed while it was read: Feast is writing it".to_owned(),
        ));
    }
    registry::parse(&bytes, &settings.project, settings.versioned).map_err(problem)
}

#[cfg(test)]
mod tests;
