//! A Triton whose capacity is set by time, as that of a GPU elsewhere is, and not by the CPU that it
//! shares with the gateway and the loader; and a Gavel in front of it.
//!
//! It serves a copy of the model repository whose fraud ensemble takes 8 rows at most and ends in a
//! step more, which hands the score on after 4 ms: about 2,000 rows a second, to the bit the same.

use std::{fs, io, path::Path};

use tempfile::TempDir;
use testkit::Triton;

use super::servers::{Backends, Server, StartError, failed};
use crate::questions::repository_root;

const ENSEMBLE: &str = "fraud_primary/config.pbtxt";
const STEP: &str = "fraud_pace";
const STEP_CONFIG: &str = include_str!("config.pbtxt");
const STEP_MODEL: &str = include_str!("model.py");

/// What is changed in the ensemble: each stands in it once.
const CHANGES: [(&str, &str); 2] = [
    ("max_batch_size: 256", "max_batch_size: 8"),
    (
        r#"output_map { key: "score" value: "score" }"#,
        r#"output_map { key: "score" value: "unpaced" }
    },
    {
      model_name: "fraud_pace"
      model_version: -1
      input_map { key: "unpaced" value: "unpaced" }
      output_map { key: "score" value: "score" }"#,
    ),
];

/// The paced Triton and what it serves; ended on drop.
#[derive(Debug)]
pub(super) struct PacedTriton {
    pub(super) triton: Triton,
    repository: TempDir,
}

impl PacedTriton {
    pub(super) fn start() -> Result<Self, StartError> {
        let repository = tempfile::tempdir().and_then(|folder| {
            write_repository(&repository_root().join("model_repository"), folder.path())?;
            Ok(folder)
        });
        let repository = repository.map_err(|error| failed("a paced model repository", error))?;
        Ok(Self {
            triton: Triton::start(repository.path()),
            repository,
        })
    }

    /// A Gavel in front of it, with the store of the others.
    pub(super) async fn gavel(&self, backends: &Backends) -> Result<Server, StartError> {
        let url = &self.triton.grpc_url;
        backends.gavel_before(url, self.repository.path()).await
    }
}

fn write_repository(ours: &Path, copy: &Path) -> io::Result<()> {
    copy_folder(ours, copy)?;
    let ensemble = copy.join(ENSEMBLE);
    let paced = paced(&fs::read_to_string(&ensemble)?)?;
    fs::write(ensemble, paced)?;
    let version = copy.join(STEP).join("1");
    fs::create_dir_all(&version)?;
    fs::write(version.join("model.py"), STEP_MODEL)?;
    fs::write(copy.join(STEP).join("config.pbtxt"), STEP_CONFIG)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}

fn paced(ensemble: &str) -> io::Result<String> {
    let mut paced = ensemble.to_owned();
    for (from, to) in CHANGES {
        if paced.matches(from).count() != 1 {
            return Err(io::Error::other(format!(
                "`{from}` must stand in {ENSEMBLE} once: it has changed, change how the benchmark paces it"
            )));
        }
        paced = paced.replace(from, to);
    }
    Ok(paced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ensemble_takes_few_rows_and_ends_in_the_pace() {
        let folder = tempfile::tempdir().unwrap();
        write_repository(&repository_root().join("model_repository"), folder.path()).unwrap();
        let ensemble = fs::read_to_string(folder.path().join(ENSEMBLE)).unwrap();
        assert!(ensemble.contains("max_batch_size: 8\n"));
        let at = |what: &str| ensemble.find(what).unwrap();
        assert!(at("model_name: \"fraud_calibrate\"") < at("model_name: \"fraud_pace\""));
        assert_eq!(ensemble.matches("model_name").count(), 4);
        assert_eq!(ensemble.matches('{').count(), ensemble.matches('}').count());
        for file in ["fraud_pace/1/model.py", "fraud_deep/1/model.onnx"] {
            assert!(folder.path().join(file).is_file(), "{file}");
        }
    }

    #[test]
    fn an_ensemble_that_cannot_be_paced_is_an_error() {
        let ensemble =
            fs::read_to_string(repository_root().join("model_repository").join(ENSEMBLE));
        let other = ensemble.unwrap().replace("256", "128");
        let error = paced(&other).unwrap_err().to_string();
        assert!(
            error.contains("`max_batch_size: 256` must stand"),
            "{error}"
        );
    }
}
