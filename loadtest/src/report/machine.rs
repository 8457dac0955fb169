//! Where and with what a report was made.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

/// Facts by name, in the order in which they are shown.
#[derive(Clone, Debug)]
pub struct Machine(Vec<(String, String)>);

impl Machine {
    /// Asks the operating system and the programs. What cannot be found out says so.
    pub fn look(gavel: &Path, repository: &Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let cpu = field("/proc/cpuinfo", "model name");
        let memory = field("/proc/meminfo", "MemTotal");
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').take(2).collect::<Vec<_>>().join(", ");
        let git = Command::new("git")
            .args(["describe", "--always", "--dirty"])
            .current_dir(repository)
            .output();
        let triton =
            fs::read_to_string(repository.join("scripts/triton/server.txt")).unwrap_or_default();
        let triton = triton
            .split_ascii_whitespace()
            .find(|word| word.contains("=="));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let date = humantime::format_rfc3339_seconds(UNIX_EPOCH + now).to_string();
        let facts = [
            ("date", date),
            (
                "machine",
                format!("{cores} cores of {cpu}, memory {memory}"),
            ),
            (
                "system",
                format!("Linux {}", field_of("/proc/sys/kernel/osrelease")),
            ),
            ("load average before (1, 5 minutes)", load),
            ("Gavel", said(Command::new(gavel).arg("--version").output())),
            ("commit", said(git)),
            (
                "Triton",
                format!("tritonserver of {}", triton.unwrap_or("an unknown wheel")),
            ),
            (
                "Redis",
                said(Command::new("redis-server").arg("--version").output()),
            ),
            (
                "compiler",
                said(Command::new("rustc").arg("--version").output()),
            ),
        ];
        Self(facts.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &str, value: String) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    pub(crate) fn facts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    #[cfg(test)]
    pub(crate) fn for_tests<const N: usize>(facts: [(&str, &str); N]) -> Self {
        Self(
            facts
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        )
    }
}

/// The first `name : value` of a file.
fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let value = fields.find(|(found, _)| found.trim() == name);
    value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn field_of(file: &str) -> String {
    fs::read_to_string(file).map_or("unknown".to_owned(), |text| text.trim().to_owned())
}

/// What a program printed.
fn said(output: std::io::Result<std::process::Output>) -> String {
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}
