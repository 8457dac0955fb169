//! What the operating system says of processes, CPU time and memory of a process group; and the
//! loader's own priority.

use std::{fs, time::Duration};

/// A server with all its processes: the one with this id, and those of the process group that it
/// leads, if it leads one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessGroup(pub u32);

impl ProcessGroup {
    /// CPU time in user and kernel mode that its living processes have used.
    pub fn cpu(self) -> Duration {
        seconds(self.members().map(|stat| stat.cpu_ticks).sum())
    }

    /// Resident memory of its living processes.
    pub fn resident_bytes(self) -> u64 {
        let pages: u64 = self.members().map(|stat| stat.resident_pages).sum();
        pages * rustix::param::page_size() as u64
    }

    /// Resident memory of that one process alone, which is quicker to read.
    pub fn leader_resident_bytes(self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        let pages = Stat::parse(&stat).map_or(0, |stat| stat.resident_pages);
        pages * rustix::param::page_size() as u64
    }

    fn members(self) -> impl Iterator<Item = Stat> {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes.filter_map(move |entry| {
            let name = entry.file_name();
            name.to_str()?.parse::<u32>().ok()?;
            // A process that has just ended has no file any more.
            let stat = Stat::parse(&fs::read_to_string(entry.path().join("stat")).ok()?)?;
            (stat.id == self.0 || stat.group == self.0).then_some(stat)
        })
    }
}

/// The loader's own CPU time.
pub fn own_cpu() -> Duration {
    own(|stat| stat.cpu_ticks)
}

/// CPU time of the processes that the loader started, that have ended, and whose end it has seen.
pub fn ended_children_cpu() -> Duration {
    own(|stat| stat.ended_children_ticks)
}

fn own(ticks: impl Fn(Stat) -> u64) -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    seconds(Stat::parse(&stat).map_or(0, ticks))
}

fn seconds(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Puts the calling thread, and threads and processes that it starts from now on, ahead of others:
/// a loader that has to wait for the cores it shares with busy servers sends late and reads late,
/// as one on a machine of its own would not. False where the operating system does not allow it.
pub fn go_first() -> bool {
    rustix::process::nice(-15).is_ok()
}

/// The fields of `/proc/PID/stat` that are used; see proc_pid_stat(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    id: u32,
    group: u32,
    cpu_ticks: u64,
    ended_children_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The program's name may hold spaces and brackets; what follows its last bracket does not.
        let (id, _) = line.split_once(' ')?;
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        // The manual counts from 1, and `rest` begins with field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            id: id.parse().ok()?,
            group: u32::try_from(field(5)?).ok()?,
            cpu_ticks: field(14)? + field(15)?,
            ended_children_ticks: field(16)? + field(17)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_fields() {
        let line = "4022 (a b) R (c) S 1 4000 3999 0 -1 4194560 9 0 0 0 120 30 7 5 20 0 9 0 100 1024 77 \
                    18446744073709551615 1 1 0";
        let stat = Stat {
            id: 4022,
            group: 4000,
            cpu_ticks: 150,
            ended_children_ticks: 12,
            resident_pages: 77,
        };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("4022 (short) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn our_own_group_has_memory_and_uses_time() {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let group = ProcessGroup(Stat::parse(&stat).unwrap().group);
        assert!(group.resident_bytes() > 100_000);
        let before = own_cpu();
        let mut x = 1_u64;
        while own_cpu() == before {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(group.cpu() >= before);
    }
}
