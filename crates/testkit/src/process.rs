//! A server's process: its group, its log, its signals and its end.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

/// How often a server is asked whether it is up.
const POLL: Duration = Duration::from_millis(20);
/// How much of a log a failure shows, in lines.
const LOG_TAIL: usize = 25;

/// A child process in a group of its own; the group is killed on drop.
#[derive(Debug)]
pub(crate) struct Process {
    what: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a server whose output goes to the end of `log`.
    pub(crate) fn start(
        what: &'static str,
        command: &mut Command,
        log: &Path,
        missing: &str,
    ) -> Self {
        let file = File::options().create(true).append(true).open(log);
        let (out, err) = match file.and_then(|file| Ok((file.try_clone()?, file))) {
            Ok(files) => files,
            Err(error) => panic!("the log {} cannot be written: {error}", log.display()),
        };
        let command = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0);
        match command.spawn() {
            Ok(child) => Self {
                what,
                child,
                log: log.to_owned(),
            },
            Err(error) => panic!("{what} cannot be started ({error}): {missing}"),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready`; fails with the end of the log if the process ends or takes too long.
    pub(crate) fn wait_until(&mut self, limit: Duration, ready: impl Fn() -> bool) {
        let started = SystemTime::now();
        while !ready() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!(
                    "{} ended ({status}) before it was ready:\n{}",
                    self.what,
                    self.log_tail()
                );
            }
            if started.elapsed().unwrap_or_default() > limit {
                panic!(
                    "{} was not ready within {limit:?}:\n{}",
                    self.what,
                    self.log_tail()
                );
            }
            pause(POLL);
        }
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait_for_exit(&mut self, limit: Duration) {
        let started = SystemTime::now();
        while let Ok(None) = self.child.try_wait() {
            if started.elapsed().unwrap_or_default() > limit {
                panic!(
                    "{} did not end within {limit:?}:\n{}",
                    self.what,
                    self.log_tail()
                );
            }
            pause(POLL);
        }
    }

    /// Sends a signal to the whole group.
    #[expect(
        unsafe_code,
        reason = "kill(2) takes two integers and touches no memory of ours"
    )]
    pub(crate) fn signal(&self, signal: i32) {
        let Ok(group) = i32::try_from(self.child.id()) else {
            panic!("the process id {} is out of range", self.child.id());
        };
        // SAFETY: no memory is involved; an error (the group is gone) is harmless.
        unsafe { libc::kill(-group, signal) };
    }

    /// Kills the group and waits for its leader.
    pub(crate) fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        // It was killed, and there is nothing else to learn from how it ended.
        let _ = self.child.wait();
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this crate is synchronous: it waits for processes"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
