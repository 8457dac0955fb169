//! The embedded store on a disk that is full.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::direct;
use crate::chaos::{
    gateway::{Gateway, Setup},
    pause,
    stage::{Finding, World, folder},
};

const BROKEN_FOR: Duration = Duration::from_secs(4);
/// Small enough to fill in no time.
const DISK: &str = "size=16m";
/// A view whose rows are loaded, and a row of it.
const DEFINITIONS: &str = r#"
entities.card_id = "string"
views.profile = { entity = "card_id", features = { segment = { dtype = "string", default = "" } } }
"#;
const ROW: &str = r#"{"view":"profile","entity":{"card_id":"1"},"values":{"segment":"new"}}"#;

pub(super) fn full(world: &mut World) -> Result<Finding, String> {
    let disk = Disk::mount()?;
    let store = format!("embedded:{}", disk.0.path().join("features").display());
    world.kit.ingest(&store, &world.kit.payments())?;
    let setup = direct(world, store.clone());
    let mut run = world.run("disk-full", setup.clone())?;
    run.fault();
    disk.fill()?;
    pause(BROKEN_FOR);
    disk.clear()?;
    run.heal();
    let mut finding = run.finish();
    disk.fill()?;
    finding.faults.extend(load(world, &store));
    finding.faults.extend(start(world, setup));
    Ok(finding)
}

/// A load that does not fit says why.
fn load(world: &World, store: &str) -> Option<String> {
    let folder = match folder() {
        Ok(folder) => folder,
        Err(why) => return Some(why),
    };
    let [definitions, rows] = ["features.toml", "rows.jsonl"].map(|name| folder.path().join(name));
    if let Err(error) = fs::write(&definitions, DEFINITIONS).and(fs::write(&rows, ROW)) {
        return Some(error.to_string());
    }
    let setup = Setup {
        store: store.to_owned(),
        decisions: Some(folder.path().to_owned()),
        ..Setup::default()
    };
    let rows = rows.to_string_lossy();
    match world.kit.run(&setup, &["features", "load", &rows]) {
        Ok(()) => Some("a load onto a full disk says that it was written".to_owned()),
        Err(why) if why.contains("No space left") => None,
        Err(why) => Some(format!("a load onto a full disk does not say so: {why}")),
    }
}

/// A store that was loaded before starts without any room, and has the rows that it had.
fn start(world: &World, setup: Setup) -> Option<String> {
    let started = folder().and_then(|elsewhere| {
        let gateway = Gateway::start(&world.kit, setup, &elsewhere.path().join("log"))?;
        world.whole_at_rest(&gateway)
    });
    let why = started.err()?;
    Some(format!(
        "on a full disk, after that load: {}",
        why.lines().last().unwrap_or_default()
    ))
}

/// A small file system in memory, unmounted on drop.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Result<Self, String> {
        let folder = folder()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", DISK, "chaos"])
            .arg(folder.path())
            .output()
            .map_err(|error| format!("mount cannot be run: {error}"))?;
        if mounted.status.success() {
            return Ok(Self(folder));
        }
        Err(format!(
            "a small disk cannot be mounted, which takes root: {}",
            String::from_utf8_lossy(&mounted.stderr).trim()
        ))
    }

    /// Writes until there is no room for a byte.
    fn fill(&self) -> Result<(), String> {
        let fill = || {
            let mut ballast = File::create(self.ballast())?;
            for size in [1 << 16, 1] {
                let zeros = vec![0; size];
                loop {
                    match ballast.write(&zeros) {
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                        Err(error) => return Err(error),
                    }
                }
            }
            Ok(())
        };
        fill().map_err(|error| format!("the disk was not filled: {error}"))
    }

    fn clear(&self) -> Result<(), String> {
        let cleared = std::fs::remove_file(self.ballast());
        cleared.map_err(|error| format!("the disk was not cleared: {error}"))
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a gateway may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
