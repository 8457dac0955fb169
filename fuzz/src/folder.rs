//! A temporary folder, kept for a whole run: only what changes is written again.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary folder; removed when dropped.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// With these files, each a relative path and its text.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    /// Writes a file and returns where it is.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.0.path().join(name);
        let parent = file.parent().expect("a file in the folder has a parent");
        std::fs::create_dir_all(parent).expect("folders can be made");
        std::fs::write(&file, bytes).expect("files can be written");
        file
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
