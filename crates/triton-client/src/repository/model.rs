//! One model of a repository.

use std::path::PathBuf;

use super::variant::Variant;
use crate::{ModelConfig, VersionPolicy};

/// One model of a repository.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name, which is its folder's.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// The configuration of the chosen variant.
    pub config: ModelConfig,
    /// The file of the chosen variant.
    pub config_file: PathBuf,
    /// The versions that the chosen variant serves, in ascending order.
    pub versions: Vec<u64>,
    /// Every variant that could be read, the chosen one among them.
    pub variants: Vec<Variant>,
    /// Every version that there is a folder for, in ascending order.
    pub folders: Vec<u64>,
}

impl Model {
    /// The file of a version of the chosen variant, whether it exists or not; `None` for
    /// ensembles, and for backends whose file the configuration does not name.
    pub fn model_file(&self, version: u64) -> Option<PathBuf> {
        self.file_of(self.chosen()?, version)
    }

    /// The same, of any variant.
    pub fn file_of(&self, variant: &Variant, version: u64) -> Option<PathBuf> {
        let name = variant.model_filename(&self.dir, &self.folders)?;
        Some(self.dir.join(version.to_string()).join(name))
    }

    /// The versions that a variant serves, in ascending order.
    pub fn versions_of(&self, variant: &Variant) -> Vec<u64> {
        let newest = |count: usize| {
            let start = self.folders.len().saturating_sub(count);
            self.folders[start..].to_vec()
        };
        match &variant.config.version_policy {
            None => newest(1),
            Some(VersionPolicy::Latest(count)) => newest(*count as usize),
            Some(VersionPolicy::All) => self.folders.clone(),
            Some(VersionPolicy::Specific(wanted)) => self
                .folders
                .iter()
                .copied()
                .filter(|folder| {
                    wanted
                        .iter()
                        .any(|want| u64::try_from(*want) == Ok(*folder))
                })
                .collect(),
        }
    }

    /// The chosen variant.
    pub fn chosen(&self) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.chosen)
    }

    /// The variant that a server with this `--model-config-name` uses.
    pub(super) fn variant(&self, config_name: Option<&str>) -> Option<&Variant> {
        let of = |name: Option<&str>| {
            self.variants
                .iter()
                .find(|variant| variant.name.as_deref() == name)
        };
        of(config_name).or_else(|| of(None))
    }
}
