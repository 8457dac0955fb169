//! Measures how long bytes wait in a socket, and the task that they wake in the run queue, before the
//! task's first line runs: what every request goes through before it can look at a clock.
//!
//! A thread of its own writes a byte each tick, because a task that sent it would wait in the same
//! queue and see none of it. The byte goes through a socket, because a task that another thread wakes
//! directly goes to a queue of its own, which workers look at rarely. One byte is out at a time; while
//! it is, how long it has been counts (`Pressure::wait`), so a worker that never comes is not missed.
//! The thread moves the share as well: it runs when the workers do not.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use metrics::{gauge, histogram};
use tokio::{io::AsyncReadExt, time::Instant};

use super::{Pressure, Shedding};

/// As many probes as an interval of `Shedding` needs. An idle process spends about 0.1 ms on each when
/// it is compiled without optimisation.
const TICK: Duration = Duration::from_millis(20);

/// Measures from now on, for as long as the runtime runs, and sheds when waits stay above `target`.
///
/// # Errors
/// There is no thread or no socket to be had.
pub fn start(pressure: Arc<Pressure>, target: Duration) -> io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    let theirs = tokio::net::UnixStream::from_std(theirs)?;
    // Dropped with the task, which tells the thread to end.
    let (alive, ended) = mpsc::channel();
    let sending = Arc::clone(&pressure);
    thread::Builder::new()
        .name("gavel-probe".into())
        .spawn(move || send(&sending, target, ours, &ended))?;
    tokio::spawn(async move {
        let _alive = alive;
        receive(&pressure, theirs).await
    });
    Ok(())
}

fn send(pressure: &Pressure, target: Duration, mut socket: UnixStream, ended: &mpsc::Receiver<()>) {
    let share = gauge!("gavel_shed_share");
    let mut shedding = Shedding::new(target, Instant::now());
    while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let now = Instant::now();
        let shed = shedding.observed(pressure.latest(now), now);
        pressure.shed(shed);
        share.set(shed);
        if pressure.send(now) && socket.write_all(&[0]).is_err() {
            return;
        }
    }
}

async fn receive(pressure: &Pressure, mut socket: tokio::net::UnixStream) {
    let waits = histogram!("gavel_run_queue_wait_seconds");
    let mut byte = [0];
    while matches!(socket.read(&mut byte).await, Ok(1)) {
        waits.record(pressure.arrived(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any machine takes.
    const PATIENCE: u32 = 2000;

    fn sheds(pressure: &Pressure) -> bool {
        (0..100).any(|_| pressure.turns_away())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    #[expect(
        clippy::disallowed_methods,
        reason = "a worker that does not come is what is measured"
    )]
    async fn a_worker_that_does_not_come_is_noticed_meanwhile_and_its_return_too() {
        let pressure = Arc::new(Pressure::default());
        let target = Duration::from_millis(20);
        start(Arc::clone(&pressure), target).unwrap();
        let noticed = Arc::clone(&pressure);
        // The only worker is held until the probe has told.
        let held = tokio::spawn(async move {
            let until = (0..PATIENCE).find(|_| {
                thread::sleep(Duration::from_millis(10));
                sheds(&noticed)
            });
            until.map(|_| noticed.wait(Instant::now()))
        });
        let wait = held.await.unwrap().expect("it sheds");
        assert!(wait > target, "{wait:?}");
        for _ in 0..PATIENCE {
            if pressure.wait(Instant::now()) < target && !sheds(&pressure) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it sheds for ever");
    }
}
